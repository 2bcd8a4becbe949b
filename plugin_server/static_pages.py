"""Pages that ship with the server. They hold no secrets: who they talk for, they must say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

VIEW = "/view/"
"""Before the name of a session."""
FILES = "/pages/"
TYPES = {"html": b"text/html; charset=utf-8", "js": b"text/javascript; charset=utf-8"}
HEADERS = (
    (b"cache-control", b"no-cache"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'",
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


@dataclass(frozen=True)
class StaticPage:
    """A file as it is answered."""

    content_type: bytes
    body: bytes


@cache
def _pages() -> dict[str, StaticPage]:
    """By name."""
    folder = files("plugin_server") / "pages"
    return {
        file.name: StaticPage(TYPES[file.name.rpartition(".")[2]], file.read_bytes())
        for file in folder.iterdir()
    }


def static_page(path: str) -> StaticPage | None:
    """What is at a path of the server; None if that is no page's."""
    if path.startswith(VIEW):
        return _pages()["view.html"]
    return _pages().get(path.removeprefix(FILES)) if path.startswith(FILES) else None
