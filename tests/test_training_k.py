"""Training K: who is known from all around, what is learned of whom, runs that stop and go on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from flexavatar.cli import run
from flexavatar.errors import InputError
from flexavatar.models.config import BIAS_SINK_TINY
from flexavatar.models.weights import BIAS_SINK
from flexavatar.training.config import TrainBiasSink
from flexavatar.training.loader import SampleChoice, sample_choices
from flexavatar.training.loop import LOG, train
from flexavatar.training.pool import HELD_OUT, sample_path
from flexavatar.training.samples import BYTE
from flexavatar.training.state import trainable
from flexavatar.training.train_k import FACING_COSINE, BiasSinkTrainer
from flexavatar.training.validation import Validation
from tests.conftest import SEEDS

SHORT = TrainBiasSink(steps=2, save_every=1, frames=2, warm_up=2)


@pytest.fixture(scope="module")
def trainer(people: Path) -> BiasSinkTrainer:
    return BiasSinkTrainer(people, SHORT)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_people_known_from_all_around(
    trainer: BiasSinkTrainer, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "config", replace(SHORT, multi_view=share))
    monkeypatch.setattr(trainer, "synthetic", 1000)
    known = [trainer.is_multi_view(i) for i in range(1000)]
    assert abs(sum(known) - 1000 * share) <= 2
    assert sum(known[:500]) == pytest.approx(500 * share, abs=3), "spread evenly"


def test_people_in_videos_are_seen_from_the_front(
    trainer: BiasSinkTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "synthetic", 50)
    around = [trainer.is_multi_view(i) for i in range(50)]
    generator = torch.Generator().manual_seed(0)
    viewmats = torch.randn(50, 8, 4, 4, generator=generator).clamp(-1, 1)
    viewmats[3, :, 2, 2] = torch.linspace(0.1, 0.9, 8)  # seen from behind in every frame
    rates = trainer.frame_rates(torch.zeros(50, 8, 52), torch.zeros(50, 8).long(), viewmats)
    facing = -viewmats[:, :, 2, 2]
    assert not around[3]
    for i in range(50):
        if around[i]:
            assert bool((rates[i] > 0).all())
        elif i != 3:
            assert torch.equal(
                rates[i] > 0, facing[i] >= min(FACING_COSINE, float(facing[i].max()))
            )
    assert (rates[3] > 0).tolist() == [True] + 7 * [False], "at least one is left"
    drawn = [next(sample_choices(rates, 3, 0, start)) for start in range(50)]
    assert sorted(o.person for o in drawn) == list(range(50))
    assert len(next(o for o in drawn if o.person == 3).frames) == 1


def test_the_truth_of_charts_and_heads_is_for_people_known_all_around(
    trainer: BiasSinkTrainer,
) -> None:
    ready = trainer.loader.prepare(sample_path(trainer.paths[0].parent, SEEDS[1]))
    flat = next(i for i in range(9) if not trainer.is_multi_view(i))
    full = next(i for i in range(9) if trainer.is_multi_view(i))
    generator = torch.Generator().manual_seed(0)
    known = trainer.losses(ready, SampleChoice(full, (0, 1)), generator)
    seen = trainer.losses(ready, SampleChoice(flat, (0, 1)), generator)
    assert known.keys() - seen.keys() == {"chart", "shape", "motion", "change"}
    assert {"l1", "ssim", "cover"} <= seen.keys()


def test_true_charts_have_the_grain_of_the_face_at_rest(trainer: BiasSinkTrainer) -> None:
    sample = trainer.loader.prepare(trainer.paths[0]).sample
    charts = trainer.true_charts(sample, range(8))
    valid = trainer.valid.bool()
    rest = (charts[0] - sample.synthetic_targets.chart / BYTE)[:, valid].abs()
    assert rest.max() < 0.02, "the first frame is at rest, but for rounding"
    apart = (
        trainer.coarsen(charts) - sample.synthetic_targets.charts / BYTE
    ) * trainer.valid_coarse
    assert apart.abs().mean() < 0.01


def test_one_person_is_learned(people: Path) -> None:
    config = replace(SHORT, steps=12, learning_rate=2e-3, multi_view=1.0)
    trainer = BiasSinkTrainer(people, config)
    ready, order = trainer.loader.prepare(trainer.paths[0]), SampleChoice(0, (0, 3))
    lines = [trainer.step(ready, order, number) for number in range(config.steps)]
    assert lines[-1]["cover"] < 0.7 * lines[0]["cover"]
    assert lines[-1]["chart"] < 0.95 * lines[0]["chart"]


def test_a_stopped_run_goes_on_as_if_it_had_not(people: Path, tmp_path: Path) -> None:
    whole = train(BiasSinkTrainer(people, SHORT), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(BiasSinkTrainer(people, SHORT), tmp_path / "parts", _stop_half_way)
    parts = train(BiasSinkTrainer(people, SHORT), tmp_path / "parts")
    for name, p in trainable(whole.model).items():
        other = trainable(parts.model)[name]
        torch.testing.assert_close(p, other, rtol=0, atol=1e-5)  # threads sum in another order
    lines = [json.loads(x) for x in (tmp_path / "whole" / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]


def _stop_half_way(what: str, share: float) -> None:
    if share > 0.7:
        raise KeyboardInterrupt


def test_people_it_never_saw(trainer: BiasSinkTrainer, people: Path, tmp_path: Path) -> None:
    found = Validation(people, tmp_path)(trainer, 7)
    assert {"psnr_db", "psnr_turned_db", "psnr_front_db", "psnr_neutral_db"} <= found.keys()
    assert {"psnr_2d_db", "psnr_2d_turned_db", "psnr_plain_db", "psnr_mean_db"} <= found.keys()
    assert found["psnr_plain_db"] > found["psnr_mean_db"], "photos say more than the mean"
    assert (tmp_path / "step_000007.png").stat().st_size > 10_000


def test_the_command_trains_and_writes_weights(people: Path, tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    for seed in range(HELD_OUT + 2):
        there, here = sample_path(people, seed), sample_path(pool, seed)
        here.symlink_to(there) if there.exists() else here.touch()  # empty: nobody to be used
    arguments = f"train k {tmp_path}/run --pool {pool} --people 2 --steps 1 --losses.mouth 0"
    assert run(arguments.split()) == 0
    written = tmp_path / "run" / "bias_sink_tiny.safetensors"
    model, _ = BIAS_SINK.read(written, BIAS_SINK_TINY)
    assert BIAS_SINK_TINY == model.config


@pytest.mark.parametrize("change", [{"sinks": False}, {"stylegan": False}, {"signal": "arkit"}])
def test_ablations_take_a_step(people: Path, change: dict[str, object]) -> None:
    trainer = BiasSinkTrainer(people, replace(SHORT, **change))
    ready = trainer.loader.prepare(trainer.paths[0])
    before = {name: p.detach().clone() for name, p in trainable(trainer.model).items()}
    trainer.step(ready, SampleChoice(0, (0, 1)), 0)
    assert any(not torch.equal(p, before[name]) for name, p in trainable(trainer.model).items())
    assert trainer.predict_person(ready).gaussians.keys() == (
        {"shown"} if "sinks" in change else {"shown", "2d"}
    )


def test_settings_that_cannot_be(people: Path) -> None:
    with pytest.raises(InputError, match="multi_view: expected a share"):
        TrainBiasSink(multi_view=1.5)
    with pytest.raises(InputError, match="pictures: expected at least 1"):
        TrainBiasSink(pictures=0)
    with pytest.raises(InputError, match="samples with sound"):
        BiasSinkTrainer(people, replace(SHORT, signal="audio"))
