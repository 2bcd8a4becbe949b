"""Videos that K learns from beside synthetic people."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from flexavatar.create.image_metrics import psnr_db
from flexavatar.errors import FaceError, InputError
from flexavatar.head.arkit import ARKIT_INDEX
from flexavatar.render.composite import premultiplied_over_mid_grey, rasterize_over_grey
from flexavatar.training import clips
from flexavatar.training.config import FRAMES, TrainBiasSink
from flexavatar.training.loader import SampleChoice
from flexavatar.training.samples import BYTE, load_sample
from flexavatar.training.targets import target_picture
from flexavatar.training.train_k import BiasSinkTrainer

SHORT = TrainBiasSink(steps=1, repeats=3)


@pytest.fixture(scope="module")
def filled(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One sample of a real video."""
    folder = tmp_path_factory.mktemp("clips")
    (folder / "videos").mkdir()
    (folder / "videos/one.mp4").symlink_to(shared_data / "videos/lp_d20.mp4")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clips, "SAMPLED_FRAMES", FRAMES + clips.PHOTOS)
        written = clips.fill_clips(folder / "videos", folder / "samples")
        patch.setattr(clips, "clip_samples", None)  # what is there is not made again
        assert clips.fill_clips(folder / "videos", folder / "samples") == written
    return written


def test_a_video_becomes_a_sample(filled: list[Path], people: Path) -> None:
    (path,) = filled
    sample = load_sample(path)
    assert sample.rgb.shape[0] == sample.weights.shape[0] == FRAMES
    assert sample.images.shape[0] == clips.PHOTOS
    assert sample.weights[:, ARKIT_INDEX["jawOpen"]].std() > 0.02, "he talks"
    trainer = BiasSinkTrainer(people, SHORT)
    ready, frame = trainer.loader.prepare(path), int(sample.weights.sum(1).argmin())
    with torch.no_grad():
        maps = trainer.model.decode(trainer.encode(ready), ready.drive[[frame]], "2d")
        gaussians = trainer.gaussians(maps[0], ready, frame, trainer.start(ready))
    true = target_picture(trainer.head, sample, frame)
    drawn = rasterize_over_grey(gaussians, true.camera)
    grey = premultiplied_over_mid_grey(true.rgb.numpy(), true.cover.numpy())
    assert psnr_db(drawn, grey) > 14, "head, camera and picture lie over each other"


def test_nothing_is_known_but_the_picture(filled: list[Path], people: Path) -> None:
    trainer = BiasSinkTrainer(people, SHORT, filled)
    assert trainer.paths[trainer.synthetic :] == filled * SHORT.repeats
    ready = trainer.loader.prepare(filled[0])
    for person in range(trainer.synthetic, len(trainer.paths)):
        losses = trainer.losses(
            ready, SampleChoice(person, (0, 1)), torch.Generator().manual_seed(0)
        )
        assert losses.keys() & {"chart", "shape", "motion", "change"} == set()
        assert all(loss.isfinite() for loss in losses.values())
    with pytest.raises(InputError, match="expected a synthetic person"):
        trainer.true_offsets(ready.sample)


def test_its_pictures_are_of_the_person_alone(filled: list[Path]) -> None:
    sample = load_sample(filled[0])
    assert (sample.rgb.amax(-1) <= sample.cover.to(torch.int32) + 1).all(), "premultiplied"
    shares = (sample.cover / BYTE).mean((1, 2))
    assert ((shares > 0.2) & (shares < 0.9)).all()


def test_videos_that_show_too_little(tmp_path: Path, shared_data: Path) -> None:
    with pytest.raises(InputError, match="expected videos"):
        clips.fill_clips(tmp_path, tmp_path / "samples")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clips, "SAMPLED_FRAMES", 3)
        with pytest.raises(FaceError, match="expected a face in at least 10 frames"):
            clips.clip_samples(shared_data / "videos/lp_d20.mp4")
