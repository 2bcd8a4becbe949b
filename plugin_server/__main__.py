"""`python -m plugin_server` serves without the commands beside it; its options are `serve`'s."""

from __future__ import annotations

import os
import sys

import tyro

from flexavatar.errors import FlexAvatarError
from plugin_server.config import ServerConfig, environment_options
from plugin_server.server import run

if __name__ == "__main__":
    try:
        given = sys.argv[1:]
        options = [*environment_options(os.environ, given, "gateways."), *given]
        run(tyro.cli(ServerConfig, prog="plugin_server", args=options))
    except FlexAvatarError as error:
        sys.exit(f"error: {error}")
