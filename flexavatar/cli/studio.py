"""`flexavatar studio`: a server on this machine, and its studio in a browser."""

from __future__ import annotations

import threading
import webbrowser
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import tyro

from flexavatar.cli.view import has_screen
from plugin_server.config import ServerConfig, read_token

if TYPE_CHECKING:
    from plugin_server.server import ServerAddresses


@dataclass(frozen=True)
class Studio:
    """Make avatars and bring them to life in a browser, until interrupted."""

    config: tyro.conf.OmitArgPrefixes[ServerConfig]
    browser: bool = True
    """Open a browser; without a screen the address is printed all the same."""

    def run(self) -> None:
        """Serve, and open the studio once it answers."""
        from plugin_server.server import run

        run(self.config, self._open)

    def _open(self, addresses: ServerAddresses) -> None:
        if self.browser and has_screen():
            url = studio_url(addresses.http_address, read_token(self.config.token_file))
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def studio_url(http_address: str, token: str | None) -> str:
    """Where the studio is; what stands behind # stays in the browser."""
    behind = "" if token is None else f"#token={quote(token, safe='')}"
    return f"{http_address}/studio{behind}"
