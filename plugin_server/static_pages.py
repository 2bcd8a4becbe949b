"""Pages that ship with the server. They hold no secrets: who they talk for, they must say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

VIEW = "/view/"
"""Before the name of a session."""
STUDIO = ("/", "/studio")
FILES = "/pages/"
TYPES = {
    "html": b"text/html; charset=utf-8",
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' blob: data:; media-src blob:; worker-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
HEADERS = (
    (b"cache-control", b"no-cache"),
    (b"content-security-policy", POLICY.encode()),
    (b"permissions-policy", b"camera=(self), microphone=(self)"),
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
    if path in STUDIO:
        return _pages()["studio.html"]
    if path.startswith(VIEW):
        return _pages()["view.html"]
    return _pages().get(path.removeprefix(FILES)) if path.startswith(FILES) else None
