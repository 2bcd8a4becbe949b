"""Clients in Python: calls, frames, drive packets."""

from plugin_server.client.client import FlexAvatarClient

__all__ = ["FlexAvatarClient"]
