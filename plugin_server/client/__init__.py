"""Clients in Python: calls, frames, sound, drive packets, and stand-ins for capture apps."""

from plugin_server.client.client import FlexAvatarClient

__all__ = ["FlexAvatarClient"]
