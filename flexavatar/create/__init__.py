"""Portraits -> avatar: evidence, network, skin, first guess, fit."""

from flexavatar.create.create import CreateConfig, create_avatar

__all__ = ["CreateConfig", "create_avatar"]
