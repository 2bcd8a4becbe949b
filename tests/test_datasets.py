"""Data sets' folders as their makers write them, in small, through the protocols."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from flexavatar.cli import run
from flexavatar.create.create import CreateConfig
from flexavatar.errors import FaceError, ImageError, InputError
from flexavatar.evaluation.datasets import ava256, nersemble, protocol, recordings, vfhq
from flexavatar.evaluation.datasets.protocol import (
    DatasetConfig,
    evaluate_dataset,
    published_results,
)
from flexavatar.evaluation.datasets.recordings import as_png, pictures_in, read_rgb
from flexavatar.evaluation.report import Item
from flexavatar.formats.video_reader import read_frames
from flexavatar.formats.video_writer import VideoWriter

SIZE = 64


def frame(level: int) -> NDArray[np.uint8]:
    """A picture that knows its number."""
    rgb = np.full((SIZE, SIZE, 3), level, np.uint8)
    rgb[:, : SIZE // 2, 0] = 255 - level
    return rgb


def write_clip(folder: Path, levels: range) -> None:
    folder.mkdir(parents=True)
    for i, level in enumerate(levels):
        Image.fromarray(frame(level)).save(folder / f"{i:08d}.png")


def write_video(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rgba = np.concatenate((frame(level), np.full((SIZE, SIZE, 1), 255, np.uint8)), -1)
    with VideoWriter(path, SIZE, SIZE) as video:
        for i in range(3):
            video.write(rgba, i * 40_000_000)


@pytest.fixture
def vfhq_folder(tmp_path: Path) -> Path:
    """Two clips as frames, one as a video, and what is none of them."""
    root = tmp_path / "vfhq"
    write_clip(root / "Interval1_512x512" / "Clip+bbb+P0+C0+F1-4", range(10, 14))
    write_clip(root / "Interval1_512x512" / "Clip+aaa+P1+C0+F7-9", range(20, 23))
    write_video(root / "Clip+ccc+P0+C2+F0-2.mp4", 100)
    (root / "Clip+empty+P0+C0+F0-0").mkdir()
    (root / "Clip+meta.txt").write_text("")
    (root / "other").mkdir()
    return root


@pytest.fixture
def nersemble_folder(tmp_path: Path) -> Path:
    """Two people of the benchmark; one sequence was not seen from the front."""
    root = tmp_path / "nersemble"
    for person, sequence, cameras in (
        ("393", "EMO-1-shout+laugh", (nersemble.FRONT, "222200046")),
        ("404", "FREE", (nersemble.FRONT,)),
        ("404", "HAIR", ("222200046",)),
    ):
        for i, camera in enumerate(cameras):
            images = root / "mono_flame_avatar" / person / "sequences" / sequence / "images"
            write_video(images / f"cam_{camera}.mp4", 40 * (i + 1))
    return root


@pytest.fixture
def faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every picture has a face, turned by its level: 100 looks ahead, 0 has none."""

    def turn_in(picture: NDArray[np.uint8]) -> float | None:
        level = int(picture[0, -1, 1])
        return None if level < 5 else (level - 100) / 100

    monkeypatch.setattr(recordings, "_turn_or_none", turn_in)


def test_vfhq_clips_are_found_and_sorted(vfhq_folder: Path) -> None:
    found = vfhq.face_videos(vfhq_folder)
    assert [r.name.split("+")[1] for r in found] == ["aaa", "bbb", "ccc"]
    assert len(pictures_in(found[1].source)) == 4


def test_frames_become_a_video_without_loss(vfhq_folder: Path) -> None:
    clip = vfhq.face_videos(vfhq_folder)[0]
    with clip.video() as path:
        frames = read_frames(path)
    np.testing.assert_array_equal(frames, [frame(level) for level in range(20, 23)])
    assert not path.exists()
    np.testing.assert_array_equal(read_rgb(clip.first_frame(), "first"), frame(20))


