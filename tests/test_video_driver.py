"""Landmarks to weights: what a face at rest, a turned head, and a person before a camera give."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from flexavatar.capture import topology
from flexavatar.capture.landmark_rig import load_landmark_rig
from flexavatar.capture.landmarks import FaceLandmarks
from flexavatar.capture.photo import read_photo
from flexavatar.demo import SHIPPED_PORTRAIT
from flexavatar.drive import face_reader, video
from flexavatar.drive.face_reader import (
    features,
    load_face_reader,
    median_rest_face,
    normalize_face,
    rotation_since_rest,
)
from flexavatar.drive.head_angles import HeadAngles
from flexavatar.drive.signal import WEBCAM, Signal
from flexavatar.drive.video import VideoConfig, VideoDriver, video_performance
from flexavatar.errors import AssetError
from flexavatar.head.arkit import ARKIT_INDEX, ARKIT_NAMES
from flexavatar.types import NS_PER_S
from tests.signals import signal_of

PICTURE = np.zeros((480, 640, 3), np.uint8)
AT_REST = dict.fromkeys(ARKIT_NAMES, 0.02)
FRAME_NS = NS_PER_S // 25


def face(
    shapes: Mapping[str, float] | None = None,
    scores: Mapping[str, float] | None = None,
    turn: Rotation | None = None,
    size: float = 900.0,
    middle: tuple[float, float] = (320, 240),
) -> FaceLandmarks:
    """The rig's landmarks with these shapes, as a camera far away sees them."""
    rig = load_landmark_rig()
    weights = np.zeros(52)
    for name, value in (shapes or {}).items():
        weights[ARKIT_INDEX[name]] = value
    points = rig.points + rig.expression @ weights
    points = (points - points.mean(0)) @ (turn or Rotation.identity()).as_matrix().T
    pixels = size * points * (1, -1, -1) + (*middle, 0)
    return FaceLandmarks(pixels.astype(np.float32), {**AT_REST, **(scores or {})})


# ---- landmarks


def test_place_size_and_turn_are_taken_away() -> None:
    upright = load_face_reader().upright
    rest = median_rest_face([normalize_face(face(), upright)], upright)
    shown = {"jawOpen": 0.5}
    there = features(normalize_face(face(shown), rest.points), rest)
    turned = Rotation.from_rotvec((0.2, 0.4, -0.1))
    elsewhere = face(shown, turn=turned, size=400.0, middle=(100, 300))
    found = features(normalize_face(elsewhere, rest.points), rest)
    points = slice(0, 3 * topology.COUNT)
    np.testing.assert_allclose(found[points], there[points], atol=1e-3)  # float32 pixels


@pytest.mark.parametrize("tilt", [0.0, 0.35])
def test_turns_are_since_rest_also_from_below(tilt: float) -> None:
    """A camera below the screen: yaw stays yaw."""
    upright = load_face_reader().upright
    camera = Rotation.from_rotvec((-tilt, 0, 0))
    rest = median_rest_face([normalize_face(face(turn=camera), upright)], upright)
    turned = HeadAngles(0.4, 0.1, -0.2).axis_angle()
    seen = normalize_face(face(turn=camera * Rotation.from_rotvec(turned)), rest.points)
    assert rotation_since_rest(seen, rest) == pytest.approx(turned, abs=2e-3)
    assert rotation_since_rest(
        normalize_face(face(turn=camera), rest.points), rest
    ) == pytest.approx((0, 0, 0), abs=2e-3)


def test_a_resting_face_is_nothing_whatever_it_looks_like() -> None:
    reader = load_face_reader()
    frowning = face({"browDownLeft": 0.5, "browDownRight": 0.5}, {"browDownLeft": 0.6})
    rest = median_rest_face([normalize_face(frowning, reader.upright)], reader.upright)
    weights = reader.weights(normalize_face(frowning, rest.points), rest)
    assert max(weights.values()) < 1e-6


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jawOpen", 1.0), ("eyeBlinkLeft", 1.0), ("mouthSmileRight", 1.0), ("mouthPucker", 1.0),
        ("noseSneerLeft", 1.0),
    ],
)  # fmt: skip
def test_shapes_of_the_rig_are_read(name: str, value: float) -> None:
    """Scores do not help here; for some shapes MediaPipe's never do."""
    reader = load_face_reader()
    rest = median_rest_face([normalize_face(face(), reader.upright)], reader.upright)
    weights = reader.weights(normalize_face(face({name: value}), rest.points), rest)
    assert weights[name] > (0.1 if name.startswith("nose") else 0.25)
    assert 0 <= min(weights.values()) <= max(weights.values()) <= 1


