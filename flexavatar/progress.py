"""A live line of progress on the terminal, plain lines into a file or pipe."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

Report = Callable[[str, float], None]
"""Called with what is being done and the fraction of the whole, 0..1."""


@contextmanager
def progress_bar(title: str) -> Iterator[Report]:
    """Show progress while the block runs."""
    if not sys.stderr.isatty():
        yield plain_lines(title)
        return
    columns = (TextColumn(title), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda stage, fraction: bar.update(task, completed=fraction, description=stage)


def plain_lines(title: str) -> Report:
    """One line a new stage or second, for logs."""
    start, lock = time.monotonic(), threading.Lock()
    last_stage, last_second = "", -1

    def report(stage: str, fraction: float) -> None:
        nonlocal last_stage, last_second
        elapsed = time.monotonic() - start
        with lock:
            if stage == last_stage and int(elapsed) == last_second:
                return
            last_stage, last_second = stage, int(elapsed)
            print(f"{title} {fraction:4.0%} {elapsed:5.1f} s  {stage}", file=sys.stderr, flush=True)

    return report