def test_frames_of_two_sizes_are_refused(tmp_path: Path) -> None:
    write_clip(tmp_path / "Clip+a", range(2))
    Image.fromarray(frame(3)[:32]).save(tmp_path / "Clip+a" / "00000002.png")
    (clip,) = vfhq.face_videos(tmp_path)
    with pytest.raises(ImageError, match="expected 64 x 64, got 64 x 32"):
        clip.video().__enter__()


def test_a_video_is_taken_as_it_is(vfhq_folder: Path) -> None:
    clip = vfhq.face_videos(vfhq_folder)[2]
    with clip.video() as path:
        assert path == clip.source
    first = read_rgb(clip.first_frame(), "first").astype(int)
    assert np.abs(first - frame(100)).mean() < 4  # H.264 at half the colours' resolution


def test_nersemble_recordings_are_the_front_camera(nersemble_folder: Path) -> None:
    found = nersemble.face_videos(nersemble_folder)
    assert [r.name for r in found] == ["393 EMO-1-shout+laugh", "404 FREE"]
    assert all(r.source.name == f"cam_{nersemble.FRONT}.mp4" for r in found)
    # the data set itself has no folder for the task
    assert len(nersemble.face_videos(nersemble_folder / "mono_flame_avatar")) == 2


@pytest.mark.usefixtures("faces")
def test_nersemble_moments_need_two_cameras(nersemble_folder: Path) -> None:
    (moment,) = nersemble.multi_view_frames(nersemble_folder)
    assert moment.name == "393 EMO-1-shout+laugh"
    assert len(moment.photos) == 2


@pytest.mark.usefixtures("faces")
@pytest.mark.parametrize(("folder", "suffix"), [("image", ".avif"), ("images/EXP_A", ".png")])
def test_ava_moments_come_from_archives(tmp_path: Path, folder: str, suffix: str) -> None:
    decoder = tmp_path / "m--20210101--0000--ABC123--pilot--GHS" / "decoder"
    (decoder / folder).mkdir(parents=True)
    for camera, level in enumerate((0, 40, 95, 150, 190)):
        with ZipFile(decoder / folder / f"cam40{camera:04d}.zip", "w") as archive:
            for number in (7, 8, 9)[: 2 if camera else 3]:
                data = io.BytesIO()
                Image.fromarray(frame(level)).save(data, suffix[1:].upper())
                archive.writestr(f"cam40{camera:04d}/{number:06d}{suffix}", data.getvalue())
    (decoder / "mesh").mkdir()
    with ZipFile(decoder / "mesh" / "EXP_A.zip", "w") as archive:
        archive.writestr("000007.png", as_png(frame(120)))
    (moment,) = ava256.multi_view_frames(tmp_path)
    assert moment.name.startswith("m--20210101")
    levels = [int(read_rgb(photo, "")[0, -1, 1]) for photo in moment.photos]
    assert [round(level, -1) for level in levels] == [100, 40, 190, 150]


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    images = tmp_path / "capture" / "decoder" / "image"
    images.mkdir(parents=True)
    (images / "cam1.zip").write_text("nothing")
    with pytest.raises(ImageError, match=r"cam1\.zip"):
        list(ava256.multi_view_frames(tmp_path))


@pytest.mark.usefixtures("faces")
@pytest.mark.parametrize("count", [2, 3, 5, 9, 16])
def test_the_most_frontal_comes_first_and_one_is_held(count: int) -> None:
    levels = np.linspace(10, 180, count).astype(int)
    chosen = recordings.choose_views([frame(int(level)) for level in levels])
    seen = [int(read_rgb(photo, "")[0, -1, 1]) for photo in chosen]
    assert len(set(seen)) == len(seen) == min(count, recordings.MOST_INPUTS + 1)
    assert abs(seen[0] - 100) == np.abs(levels - 100).min()
    assert recordings.choose_views([frame(0), frame(100)]) == ()


