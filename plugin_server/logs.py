"""What the process itself is set up with: its logs, and how many connections it may have."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import math
import resource
import sys
from contextlib import suppress
from typing import Any

logger = logging.getLogger(__name__)

FULL_S = 10.0
"""Running out of open files is said this often."""
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


class LoopErrors:
    """The event loop's exception handler: what it says again and again is logged now and then."""

    def __init__(self) -> None:
        self._said_s = -math.inf

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)):
            loop.default_exception_handler(context)
        elif loop.time() - self._said_s > FULL_S:
            self._said_s = loop.time()
            logger.error("no connection is let in: %s (see `ulimit -n`)", error.strerror)


def allow_open_files() -> None:
    """As many as this process may have: every connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # a sandbox may forbid it
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
