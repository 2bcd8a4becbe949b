"""The yardstick on whole avatars: pictures and videos whose answers are known."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from flexavatar import cli
from flexavatar.capture.cropped_frame import CroppedFrame, crop_frames, crop_photo
from flexavatar.capture.photo import photo_from_array, read_photo
from flexavatar.create.create import CreateConfig
from flexavatar.errors import FaceError, ImageError, InputError
from flexavatar.evaluation.compare import frame_figures
from flexavatar.evaluation.cross_reenactment import (
    evaluate_cross,
    read_driving_video,
    transfer_pose,
)
from flexavatar.evaluation.expressions import evaluate_expressions
from flexavatar.evaluation.held_out_views import doubling_counts, evaluate_views
from flexavatar.evaluation.report import Item
from flexavatar.evaluation.self_reenactment import evaluate_self
from flexavatar.evaluation.tracked_avatar import (
    TrackedAvatar,
    align_to,
    apd_deg,
    create_from_sources,
    draw,
    track_pose,
)
from flexavatar.formats.video_reader import count_frames, read_frames
from flexavatar.formats.video_writer import VideoWriter
from flexavatar.head.arkit import ARKIT_NAMES

QUICK = CreateConfig(quick=True, quick_steps=10)
FRAMES = 6


@pytest.fixture(scope="module")
def sliding(astronaut: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The portrait, slowly moved and enlarged: a video whose truth is a 2D similarity."""
    rgb = read_photo(astronaut).rgb
    path = tmp_path_factory.mktemp("video") / "sliding.mp4"
    with VideoWriter(path, 512, 512) as video:
        for i in range(FRAMES):
            matrix = np.array([[1 + 0.02 * i, 0, -4.0 * i], [0, 1 + 0.02 * i, 2.0 * i]])
            moved = cv2.warpAffine(rgb, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)
            opaque = np.dstack((moved, np.full((512, 512), 255, np.uint8)))
            video.write(np.ascontiguousarray(opaque, np.uint8), i * 40_000_000)
    return path


@pytest.fixture(scope="module")
def avatar(astronaut: bytes) -> TrackedAvatar:
    return create_from_sources([astronaut], QUICK, lambda what, share: None)


@pytest.fixture(scope="module")
def cropped(astronaut: bytes) -> CroppedFrame:
    return crop_photo(read_photo(astronaut))


def test_frames_come_back(sliding: Path) -> None:
    frames = read_frames(sliding)
    assert len(frames) == count_frames(sliding) == FRAMES
    assert frames[0].shape == (512, 512, 3)
    picked = read_frames(sliding, [5, 2])
    np.testing.assert_array_equal(picked, [frames[2], frames[5]])


def test_a_frame_that_is_not_there_is_refused(sliding: Path) -> None:
    with pytest.raises(InputError, match="no frame 6"):
        read_frames(sliding, [0, FRAMES])


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "not.mp4"
    path.write_bytes(b"no video" * 100)
    with pytest.raises(ImageError, match="cannot be read"):
        read_frames(path)


def test_self_reenactment_of_a_sliding_photo(sliding: Path) -> None:
    shares: list[float] = []
    item = evaluate_self(sliding, 1, QUICK, lambda what, share: shares.append(share))
    found = item.figures
    assert found["warp_psnr"] > found["copy_psnr"] + 3  # dB: only the warp knows the motion
    assert found["head_psnr"] > 22  # dB: the same picture throughout, seen by a quick fit
    assert found["akd_px"] < 3
    assert found["identity_distance"] < 0.45  # one person's photos
    assert found["haarpsi_distance"] < 0.5
    assert found["aed"] < 0.05  # of 1: one face throughout
    assert found["apd_deg"] < 3
    assert found["unseen"] == 0
    assert found["jitter_px"] < found["truth_jitter_px"] + 1
    assert found["tof_px"] < 3
    assert len(item.pictures) == FRAMES - 1
    assert shares == sorted(shares)


def test_more_frames_than_half_the_video_are_refused(sliding: Path) -> None:
    with pytest.raises(InputError, match="got 5"):
        evaluate_self(sliding, 5, QUICK)


def test_an_avatar_without_a_face_is_counted_and_not_scored(
    avatar: TrackedAvatar, cropped: CroppedFrame
) -> None:
    driving = align_to(cropped.portrait, avatar)
    empty = np.full_like(cropped.on_grey, 0.5)
    figures = frame_figures(empty, cropped, avatar, driving)
    assert figures["unseen"] == 1
    assert np.isnan([figures[k] for k in ("identity_distance", "akd_px", "aed", "apd_deg")]).all()
    assert (
        figures["head_psnr"] < frame_figures(cropped.on_grey, cropped, avatar, driving)["head_psnr"]
    )


def test_the_truth_against_itself(avatar: TrackedAvatar, cropped: CroppedFrame) -> None:
    figures = frame_figures(cropped.on_grey, cropped, avatar, align_to(cropped.portrait, avatar))
    assert figures["head_psnr"] == 99.0
    assert figures["head_ssim"] == pytest.approx(1, abs=1e-4)  # float32 sums
    assert figures["haarpsi_distance"] == pytest.approx(0, abs=1e-6)
    assert figures["akd_px"] < 1.5  # the detector, on another background
    assert figures["identity_distance"] < 0.2
    assert figures["apd_deg"] < 1


def test_head_and_hull_lie_where_they_should(cropped: CroppedFrame) -> None:
    head, hull = cropped.head_mask, cropped.hull_mask
    assert 0.9 < (head & hull).sum() / hull.sum() <= 1  # only the chin's curve hangs lower
    assert head.sum() > 1.3 * hull.sum()  # hair and ears
    assert not head[cropped.portrait.matte < 0.5].any()