def test_faces_turn_the_right_way(astronaut: bytes) -> None:
    picture = read_rgb(astronaut, "astronaut")
    turned = recordings._turn_or_none(picture)
    mirrored = recordings._turn_or_none(np.ascontiguousarray(picture[:, ::-1]))
    assert turned is not None
    assert mirrored is not None
    assert turned == pytest.approx(-mirrored, abs=0.1)  # the detector is not quite symmetric
    assert recordings._turn_or_none(frame(50)) is None


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Protocols that only write down what they were asked; clip `bbb` has no face."""
    asked: list[tuple[str, ...]] = []

    def fake_self(video: Path, frames: int, *rest: object) -> Item:
        if "bbb" in video.name:
            raise FaceError("expected a face, found none")
        asked.append(("self", video.stem.split("+")[1], str(frames)))
        return Item(video.name, {"head_psnr": 20.0})

    def fake_cross(driver: str, photo: bytes, name: str, *rest: object) -> Item:
        asked.append(("cross", name.split("+")[1], driver))
        return Item(name, {"aed": 0.1})

    monkeypatch.setattr(protocol, "evaluate_self", fake_self)
    monkeypatch.setattr(protocol, "evaluate_cross", fake_cross)
    monkeypatch.setattr(protocol, "read_driving_video", lambda video: video.stem.split("+")[1])
    return asked


def test_self_goes_through_every_clip(vfhq_folder: Path, runs: list[tuple[str, ...]]) -> None:
    items = evaluate_dataset("vfhq", vfhq_folder, DatasetConfig(frames=2))
    assert runs == [("self", "aaa", "2"), ("self", "ccc", "2")]
    assert [item.figures["refused"] for item in items] == [0.0, 1.0, 0.0]
    assert items[0].figures["head_psnr"] == 20.0
    assert "found none" in items[1].name


def test_each_clip_is_driven_by_the_next(vfhq_folder: Path, runs: list[tuple[str, ...]]) -> None:
    evaluate_dataset("vfhq", vfhq_folder, DatasetConfig("cross"))
    assert runs == [("cross", "aaa", "bbb"), ("cross", "bbb", "ccc"), ("cross", "ccc", "aaa")]


def test_no_more_than_asked(vfhq_folder: Path, runs: list[tuple[str, ...]]) -> None:
    assert len(evaluate_dataset("vfhq", vfhq_folder, DatasetConfig(limit=1))) == 1
    assert len(runs) == 1


def test_photos_of_two_cameras_are_compared(tmp_path: Path, shared_data: Path) -> None:
    """The whole way: archives of two cameras -> an avatar from one, held against the other."""
    images = tmp_path / "capture" / "decoder" / "image"
    images.mkdir(parents=True)
    for name in ("obama", "obama2"):
        with ZipFile(images / f"{name}.zip", "w") as archive:
            archive.write(shared_data / "portraits" / f"{name}.jpg", "000001.jpg")
    create = CreateConfig(quick=True, quick_steps=2, texels=128)
    (item,) = evaluate_dataset("ava256", tmp_path, DatasetConfig(create=create))
    assert item.figures["refused"] == 0.0
    assert item.figures["photos"] == 1.0
    assert item.figures["head_psnr"] > 12
    assert item.figures["identity_distance"] < 0.6


def refused(call: Callable[[], object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        call()


def test_what_cannot_be_measured_is_said(tmp_path: Path) -> None:
    refused(lambda: evaluate_dataset("vfhq", tmp_path), "found nothing")
    refused(lambda: evaluate_dataset("vfhq", tmp_path, DatasetConfig("views")), "one camera")
    refused(lambda: evaluate_dataset("ava256", tmp_path, DatasetConfig("self")), "no `self`")
    refused(lambda: evaluate_dataset("celebv", tmp_path), "expected one of vfhq")


def test_papers_lines_are_those_of_the_data_set() -> None:
    assert {line.figures["psnr"] for line in published_results("vfhq", None)} == {23.47}
    assert len(published_results("nersemble", "self")) == 3
    assert [line.figures["psnr"] for line in published_results("ava256", None)] == [16.9, 21.1]
    assert len(published_results("nersemble", "views")) == 0


def test_command_reads_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "dataset", "nersemble", str(tmp_path)]) == 1
    assert "NeRSemble" in capsys.readouterr().err
