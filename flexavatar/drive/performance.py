"""Recorded performances: Live Link Face's CSV files in and out.

One row a frame: `Timecode,BlendShapeCount`, 52 ARKit weights in PascalCase, then yaw, pitch and
roll of the head and of both eyes in radians. Columns are found by name, never by place: the order
differs between versions. The eyes' angles are not read, since the eyeLook weights say the same.

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
from pathlib import Path

import numpy as np

from flexavatar.drive.head_angles import HeadAngles
from flexavatar.drive.names import pascal_case
from flexavatar.drive.signal import HeadPose, Signal, weights_of
from flexavatar.errors import DriveError
from flexavatar.head.arkit import ARKIT_NAMES
from flexavatar.types import NS_PER_S

FRAME_RATE = 60
HEAD_COLUMNS = ("HeadYaw", "HeadPitch", "HeadRoll")
EYE_COLUMNS = tuple(
    f"{eye}Eye{axis}" for eye in ("Left", "Right") for axis in ("Yaw", "Pitch", "Roll")
)
TIMECODE_RATES = (24, 25, 30, 48, 50, 60)
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
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except OSError as error:
        raise DriveError(f"performance: cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DriveError(
            f"{path.name}: expected a Live Link Face CSV file, got other data"
        ) from error
    columns = _check_columns(path.name, list(reader.fieldnames or []))
    lines = [(f"{path.name}, line {i}", row) for i, row in enumerate(rows, 2) if _has_face(row)]
    if not lines:
        raise DriveError(f"{path.name}: expected at least one row with a face, got none")
    times = _times_ns([_parse_timecode(where, row["Timecode"]) for where, row in lines])
    frames: list[Signal] = []
    for (where, row), pts_ns in zip(lines, times, strict=True):
        frame = _parse_row(where, row, columns, pts_ns)
        if not frames or pts_ns > frames[-1].pts_ns:
            frames.append(frame)
    return frames


def write_performance(path: Path, frames: Iterable[Signal]) -> None:
    """Write a Live Link Face recording. The eyes' angles are left at zero."""
    shapes = [pascal_case(name) for name in ARKIT_NAMES]
    header = ["Timecode", "BlendShapeCount", *shapes, *HEAD_COLUMNS, *EYE_COLUMNS]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for frame in frames:
            head = frame.neck_pose.head_angles()
            values = [*frame.weights.tolist(), *head, *(0.0 for _ in EYE_COLUMNS)]
            writer.writerow(
                [_timecode(frame.pts_ns), len(values), *(_four_decimals(v) for v in values)]
            )


def at_rate(frames: Sequence[Signal], fps: float) -> Iterator[Signal]:
    """The performance at a steady rate: at each instant the newest frame that is there."""
    times = np.array([frame.pts_ns for frame in frames])
    for i in range(math.floor(times[-1] / NS_PER_S * fps) + 1):
        pts_ns = round(i * NS_PER_S / fps)
        newest = frames[int(np.searchsorted(times, pts_ns, side="right")) - 1]
        yield replace(newest, pts_ns=pts_ns)


def _check_columns(name: str, columns: list[str]) -> dict[str, str]:
    """Column -> ARKit name of the shapes that are there."""
    shapes = {pascal_case(shape): shape for shape in ARKIT_NAMES}
    known = {"Timecode", "BlendShapeCount", *shapes, *HEAD_COLUMNS, *EYE_COLUMNS}
    found = {column: shapes[column] for column in columns if column in shapes}
    if "Timecode" not in columns or not found:
        got = ",".join(map(str, columns[:4])) or "an empty file"
        raise DriveError(
            f"{name}: expected a Live Link Face CSV (Timecode,BlendShapeCount,EyeBlinkLeft,...), "
            f"got {got}"
        )
    if unknown := [str(column) for column in columns if column not in known]:
        raise DriveError(f"{name}: not columns of Live Link Face: {', '.join(unknown[:5])}")
    return found


def _has_face(row: Mapping[str, str]) -> bool:
    """The app writes a count of 0 while it sees no face."""
    return (row.get("BlendShapeCount") or "").strip() != "0"


def _parse_timecode(where: str, text: str) -> tuple[int, float]:
    """`HH:MM:SS:FF.fff` -> whole seconds and frames."""
    try:
        *clock, last = text.strip().split(":")
        hours, minutes, seconds = map(int, clock)
        frames = float(last)
    except (ValueError, AttributeError):
        hours, minutes, seconds, frames = 0, 0, 0, math.nan
    on_clock = 0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds < 60
    if not (on_clock and 0 <= frames <= MAX_TIMECODE_FRAME):
        raise DriveError(f"{where}: expected a timecode HH:MM:SS:FF.fff, got {text!r}")
    return hours * 3600 + minutes * 60 + seconds, frames


def _times_ns(timecodes: Sequence[tuple[int, float]]) -> list[int]:
    """Nanoseconds since the first row; the rate is the lowest that the frame numbers allow."""
    highest = max(frames for _, frames in timecodes)
    whole = timecodes[-1][0] - timecodes[0][0] > 1  # a whole second of frame numbers was seen
    rate = next((r for r in TIMECODE_RATES if highest < r), 60) if whole else FRAME_RATE
    first = timecodes[0][0] + timecodes[0][1] / rate
    spans = (seconds + frames / rate - first for seconds, frames in timecodes)
    return [round((s + 86400 if s < -43200 else s) * NS_PER_S) for s in spans]  # past midnight


def _parse_row(
    where: str, row: Mapping[str, str], columns: Mapping[str, str], pts_ns: int
) -> Signal:
    low, high = WEIGHT_RANGE
    weights = {}
    for column, shape in columns.items():
        value = _number(where, column, row[column])
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
