"""The main job from end to end: a photo becomes a living head on a client's screen."""
