"""The open head: its rig and surface, its lids, and ARKit's weights as FLAME codes."""
