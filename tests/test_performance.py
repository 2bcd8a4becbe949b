"""Recordings of Live Link Face, and the one that ships."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from flexavatar.demo.make_performance import make_performance
from flexavatar.drive.head_angles import HeadAngles
from flexavatar.drive.performance import (
    SHIPPED_PERFORMANCE,
    at_rate,
    read_performance,
    write_performance,
)
from flexavatar.drive.signal import Signal
from flexavatar.errors import DriveError
from flexavatar.head.arkit import ARKIT_NAMES, JAW_OPEN
from flexavatar.types import NS_PER_S
from tests.signals import assert_same, frame_of

ROUNDING = 5.1e-5
"""The file holds four decimals."""
HEADER = "Timecode,BlendShapeCount,JawOpen,EyeBlinkLeft"


@pytest.fixture(scope="module")
def shipped() -> list[Signal]:
    return read_performance(SHIPPED_PERFORMANCE)


@pytest.fixture(scope="module")
def table(shipped: list[Signal]) -> np.ndarray:
    """[T, 52] in Apple's order."""
    return np.array([frame.weights for frame in shipped])


@pytest.fixture
def recording(tmp_path: Path) -> Callable[..., Path]:
    """Writes a CSV of these lines."""

    def write(*lines: str) -> Path:
        path = tmp_path / "take.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def angles(frame: Signal) -> HeadAngles:
    return frame.neck_pose.head_angles()


def column(table: np.ndarray, name: str) -> np.ndarray:
    return table[:, ARKIT_NAMES.index(name)]


def test_shipped_performance_is_what_its_script_says(shipped: list[Signal]) -> None:
    for read, written in zip(shipped, make_performance(), strict=True):
        assert (
            abs(read.pts_ns - written.pts_ns) <= NS_PER_S / 60 / 1000
        )  # timecode: 1/1000 of a frame
        assert read.named() == pytest.approx(written.named(), abs=ROUNDING)
        assert angles(read) == pytest.approx(angles(written), abs=ROUNDING)


def test_shipped_performance_lasts_ten_seconds_and_rests_at_both_ends(
    shipped: list[Signal], table: np.ndarray
) -> None:
    assert shipped[-1].pts_ns / NS_PER_S == pytest.approx(10, abs=1 / 59)
    assert table[[0, -1]].max() < 0.01
    assert np.abs([angles(shipped[0]), angles(shipped[-1])]).max() < math.radians(0.5)


def test_shipped_performance_shows_what_it_promises(
    shipped: list[Signal], table: np.ndarray
) -> None:
    yaw = np.degrees([angles(frame).yaw for frame in shipped])
    assert yaw.max() == pytest.approx(25, abs=1.5)  # the sway adds up to 0.7 degrees
    assert yaw.min() == pytest.approx(-25, abs=1.5)
    for name in ("mouthSmileLeft", "mouthPucker", "cheekPuff", "browInnerUp"):
        assert column(table, name).max() > 0.75, name
    for name in ("eyeLookOutLeft", "eyeLookInLeft", "eyeLookUpLeft", "eyeLookDownLeft"):
        assert column(table, name).max() > 0.3, name
    blinks = column(table, "eyeBlinkLeft") > 0.95
    assert np.sum(blinks[1:] & ~blinks[:-1]) >= 5


def test_lips_meet_for_the_m(table: np.ndarray) -> None:
    seconds = np.arange(len(table)) / 60
    during = (seconds > 4.42) & (seconds < 4.48)
    assert column(table, "jawOpen")[during].max() < 0.03


def test_motion_is_no_faster_than_a_blink(table: np.ndarray) -> None:
    # the lid closes in 55 ms along a minimum-jerk path, whose top speed is 15/8 of the mean one,
    # and a saccade of 60 degrees takes 153 ms: nothing else may be quicker than the lid
    assert np.abs(np.diff(table, axis=0)).max() < 15 / 8 / 60 / 0.055 + 0.01


