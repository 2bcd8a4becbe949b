"""CSV files of recorders -> rows by the columns of Live Link Face.

The app's own files have commas and PascalCase names. Spreadsheets make semicolons and decimal
commas of them, other programs write `jawOpen`, `blendShapes.JawOpen` (Audio2Face), seconds instead
of timecodes, no time at all, or no names.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flexavatar.drive.names import arkit_name, pascal_case, without_prefix
from flexavatar.errors import DriveError
from flexavatar.head.arkit import ARKIT_NAMES

TIMECODE, COUNT = "Timecode", "BlendShapeCount"
HEAD_COLUMNS = ("HeadYaw", "HeadPitch", "HeadRoll")
EYE_COLUMNS = tuple(
    f"{eye}Eye{axis}" for eye in ("Left", "Right") for axis in ("Yaw", "Pitch", "Roll")
)
VALUE_COLUMNS = (*map(pascal_case, ARKIT_NAMES), *HEAD_COLUMNS, *EYE_COLUMNS)
OTHER_NAMES = {
    name.lower(): name for name in (TIMECODE, COUNT, *HEAD_COLUMNS, *EYE_COLUMNS)
} | dict.fromkeys(("time", "timestamp", "seconds"), TIMECODE)
COUNTERS = ("", "frame", "index", "framenumber")
"""Columns that number the rows."""
DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")
FIGURE = re.compile(r"[-+]?[\d.:]+(e[-+]?\d+)?", re.IGNORECASE)
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class RecordingTable:
    """What a file holds, by the columns of Live Link Face."""

    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    """The line in the file, and the texts that the row has."""


def read_recording_table(path: Path) -> RecordingTable:
    """Raises DriveError for a file that is no such table."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-16" if data[:2] in UTF_16 else "utf-8-sig")
    except OSError as error:
        raise DriveError(f"performance: cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _other_data(path.name) from error
    delimiter = _delimiter(text)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise _other_data(path.name) from error
    numbered = [(i, line) for i, line in enumerate(lines, 1) if any(map(str.strip, line))]
    header = _header(path.name, numbered[0][1] if numbered else [])
    body = numbered if _is_figures(numbered[0][1]) else numbered[1:]
    if delimiter != ",":
        body = [(i, [DECIMAL_COMMA.sub(".", cell) for cell in line]) for i, line in body]
    rows = [(i, {c: t for c, t in zip(header, line, strict=False) if c}) for i, line in body]
    return RecordingTable(tuple(filter(None, header)), tuple(rows))


def _other_data(name: str) -> DriveError:
    return DriveError(f"{name}: expected a Live Link Face CSV file, got other data")


def _delimiter(text: str) -> str:
    """What stands most often in the first line."""
    first = text.lstrip().partition("\n")[0]
    return max(",;\t", key=first.count)


def _is_figures(line: Sequence[str]) -> bool:
    return len(line) > 1 and all(FIGURE.fullmatch(cell.strip().replace(",", ".")) for cell in line)


def _header(name: str, line: Sequence[str]) -> list[str]:
    """The columns' names in our spelling, "" for those that are not read. Raises DriveError."""
    if _is_figures(line):
        first = {len(VALUE_COLUMNS): (), 1 + len(VALUE_COLUMNS): (TIMECODE,)}
        first[2 + len(VALUE_COLUMNS)] = (TIMECODE, COUNT)
        if len(line) not in first:
            raise DriveError(
                f"{name}: expected names of columns, or {[*first]} numbers a line, got {len(line)}"
            )
        return [*first[len(line)], *VALUE_COLUMNS]
    found = [_column(cell) for cell in line]
    if not {*found} & {*VALUE_COLUMNS[: len(ARKIT_NAMES)]}:
        got = ",".join(line[:4]) or "an empty file"
        raise DriveError(
            f"{name}: expected a Live Link Face CSV (Timecode,BlendShapeCount,EyeBlinkLeft,...), "
            f"got {got}"
        )
    if unknown := [cell for cell, column in zip(line, found, strict=True) if column is None]:
        raise DriveError(f"{name}: not columns of Live Link Face: {', '.join(unknown[:5])}")
    return [column or "" for column in found]


def _column(cell: str) -> str | None:
    """One column's name in our spelling, "" if it is not read, None if it is not known."""
    plain = without_prefix(cell)
    letters = re.sub(r"[^a-z]", "", plain.lower())
    if (shape := arkit_name(cell)) is not None:
        return pascal_case(shape)
    if letters in OTHER_NAMES:
        return OTHER_NAMES[letters]
    return "" if letters in COUNTERS or plain != cell.strip() else None
