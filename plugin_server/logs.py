"""What the process itself is set up with: its logs, and how many connections it may have."""

from __future__ import annotations

import json
import logging
import resource
import sys
from contextlib import suppress

FIELDS = ("session", "avatar")
"""What a line says beside its message, if its `extra` has it."""


class JsonLines(logging.Formatter):
    """One object a line: time, level, logger, message, session and avatar."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


class TextLines(logging.Formatter):
    """Time, level and message, then session and avatar if the line is about one."""

    def format(self, record: logging.LogRecord) -> str:
        about = "".join(
            f" {name}={getattr(record, name)}" for name in FIELDS if hasattr(record, name)
        )
        return super().format(record) + about


def set_up_logs(as_json: bool) -> None:
    """Log to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    text = TextLines("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z")
    handler.setFormatter(JsonLines() if as_json else text)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def allow_open_files() -> None:
    """As many as this process may have: every connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # a sandbox may forbid it
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
