"""A viewer in Godot 3: the stream of Gaussians in an engine without any library."""
