"""Recordings as other programs write them: dialects of CSV, other names, other clocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flexavatar.drive.names import pascal_case
from flexavatar.drive.performance import read_performance
from flexavatar.errors import DriveError
from flexavatar.head.arkit import ARKIT_NAMES
from flexavatar.types import NS_PER_S

HEADER = "Timecode,BlendShapeCount,JawOpen,EyeBlinkLeft,HeadYaw"


def saved(folder: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path = folder / "take.csv"
    path.write_bytes("\r\n".join([*lines, ""]).encode(encoding))
    return path


@pytest.mark.parametrize("rate", [24, 25, 30, 48, 50, 60, 120])
@pytest.mark.parametrize("start", [0, 10])
def test_a_clip_of_little_more_than_a_second_keeps_its_pace(
    tmp_path: Path, rate: int, start: int
) -> None:
    """Its jaw follows the time, evenly, whatever the rate and wherever in a second it starts."""
    numbers = range(start, start + round(1.4 * rate))
    rows = [
        f"10:00:{i // rate:02}:{i % rate:02}.250,61,{(i - start) / 200:.4f},0,0" for i in numbers
    ]
    frames = read_performance(saved(tmp_path, HEADER, *rows))
    assert len(frames) == len(rows)
    times = np.array([frame.pts_ns for frame in frames]) / NS_PER_S
    assert np.diff(times) == pytest.approx(1 / rate, abs=1e-6)
    jaws = [frame.weight("jawOpen") for frame in frames]
    assert np.corrcoef(times, jaws)[0, 1] > 0.999


DIALECTS = {
    "semicolons": ["Timecode;BlendShapeCount;JawOpen;EyeBlinkLeft;HeadYaw",
                   "00:00:00:00.000;61;0.5;0.25;0.1", "00:00:00:30.000;61;1;0;0"],
    "decimal commas": ["Timecode;BlendShapeCount;JawOpen;EyeBlinkLeft;HeadYaw",
                       "00:00:00:00,000;61;0,5;0,25;0,1", "00:00:00:30,000;61;1;0;0"],
    "tabs": ["Timecode\tBlendShapeCount\tJawOpen\tEyeBlinkLeft\tHeadYaw",
             "00:00:00:00.000\t61\t0.5\t0.25\t0.1", "00:00:00:30.000\t61\t1\t0\t0"],
    "camelCase": ["timecode,blendShapeCount,jawOpen,eyeBlinkLeft,headYaw",
                  "00:00:00:00.000,61,0.5,0.25,0.1", "00:00:00:30.000,61,1,0,0"],
    "snake_case": ["time,jaw_open,eye_blink_left,head_yaw", "3.0,0.5,0.25,0.1", "3.5,1,0,0"],
    "iFacialMocap's names": ["Timecode,jawOpen,eyeBlink_L,headYaw", "0,0.5,0.25,0.1", "0.5,1,0,0"],
    "Audio2Face": [",timeCode,blendShapes.JawOpen,blendShapes.EyeBlinkLeft,headYaw,"
                   "blendShapes.TongueTipUp", "0,0.0,0.5,0.25,0.1,0.9", "1,0.5,1,0,0,0"],
    "quotes": ['"Timecode","JawOpen","EyeBlinkLeft","HeadYaw"', '"0","0.5","0.25","0.1"',
               '"0.5","1","0","0"'],
    "empty lines": ["", "Timecode,JawOpen,EyeBlinkLeft,HeadYaw", "0,0.5,0.25,0.1", "", "0.5,1,0,0",
                    ",,,"],
}  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_dialects(tmp_path: Path, dialect: str, encoding: str) -> None:
    first, second = read_performance(saved(tmp_path, *DIALECTS[dialect], encoding=encoding))
    assert first.named() == {"jawOpen": 0.5, "eyeBlinkLeft": 0.25}
    assert first.neck_pose.head_angles().yaw == pytest.approx(0.1)
    assert (second.weight("jawOpen"), second.pts_ns) == (1.0, NS_PER_S // 2)


VALUES = [0.0] * 61
VALUES[ARKIT_NAMES.index("jawOpen")], VALUES[52] = 0.5, 0.1


@pytest.mark.parametrize(("before", "step_ns"), [
    ([], NS_PER_S / 60), (["00:00:00:{:02}.000"], NS_PER_S / 60),
    (["00:00:00:{:02}.000", "61"], NS_PER_S / 60), (["{}.5"], NS_PER_S),
])  # fmt: skip
@pytest.mark.parametrize("named", [True, False])
def test_61_columns(tmp_path: Path, before: list[str], step_ns: float, named: bool) -> None:
    """With and without names, time and count."""
    names = ["Timecode", "BlendShapeCount"][: len(before)]
    eyes = [f"{eye}Eye{axis}" for eye in ("Left", "Right") for axis in ("Yaw", "Pitch", "Roll")]
    names += [*map(pascal_case, ARKIT_NAMES), "HeadYaw", "HeadPitch", "HeadRoll", *eyes]
    rows = [",".join([*(part.format(i) for part in before), *map(str, VALUES)]) for i in range(5)]
    frames = read_performance(saved(tmp_path, *([",".join(names)] if named else []), *rows))
    assert [round(frame.pts_ns / step_ns) for frame in frames] == [0, 1, 2, 3, 4]
    assert frames[0].weight("jawOpen") == 0.5
    assert frames[0].neck_pose.head_angles().yaw == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["0.5,0.5,0.5", "1,1,1"], "expected names of columns, or .* numbers a line, got 3"),
        (["time;jawOpen", "0;0,5x"], "line 2: JawOpen: expected a finite number"),
        (["time,jawOpen", "1e300,0.5"], "expected a timecode"),
        (["time,jawOpen,jawOpne", "0,0,0"], "not columns of Live Link Face: jawOpne"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DriveError, match=message):
        read_performance(saved(tmp_path, *lines))