def test_reading_gives_back_what_was_written(tmp_path: Path) -> None:
    rows = [{n: (i + k) % 11 / 10 for k, n in enumerate(ARKIT_NAMES)} for i in range(150)]
    frames = [frame_of(i * NS_PER_S // 60, row, (0.1 * i, -0.2, 0.3)) for i, row in enumerate(rows)]
    write_performance(tmp_path / "a.csv", frames)
    for read, written in zip(read_performance(tmp_path / "a.csv"), frames, strict=True):
        assert abs(read.pts_ns - written.pts_ns) <= NS_PER_S / 60 / 1000
        assert read.named() == pytest.approx(written.named(), abs=ROUNDING)
        assert angles(read) == pytest.approx(angles(written), abs=ROUNDING)


def test_columns_are_found_by_name_in_any_order(recording: Callable[..., Path]) -> None:
    path = recording("JawOpen,HeadYaw,Timecode,BlendShapeCount", "0.5,0.25,00:00:01:00.000,61")
    (frame,) = read_performance(path)
    assert frame.named() == {"jawOpen": 0.5}
    assert frame.neck_pose == HeadAngles(0.25, 0, 0).axis_angle()


def test_rows_without_a_face_and_repeated_timecodes_are_left_out(
    recording: Callable[..., Path],
) -> None:
    path = recording(
        HEADER,
        "23:59:59:59.000,61,0.1,0",
        "23:59:59:59.000,61,0.2,0",
        "00:00:00:00.000,0,,",
        "00:00:00:01.000,61,0.3,0",
    )
    frames = read_performance(path)
    assert [f.weights[JAW_OPEN] for f in frames] == [np.float32(0.1), np.float32(0.3)]
    assert frames[1].pts_ns == pytest.approx(2 * NS_PER_S / 60, abs=2)  # midnight is no gap


def test_a_clock_that_jumps_back_loses_rows_until_it_is_later_again(
    recording: Callable[..., Path],
) -> None:
    frames = (10, 20, 5, 15, 21)  # 15 is later than 5, but not than the last row that was kept
    rows = [f"00:00:00:{f:02}.000,61,0.{f:02},0" for f in frames]
    kept = read_performance(recording(HEADER, *rows))
    assert [f.weights[JAW_OPEN] for f in kept] == [np.float32(w) for w in (0.10, 0.20, 0.21)]
    assert [frame.pts_ns for frame in kept] == [0, *(round(f * NS_PER_S / 60) for f in (10, 11))]


@pytest.mark.parametrize("rate", [24, 30, 60])
def test_rate_is_read_off_the_frame_numbers(recording: Callable[..., Path], rate: int) -> None:
    rows = [f"01:00:0{i // rate}:{i % rate:02}.000,61,0,0" for i in range(3 * rate)]
    frames = read_performance(recording(HEADER, *rows))
    assert frames[-1].pts_ns == pytest.approx((3 * rate - 1) * NS_PER_S / rate, abs=2)


def test_a_little_out_of_range_is_clipped(recording: Callable[..., Path]) -> None:
    (frame,) = read_performance(recording(HEADER, "00:00:00:00.000,61,1.2,-0.1"))
    assert frame.named() == {"jawOpen": 1.0, "eyeBlinkLeft": 0.0}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "expected a Live Link Face CSV"),
        (["a,b,c", "1,2,3"], r"expected a Live Link Face CSV .*, got a,b,c"),
        ([HEADER], "expected at least one row with a face"),
        (["Timecode,BlendShapeCount,JawOpen,JawOpne", "00:00:00:00.000,61,0,0"], "JawOpne"),
        ([HEADER, "00:00:00:00.000,61,nan,0"], r"line 2: JawOpen: expected a finite number"),
        ([HEADER, "00:00:00:00.000,61,0,inf"], r"line 2: EyeBlinkLeft: expected a finite"),
        ([HEADER, "00:00:00:00.000,61,much,0"], r"line 2: JawOpen: .* got 'much'"),
        ([HEADER, "00:00:00:00.000,61,0.5"], r"line 2: EyeBlinkLeft: expected a finite number"),
        ([HEADER, "00:00:00:00.000,61,50,0"], r"line 2: JawOpen: expected 0..1, got 50"),
        ([HEADER, "noon,61,0,0"], r"line 2: expected a timecode HH:MM:SS:FF.fff, got 'noon'"),
        ([HEADER, "00:00:00:nan,61,0,0"], r"line 2: expected a timecode .*, got '00:00:00:nan'"),
        ([HEADER, "00:00:00:inf,61,0,0"], r"line 2: expected a timecode .*, got '00:00:00:inf'"),
        ([HEADER, "00:00:00:-1,61,0,0"], r"line 2: expected a timecode .*, got '00:00:00:-1'"),
        ([HEADER, "00:60:00:00,61,0,0"], r"line 2: expected a timecode .*, got '00:60:00:00'"),
        ([HEADER, "00:00:00,61,0,0"], r"line 2: expected a timecode .*, got '00:00:00'"),
        ([HEADER, "00:00:00:00.000,0,,"], "at least one row with a face"),
    ],
)
def test_bad_files_are_refused_with_what_was_expected(
    recording: Callable[..., Path], lines: list[str], message: str
) -> None:
    with pytest.raises(DriveError, match=message):
        read_performance(recording(*lines))


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DriveError, match="cannot read"):
        read_performance(tmp_path / "absent.csv")
    (tmp_path / "photo.csv").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF")
    with pytest.raises(DriveError, match="expected a Live Link Face CSV"):
        read_performance(tmp_path / "photo.csv")


@given(st.tuples(*[st.floats(-1.2, 1.2)] * 3))
def test_neck_pose_turns_the_nose_where_the_angles_say(head: tuple[float, float, float]) -> None:
    yaw, pitch, _ = head
    turn = Rotation.from_rotvec(HeadAngles(*head).axis_angle())
    nose = turn.apply([0, 0, 1])  # head frame: left is +x, up is +y
    expected = [math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)]
    assert nose == pytest.approx(expected, abs=1e-9)  # float64 trigonometry


def test_roll_leans_to_the_right_shoulder() -> None:
    crown = Rotation.from_rotvec(HeadAngles(0, 0, 0.3).axis_angle()).apply([0, 1, 0])
    assert crown[0] < 0


def test_steady_rate_takes_the_newest_frame_that_is_there() -> None:
    frames = [frame_of(ms * 1_000_000, {"jawOpen": ms / 1000}, (0, 0, 0)) for ms in
              (0, 90, 210, 400)]  # fmt: skip
    steady = list(at_rate(frames, 10))
    assert [f.weights[JAW_OPEN] for f in steady] == [
        np.float32(w) for w in (0, 0.09, 0.09, 0.21, 0.4)
    ]
    assert [f.pts_ns for f in steady] == [i * NS_PER_S // 10 for i in range(5)]
    (only,) = at_rate([replace(frames[0])], 30)
    assert_same(only, frames[0])