def test_both_eyes_look_the_same_way() -> None:
    reader = load_face_reader()
    rest = median_rest_face([normalize_face(face(), reader.upright)], reader.upright)
    seen = normalize_face(face(), rest.points)
    moved = replace(seen, irises=rest.irises + np.array([0.1, 0, 0.05, 0]))
    weights = reader.weights(moved, rest)
    assert weights["eyeLookOutLeft"] == weights["eyeLookInRight"] > 0
    assert weights["eyeLookInLeft"] == weights["eyeLookOutRight"]


def test_what_it_cannot_see_it_does_not_send() -> None:
    names = load_face_reader().names
    assert "jawOpen" in names
    assert "tongueOut" not in names
    assert [*names] == [name for name in ARKIT_NAMES if name in names]


def test_a_map_that_is_missing_or_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (None, b"nothing"):
        path = tmp_path / "face_reader.safetensors"
        if content is not None:
            path.write_bytes(content)
        monkeypatch.setattr(face_reader, "PATH", path)
        face_reader.load_face_reader.cache_clear()
        with pytest.raises(AssetError, match="face reader: expected a map"):
            load_face_reader()
    face_reader.load_face_reader.cache_clear()


# ---- a person before a camera


class Scene:
    """What MediaPipe would see; pictures of other sizes are parts of this one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.faces: list[FaceLandmarks] = []
        monkeypatch.setattr(video, "_detect_scaled", lambda rgb, corner, longest: self.faces)
        self.driver = VideoDriver()
        self.now_ns = 0

    def show(self, *faces: FaceLandmarks, seconds: float = 0.04) -> Signal | None:
        """These for so long."""
        self.faces = sorted(faces, key=lambda one: -one.width)
        tracked = None
        for _ in range(round(seconds / 0.04)):
            tracked = self.driver.push(PICTURE, self.now_ns)
            self.now_ns += FRAME_NS
        return tracked

    def pictures(self, faces: Sequence[FaceLandmarks]) -> Iterator[np.ndarray]:
        """One of each."""
        for one in faces:
            self.faces = [one]
            yield PICTURE


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def test_two_seconds_calibrate(scene: Scene) -> None:
    tilted = Rotation.from_rotvec((0.2, 0, 0))
    scene.show(face(turn=tilted), seconds=1.9)
    assert not scene.driver.calibrated
    tracked = scene.show(face(turn=tilted), seconds=0.2)
    assert scene.driver.calibrated
    assert tracked is not None
    assert tracked.neck_pose == pytest.approx((0, 0, 0), abs=2e-3)
    assert tracked.weights.max() < 0.01
    assert tracked.pts_ns == scene.now_ns - FRAME_NS
    scene.show(face({"browInnerUp": 1.0}), seconds=5.0)
    tracked = scene.show(face())  # what comes later is not taken for rest
    assert tracked is not None
    assert tracked.weight("browInnerUp") < 0.1


def test_who_talks_and_blinks_meanwhile_is_calibrated_too(scene: Scene) -> None:
    for i in range(52):
        talks = face({"jawOpen": 0.8}, {"jawOpen": 0.6})
        blinks = face({"eyeBlinkLeft": 1, "eyeBlinkRight": 1}, {"eyeBlinkLeft": 0.6})
        scene.show((face(), talks, face(), blinks, talks)[i % 5])
    tracked = scene.show(face())
    assert tracked is not None
    assert tracked.weights.max() < 0.05


def test_calibrating_anew(scene: Scene) -> None:
    scene.show(face(), seconds=2.2)
    smiles = face({"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0})
    tracked = scene.show(smiles)
    assert tracked is not None
    assert tracked.weight("mouthSmileLeft") > 0.3
    scene.driver.recalibrate()
    tracked = scene.show(smiles, seconds=2.2)
    assert tracked is not None
    assert tracked.weight("mouthSmileLeft") < 0.01


def test_calibrating_anew_from_another_thread(scene: Scene) -> None:
    """A key of the window, pressed over and over while pictures come in."""
    pushing = threading.Event()

    def press() -> None:
        while pushing.is_set():
            scene.driver.recalibrate()

    pushing.set()
    key = threading.Thread(target=press)
    key.start()
    try:
        for _ in range(400):
            assert scene.show(face()) is not None
    finally:
        pushing.clear()
        key.join()
    scene.show(face(), seconds=2.2)
    assert scene.driver.calibrated


def test_a_recording_may_begin_with_a_grin(scene: Scene) -> None:
    grin = {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0, "jawOpen": 0.4}
    scores = {"mouthSmileLeft": 0.9, "mouthSmileRight": 0.9, "jawOpen": 0.3}
    looked_through = [*(10 * [face(grin, scores)]), *(4 * [face()]), *(6 * [face(grin, scores)])]
    scene.driver.calibrate_on(scene.pictures(looked_through))
    assert scene.driver.calibrated
    tracked = scene.show(face(grin, scores))
    assert tracked is not None
    assert tracked.weight("mouthSmileLeft") > 0.3
    tracked = scene.show(face())
    assert tracked is not None
    assert tracked.weights.max() < 0.05


def test_nobody_is_none_and_the_same_person_goes_on(scene: Scene) -> None:
    scene.show(face(), seconds=2.2)
    assert scene.show() is None
    assert scene.driver.face is None
    assert scene.show(face()) is not None
    assert scene.driver.calibrated


def test_a_passer_by_is_not_followed(scene: Scene) -> None:
    scene.show(face(middle=(200, 240)), seconds=2.2)
    scene.show(face(size=1400, middle=(500, 240)), face(middle=(205, 240)))
    assert scene.driver.face is not None
    assert scene.driver.face.centre[0] == pytest.approx(205, abs=15)


def test_when_the_mouth_is_hidden(scene: Scene) -> None:
    scene.show(face(), seconds=2.2)
    away = Rotation.from_rotvec((0, np.radians(VideoConfig().hidden_turn_deg + 5), 0))
    for shown, hidden in (
        (face(), 0.0),
        (face(turn=away), 1.0),
        (face(middle=(320, 450)), 1.0),  # the chin is below the picture
    ):
        tracked = scene.show(shown)
        assert tracked is not None
        assert tracked.mouth_hidden == hidden


def test_a_real_portrait_is_found_small_and_large() -> None:
    rgb = read_photo(SHIPPED_PORTRAIT.read_bytes()).rgb
    driver = VideoDriver()
    for time_ns in range(3):
        tracked = driver.push(rgb, time_ns)
        assert tracked is not None
        assert tracked.weights.max() < 0.2
    assert driver.face is not None
    wide = np.zeros((1080, 1920, 3), np.uint8)
    wide[300:812, 1000:1512] = rgb
    lost = VideoDriver()
    assert any(lost.push(wide, time_ns) is not None for time_ns in range(20))
    assert lost.push(wide, 20) is not None
    assert lost.face is not None
    moved = lost.face.points[:, :2] - driver.face.points[:, :2]
    np.testing.assert_allclose(
        moved.mean(0), (1000, 300), atol=3
    )  # pixels of MediaPipe's own noise


def test_a_recording_is_followed_smoothly_and_idles_where_nobody_is() -> None:
    smiling = signal_of({"mouthSmileLeft": 0.8}, (0, 0.3, 0), source=WEBCAM)
    faces = [(i * FRAME_NS, smiling if i < 50 else None) for i in range(100)]
    frames = video_performance(faces)
    assert [frame.pts_ns for frame in frames] == [pts for pts, _ in faces]
    assert frames[45].weight("mouthSmileLeft") == pytest.approx(0.8, abs=0.01)
    assert frames[45].neck_pose.head_angles().yaw == pytest.approx(0.3, abs=0.01)
    assert frames[80].weight("mouthSmileLeft") == 0
    assert abs(frames[80].neck_pose.head_angles().yaw) < 0.1
