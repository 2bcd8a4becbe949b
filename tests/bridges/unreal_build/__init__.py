"""The descriptor and the modules' rules of Unreal's plugin, checked without Unreal."""
