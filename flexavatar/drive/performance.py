"""Recorded performances: Live Link Face's CSV files in and out.

One row a frame: `Timecode,BlendShapeCount`, 52 ARKit weights in PascalCase, then yaw, pitch and
roll of the head and of both eyes in radians. Columns are found by name, never by place: the order
differs between versions. Other programs' files are read too, see `recording_table.py`. The eyes'
angles are not read, since the eyeLook weights say the same.

The app does not document the signs of the head's angles; `head_angles.py` says how they are read.

A file is read leniently where a live signal is not: recorders overshoot, most of all calibrated
ones, and nobody can ask them to send a frame again, so weights a little out of 0..1 are clamped
(TOLERATED). Whoever drives live makes the weights himself and is told at once what is wrong with
them.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np

from flexavatar.drive.head_angles import HeadAngles
from flexavatar.drive.names import pascal_case
from flexavatar.drive.recording_table import (
    COUNT,
    EYE_COLUMNS,
    HEAD_COLUMNS,
    TIMECODE,
    VALUE_COLUMNS,
    read_recording_table,
)
from flexavatar.drive.signal import HeadPose, Signal, weights_of
from flexavatar.errors import DriveError
from flexavatar.head.arkit import ARKIT_NAMES
from flexavatar.types import NS_PER_S

FRAME_RATE = 60
TIMECODE_RATES = (24, 25, 30, 48, 50, 60, 100, 120)
LEAST_LAST_FRAME = 20.0
"""A second whose last frame has a lower number was not recorded to its end."""
MOST_SECONDS = 2.0**33
NO_EYES = (0.0,) * len(EYE_COLUMNS)
LINES_BYTES = 1 << 13
"""Some ten frames, which a crash may take."""
MAX_TIMECODE_FRAME = 120
"""In a timecode's last field; more is no timecode."""
WEIGHT_RANGE = (-0.5, 1.5)
"""Weights a little out of 0..1 are clamped, as calibrated recordings have them; beyond, refused."""

SHIPPED_PERFORMANCE = Path(str(resources.files("flexavatar") / "assets/performance/hello.csv"))
"""The ten seconds that come with the package."""


def read_performance(path: Path) -> list[Signal]:
    """Read a Live Link Face recording: weights clamped to 0..1, `pts_ns` since the first frame.

    Times are strictly increasing.

    Rows without a face, and rows no later than the one before them that was kept, are left out.

    Raises:
        DriveError: not such a file, an unknown column, or a value that is not finite, not a number
            or outside TOLERATED; the message names the line.
    """
    table = read_recording_table(path)
    lines = [(f"{path.name}, line {i}", row) for i, row in table.rows if _has_face(row)]
    if not lines:
        raise DriveError(f"{path.name}: expected at least one row with a face, got none")
    if TIMECODE in table.columns:
        times = _times_ns([_parse_time(where, row.get(TIMECODE, "")) for where, row in lines])
    else:
        times = [round(i * NS_PER_S / FRAME_RATE) for i in range(len(lines))]
    columns = {pascal_case(name): name for name in ARKIT_NAMES}
    columns = {column: columns[column] for column in table.columns if column in columns}
    frames: list[Signal] = []
    for (where, row), pts_ns in zip(lines, times, strict=True):
        frame = _parse_row(where, row, columns, pts_ns)
        if not frames or pts_ns > frames[-1].pts_ns:
            frames.append(frame)
    return frames


def write_performance(path: Path, frames: Iterable[Signal]) -> None:
    """Write a Live Link Face recording. The eyes' angles are left at zero."""
    with PerformanceWriter(path) as writer:
        for frame in frames:
            writer.write(frame)