def test_frames_without_a_face_are_left_out(tmp_path: Path, astronaut: bytes) -> None:
    rgb = read_photo(astronaut).rgb
    path = tmp_path / "gone.mp4"
    with VideoWriter(path, 512, 512) as video:
        for i, shade in enumerate((1.0, 0.0, 1.0)):
            opaque = np.dstack(((rgb * shade).astype(np.uint8), np.full((512, 512), 255, np.uint8)))
            video.write(np.ascontiguousarray(opaque), i * 40_000_000)
    assert [seen is not None for _, seen in crop_frames(path, range(3))] == [True, False, True]
    assert read_driving_video(path).numbers == (0, 2)


def test_a_driver_without_a_face_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "grey.mp4"
    with VideoWriter(path, 64, 64) as video:
        video.write(np.full((64, 64, 4), 255, np.uint8), 0)
    with pytest.raises(FaceError, match="found none"):
        read_driving_video(path)


def test_driver_passes_on_motion_and_not_identity(
    avatar: TrackedAvatar, cropped: CroppedFrame, shared_data: Path
) -> None:
    photo = read_photo((shared_data / "portraits/obama.jpg").read_bytes())
    other = crop_photo(photo).portrait
    driver = track_pose(other, np.zeros_like(avatar.betas))
    own = track_pose(cropped.portrait, avatar.betas)
    driving = transfer_pose(driver, own, avatar)
    np.testing.assert_array_equal(driving.tracked.weights, driver.weights)
    assert apd_deg(driving.tracked, driver) == pytest.approx(0, abs=1e-3)  # arccos near 1
    assert driving.tracked.focal_px == own.focal_px
    shown = draw(avatar, driving)
    face = crop_photo(photo_from_array((shown * 255).astype(np.uint8))).portrait
    assert apd_deg(track_pose(face, avatar.betas), driver) < 6  # degrees: seen again in the picture


def test_cross_reenactment_keeps_the_person(sliding: Path, shared_data: Path) -> None:
    driver = read_driving_video(sliding, 3)
    photo = (shared_data / "portraits/obama.jpg").read_bytes()
    item = evaluate_cross(driver, photo, "obama", QUICK)
    assert len(driver.numbers) == len(item.pictures) == 3
    assert item.figures["identity_distance"] < 0.6  # dlib's own threshold for one person
    assert item.figures["aed"] < 0.15
    assert item.figures["apd_deg"] < 8


def test_more_views_are_counted(shared_data: Path) -> None:
    names = ("obama.jpg", "obama2.jpg")
    photos = [(shared_data / "portraits" / name).read_bytes() for name in names]
    item = evaluate_views(photos, 2, "obama2.jpg", QUICK)
    assert item.figures["photos"] == 1
    assert item.figures["gain_db"] == 0
    assert item.figures["head_psnr"] > 10  # dB: another day, another light
    assert item.curves["head_psnr over photos"] == [(1.0, item.figures["head_psnr"])]
    assert len(item.pictures) == 2


@pytest.mark.parametrize(("held", "count"), [(0, 2), (3, 2), (1, 1)])
def test_views_that_do_not_exist_are_refused(astronaut: bytes, held: int, count: int) -> None:
    with pytest.raises(InputError, match="expected"):
        evaluate_views([astronaut] * count, held, "astronaut", QUICK)


def test_views_double_up_to_all() -> None:
    assert [doubling_counts(n) for n in (1, 2, 3, 4, 6)] == [
        [1],
        [1, 2],
        [1, 2, 3],
        [1, 2, 4],
        [1, 2, 4, 6],
    ]


def test_expressions_are_seen_again(avatar: TrackedAvatar) -> None:
    item = evaluate_expressions(avatar.animator.avatar, "astronaut")
    found = item.figures
    assert [row["shape"] for row in item.tables["shapes"]] == list(ARKIT_NAMES)
    assert found["jaw_rest"] < 0.1
    assert found["jaw_full"] > 0.4
    assert found["blink_rest"] < 0.2
    assert found["blink_full"] > found["blink_rest"] + 0.15
    assert found["gaze_correlation"] > 0.8
    assert found["correlation"] > 0.75
    assert found["lid_closure"] > 0.3
    assert found["lip_gap_open"] > found["lip_gap_rest"] + 0.05
    assert found["lip_closure"] > 0.5
    assert found["combination_kept"] > 0.5
    assert found["unseen"] == 0
    assert len(item.pictures) == 1 + len(ARKIT_NAMES) + len(item.tables["combinations"])


def test_command_writes_page_and_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def scored(video: Path, frames: int, config: CreateConfig, report: object) -> Item:
        assert (frames, config.quick) == (3, True)
        return Item(video.name, {"head_psnr": 20.0 + len(video.stem)})

    monkeypatch.setattr("flexavatar.evaluation.self_reenactment.evaluate_self", scored)
    monkeypatch.chdir(tmp_path)
    asked = "evaluate self a.mp4 abc.mp4 --frames 3 --quick --json deep/figures.json"
    assert cli.run(asked.split()) == 0
    found = json.loads(Path("deep/figures.json").read_text())
    assert [item["name"] for item in found["items"]] == ["a.mp4", "abc.mp4"]
    assert found["mean"] == {"head_psnr": 22.0}
    assert "NeRSemble" in Path("out/evaluate-self.html").read_text()
    assert "mean: head_psnr 22" in capsys.readouterr().out
