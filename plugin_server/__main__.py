"""`python -m plugin_server` serves without the commands beside it; its options are `serve`'s."""

from __future__ import annotations

import sys

import tyro

from flexavatar.errors import FlexAvatarError
from plugin_server.config import ServerConfig
from plugin_server.server import run

if __name__ == "__main__":
    try:
        run(tyro.cli(ServerConfig, prog="plugin_server"))
    except FlexAvatarError as error:
        sys.exit(f"error: {error}")
