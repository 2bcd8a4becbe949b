"""How work reports its progress, and how it is shown: a live line on the terminal, plain lines
elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, float], None]
"""Called with the stage, what is being done, and the fraction of all that is done, 0..1."""
StageProgress = Callable[[float], None]
"""The same within one stage, which the caller names."""


def no_progress(stage: str, fraction: float) -> None:
    """Progress that nobody looks at."""


def no_stage_progress(fraction: float) -> None:
    """Progress of a stage that nobody looks at."""


def part_progress(progress: Progress, stage: str, done: int, parts: int) -> StageProgress:
    """Progress of the next of several equal parts, after `done` of them; reported at once."""
    progress(stage, done / parts)
    return lambda fraction: progress(stage, (done + fraction) / parts)


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """Show progress while the block runs."""
    if not sys.stderr.isatty():
        yield plain_lines(title)
        return
    from rich import progress as rich  # here: all import this file, and rich takes 0.2 s
    from rich.console import Console

    text = rich.TextColumn
    columns = (text(title), rich.BarColumn(), rich.TaskProgressColumn(), rich.TimeElapsedColumn())
    shown = rich.Progress(*columns, text("{task.description}"), console=Console(stderr=True))
    with shown as bar:
        task = bar.add_task("", total=1.0)
        yield lambda stage, fraction: bar.update(task, completed=fraction, description=stage)


def plain_lines(title: str) -> Progress:
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
