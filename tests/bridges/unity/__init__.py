"""Unity's package without Unity: its core on .NET, its shaders, its files."""
