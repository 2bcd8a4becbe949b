"""The yardstick: figures of avatars, on pictures whose answers are known."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from flexavatar.capture.photo import read_photo
from flexavatar.cli.evaluate import mean_row, publish
from flexavatar.create import CreateConfig, create_avatar
from flexavatar.errors import ImageError, InputError
from flexavatar.evaluation.expressions import expression_report
from flexavatar.evaluation.reenact import evaluate_self
from flexavatar.formats.video import VideoWriter, read_frames
from flexavatar.head.arkit import ARKIT_NAMES

QUICK = CreateConfig(quick=True, quick_steps=10)


@pytest.fixture(scope="module")
def sliding(astronaut: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The portrait, slowly moved and enlarged: a video whose truth is a 2D similarity."""
    rgb = read_photo(astronaut).rgb
    path = tmp_path_factory.mktemp("video") / "sliding.mp4"
    with VideoWriter(path, 512, 512) as video:
        for i in range(8):
            matrix = np.array([[1 + 0.02 * i, 0, -4.0 * i], [0, 1 + 0.02 * i, 2.0 * i]])
            moved = cv2.warpAffine(rgb, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)
            opaque = np.dstack((moved, np.full((512, 512), 255, np.uint8)))
            video.write(np.ascontiguousarray(opaque, np.uint8), i * 40_000_000)
    return path


def test_frames_come_back(sliding: Path) -> None:
    frames = read_frames(sliding)
    assert len(frames) == 8
    assert frames[0].shape == (512, 512, 3)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "not.mp4"
    path.write_bytes(b"no video" * 100)
    with pytest.raises(ImageError, match="cannot be read"):
        read_frames(path)


def test_self_reenactment_of_a_sliding_photo(sliding: Path) -> None:
    shares: list[float] = []
    found = evaluate_self(sliding, 1, QUICK, lambda what, share: shares.append(share))
    assert found.warp_psnr > found.copy_psnr + 3  # dB: the warp knows the motion, the copy does not
    assert found.head_psnr > 22  # dB: the same picture throughout, seen by a quick fit
    assert found.akd_px < 3
    assert found.identity_distance < 0.45  # one person's photos
    assert shares == sorted(shares)


def test_more_frames_than_half_the_video_are_refused(sliding: Path) -> None:
    with pytest.raises(InputError, match="got 5"):
        evaluate_self(sliding, 5, QUICK)


def test_expressions_are_seen_again(astronaut: bytes) -> None:
    report = expression_report(create_avatar([astronaut], QUICK))
    assert [row.shape for row in report.shapes] == list(ARKIT_NAMES)
    assert report.jaw_rest < 0.1
    assert report.jaw_full > 0.4
    assert report.blink_rest < 0.2
    assert report.blink_full > report.blink_rest + 0.15
    assert report.gaze_correlation > 0.8
    assert report.mean_correlation > 0.75


def test_figures_are_printed_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"name": "a", "head_psnr": 20.0}, {"name": "b", "head_psnr": 22.0}]
    path = tmp_path / "deep" / "figures.json"
    publish(rows, path)
    assert mean_row(rows) == {"head_psnr": 21.0}
    assert json.loads(path.read_text()) == {"items": rows, "mean": {"head_psnr": 21.0}}
    assert "mean: head_psnr 21.000" in capsys.readouterr().out
