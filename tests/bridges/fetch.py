"""Fetches the tools of these tests that pip and npm have: `python -m tests.bridges.fetch`."""

from __future__ import annotations

from tests.bridges.dotnet import fetch
from tests.bridges.npm import fetch_web

if __name__ == "__main__":
    fetch()
    fetch_web()
