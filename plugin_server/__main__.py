"""`python -m plugin_server` is `flexavatar serve`."""

from __future__ import annotations

import sys

from flexavatar.cli import run

if __name__ == "__main__":
    sys.exit(run(["serve", *sys.argv[1:]]))
