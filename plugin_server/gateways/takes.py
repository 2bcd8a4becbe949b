"""What capture apps send, written to recordings: a file for each sender and take."""

from __future__ import annotations

import logging
import re
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from flexavatar.drive.performance import PerformanceWriter
from flexavatar.drive.signal import Signal
from flexavatar.errors import DriveError
from flexavatar.types import NS_PER_S
from plugin_server.gateways.hub import Sender

logger = logging.getLogger(__name__)

PAUSE_S = 10.0
"""A sender that was silent for longer begins another take, and so does one after:"""
LONGEST_S = 3600.0
MOST_TAKES = 16
"""At a time; the one that was silent longest is closed."""


@dataclass
class _Take:
    writer: PerformanceWriter
    began_s: float
    written_s: float


class TakeRecorder:
    """Subscribes to a hub. A disk that fails ends the recording, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._takes: OrderedDict[Sender, _Take] = OrderedDict()
        self._failed = False

    def record(self, sender: Sender, signal: Signal, now_s: float) -> None:
        """Write a signal at the time since the first of its take."""
        if self._failed:
            return
        try:
            take = self._take_of(sender, now_s)
            take.writer.write(replace(signal, pts_ns=round((now_s - take.began_s) * NS_PER_S)))
            take.written_s = now_s
        except (DriveError, OSError, ValueError) as error:
            self._failed = True
            logger.error("recording has ended: %s", error)

    def _take_of(self, sender: Sender, now_s: float) -> _Take:
        take = self._takes.pop(sender, None)
        if take and (now_s - take.written_s > PAUSE_S or now_s - take.began_s > LONGEST_S):
            take.writer.close()
            take = None
        if take is None:
            path = self._new_path(sender)
            take = _Take(PerformanceWriter(path), now_s, now_s)
            logger.info("recording %s to %s", sender, path)
        self._takes[sender] = take
        if len(self._takes) > MOST_TAKES:
            self._takes.popitem(last=False)[1].writer.close()
        return take

    def _new_path(self, sender: Sender) -> Path:
        who = re.sub(r"[^\w-]+", "-", sender.subject).strip("-") or "face"
        stem = f"{sender.source}-{who[:40]}-{time.strftime('%Y%m%d-%H%M%S')}"
        paths = (self._folder / f"{stem}{'-' * bool(i)}{i or ''}.csv" for i in count())
        return next(path for path in paths if not path.exists())

    def close(self) -> None:
        """Write what is left."""
        for take in self._takes.values():
            take.writer.close()
        self._takes.clear()
