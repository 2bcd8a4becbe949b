"""What is kept of a person: stored, animated, morphed, interpolated."""

from flexavatar.avatar.avatar import Animator, Avatar, load_avatar

__all__ = ["Animator", "Avatar", "load_avatar"]