class PerformanceWriter:
    """A Live Link Face recording that is written frame by frame: what came until a crash is kept.

    Raises DriveError for a file that cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", newline="", encoding="utf-8", buffering=LINES_BYTES)
        except OSError as error:
            raise DriveError(f"performance: cannot write {path}: {error.strerror}") from error
        self._rows = csv.writer(self._file)
        self._rows.writerow([TIMECODE, COUNT, *VALUE_COLUMNS])

    def write(self, frame: Signal) -> None:
        """Append a frame; its time is `pts_ns`, below a day."""
        values = [*frame.weights.tolist(), *frame.neck_pose.head_angles(), *NO_EYES]
        texts = map(_four_decimals, values)
        self._rows.writerow([_timecode(frame.pts_ns), len(values), *texts])

    def close(self) -> None:
        """Write what is left."""
        self._file.close()

    def __enter__(self) -> PerformanceWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def at_rate(frames: Sequence[Signal], fps: float) -> Iterator[Signal]:
    """The performance at a steady rate: at each instant the newest frame that is there."""
    times = np.array([frame.pts_ns for frame in frames])
    for i in range(math.floor(times[-1] / NS_PER_S * fps) + 1):
        pts_ns = round(i * NS_PER_S / fps)
        newest = frames[int(np.searchsorted(times, pts_ns, side="right")) - 1]
        yield replace(newest, pts_ns=pts_ns)


def _has_face(row: Mapping[str, str]) -> bool:
    """The app writes a count of 0 while it sees no face."""
    return row.get(COUNT, "").strip() != "0"


def _parse_time(where: str, text: str) -> tuple[int, float] | float:
    """`HH:MM:SS:FF.fff` -> whole seconds and frames; a plain number is seconds."""
    if ":" not in text:
        return _seconds(where, text)
    try:
        *clock, last = text.strip().split(":")
        hours, minutes, seconds = map(int, clock)
        frames = float(last)
    except ValueError:
        hours, minutes, seconds, frames = 0, 0, 0, math.nan
    on_clock = 0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds < 60
    if not (on_clock and 0 <= frames <= MAX_TIMECODE_FRAME):
        raise DriveError(f"{where}: expected a timecode HH:MM:SS:FF.fff, got {text!r}")
    return hours * 3600 + minutes * 60 + seconds, frames


def _seconds(where: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not abs(seconds) < MOST_SECONDS:
        raise DriveError(f"{where}: expected a timecode HH:MM:SS:FF.fff, got {text!r}")
    return seconds


def _times_ns(times: Sequence[tuple[int, float] | float]) -> list[int]:
    """Nanoseconds since the first row."""
    rate = _frame_rate([time for time in times if isinstance(time, tuple)])
    seconds = [t[0] + t[1] / rate if isinstance(t, tuple) else t for t in times]
    spans = (time - seconds[0] for time in seconds)
    return [round((s + 86400 if s < -43200 else s) * NS_PER_S) for s in spans]  # past midnight


def _frame_rate(timecodes: Sequence[tuple[int, float]]) -> int:
    """The lowest that the frame numbers allow, of seconds that were seen to their end."""
    ended = [frames for (second, frames), (after, _) in pairwise(timecodes) if after != second]
    if not ended or max(ended) < LEAST_LAST_FRAME:
        return FRAME_RATE
    highest = max(frames for _, frames in timecodes)
    return next((rate for rate in TIMECODE_RATES if highest < rate), FRAME_RATE)


def _parse_row(
    where: str, row: Mapping[str, str], columns: Mapping[str, str], pts_ns: int
) -> Signal:
    low, high = WEIGHT_RANGE
    weights = {}
    for column, shape in columns.items():
        value = _number(where, column, row.get(column))
        if not low <= value <= high:
            raise DriveError(f"{where}: {column}: expected 0..1, got {value:g}")
        weights[shape] = min(max(value, 0.0), 1.0)
    head = HeadAngles(*(_number(where, column, row.get(column, "0")) for column in HEAD_COLUMNS))
    pose = HeadPose(head.axis_angle())
    return Signal(*weights_of(weights), head=pose, pts_ns=pts_ns)


def _number(where: str, column: str, text: str | None) -> float:
    try:
        value = float(text or "")
    except (ValueError, TypeError):
        value = math.nan
    if not math.isfinite(value):
        raise DriveError(f"{where}: {column}: expected a finite number, got {text!r}")
    return value


def _timecode(pts_ns: int) -> str:
    seconds, rest = divmod(pts_ns, NS_PER_S)
    frames = round(rest * FRAME_RATE / NS_PER_S, 3)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{frames:06.3f}"


def _four_decimals(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".") if abs(value) >= 5e-5 else "0"
