"""Training P: people as samples, pools, which frames are drawn, runs that stop and go on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from flexavatar.errors import AssetError, InputError
from flexavatar.head.open_head import load_open_head
from flexavatar.models.channels import COLOR
from flexavatar.training.config import TrainQueryLrm
from flexavatar.training.frame_sampling import anchor_weights, frame_rates
from flexavatar.training.loader import SampleLoader, sample_choices
from flexavatar.training.loop import LOG, learning_rate_at, train
from flexavatar.training.pool import fill_pool, sample_path, sample_paths
from flexavatar.training.samples import (
    BYTE,
    FRAME_KINDS,
    KIND_NAMES,
    load_sample,
    make_sample,
    save_sample,
)
from flexavatar.training.state import trainable
from flexavatar.training.train_p import QueryLrmTrainer
from flexavatar.training.validation import MEAN, Validation, compare_person
from tests.conftest import SEEDS

SHORT = TrainQueryLrm(steps=4, save_every=2, frames=2, warm_up=2)


def test_people_are_the_same_for_ever(people: Path, tmp_path: Path) -> None:
    again = make_sample(SEEDS[1])
    stored = load_sample(sample_path(people, SEEDS[1]))
    made = vars(again) | vars(again.synthetic_targets)
    for name, one in (vars(stored) | vars(stored.synthetic_targets)).items():
        if name == "targets":
            continue
        # another number of threads sums in another order: a grey level, a hundredth of a
        # millimetre, and pixels of focal length
        atol = 1 if one.dtype == torch.uint8 else 1e-2 if name == "Ks" else 1e-5
        torch.testing.assert_close(one.float(), made[name].float(), rtol=0, atol=atol)
    save_sample(again, tmp_path / "a.safetensors")
    assert load_sample(tmp_path / "a.safetensors").kinds.tolist() == again.kinds.tolist()


def test_a_sample_is_what_it_says(people: Path) -> None:
    sample, head = load_sample(sample_path(people, SEEDS[1])), load_open_head()
    count = len(FRAME_KINDS)
    assert [KIND_NAMES[i] for i in sample.kinds] == list(FRAME_KINDS)
    assert sample.rgb.shape == (count, 256, 256, 3)
    assert sample.moves[0].abs().max() == 0, "the first frame is at rest"
    assert sample.moves[1:].float().abs().amax((1, 2)).min() > 1e-4
    face = head.masks["face"] > 0.9
    off_mm = 1000 * sample.synthetic_targets.off.float()[face].norm(dim=-1).mean()
    assert 0.2 < off_mm < 8, "the tracker errs, but not wildly"
    seen = sample.weight[0] > 128
    true = sample.synthetic_targets.chart.float()
    apart = (sample.colors.float() - true).abs().mean(0)[seen].mean()
    assert apart < 30, "what was seen is about what is there"


def test_before_training_it_is_the_evidence(people: Path) -> None:
    trainer = QueryLrmTrainer(people, SHORT)
    ready = trainer.loader.prepare(sample_path(people, 0))
    told = trainer.predict(ready, (0,))
    assert told.change.abs().max() == 0
    torch.testing.assert_close(
        torch.sigmoid(told.code.static[:, COLOR]),
        ready.evidence.base.clamp(0.02, 0.98),
        rtol=0,
        atol=1e-5,  # logit and back in float32
    )


def test_the_true_chart_on_the_tracked_head_is_the_true_picture(people: Path) -> None:
    """What ties a sample together: the moved cameras, the driven head, the charts."""
    trainer = QueryLrmTrainer(people, SHORT)
    ready = trainer.loader.prepare(sample_path(people, 0))
    tried = compare_person(trainer, ready, ready.sample.synthetic_targets.chart / BYTE)
    assert min(t.psnr_db(MEAN) for t in tried) > 14
    wrong = compare_person(trainer, ready, 1 - ready.sample.synthetic_targets.chart / BYTE)
    assert all(t.psnr_db(MEAN) > w.psnr_db(MEAN) + 3 for t, w in zip(tried, wrong, strict=True))


def test_people_that_were_made_are_not_made_again(people: Path) -> None:
    before = sample_path(people, 0).stat().st_mtime_ns
    shares: list[float] = []
    fill_pool(people, SEEDS, lambda what, share: shares.append(share))
    assert sample_path(people, 0).stat().st_mtime_ns == before
    assert not shares, "nothing was to be done"


def test_held_out_people_are_kept_apart(people: Path, tmp_path: Path) -> None:
    assert sample_paths(people, held_out=True) == [sample_path(people, 0)]
    assert sample_path(people, 0) not in sample_paths(people)
    with pytest.raises(InputError, match="expected synthetic people, found none"):
        sample_paths(tmp_path)


def test_rare_expressions_come_forward() -> None:
    anchors = anchor_weights()
    assert len(anchors) == 20
    still = torch.zeros(80, 1, 52)
    weights = torch.cat((anchors[:, None], still))
    kinds = torch.full((100, 1), KIND_NAMES.index("natural"))
    kinds[:20] = KIND_NAMES.index("anchor")
    usual = frame_rates(weights, kinds, adjust=False)
    forward = frame_rates(weights, kinds, adjust=True)
    assert usual[0] < 0.1 * usual[50]
    assert (forward[:20] > 2 * forward[50:51]).all()


def test_orders_go_on_where_they_stopped() -> None:
    weights = torch.rand(5, 8) + 0.1
    whole = sample_choices(weights, 3, seed=1)
    first = [next(whole) for _ in range(12)]
    later = sample_choices(weights, 3, seed=1, start=7)
    assert [next(later) for _ in range(5)] == first[7:]
    assert sorted(o.person for o in first[:5]) == list(range(5))


def test_a_stopped_run_goes_on_as_if_it_had_not(people: Path, tmp_path: Path) -> None:
    trainer, validation = QueryLrmTrainer(people, SHORT), Validation(people, tmp_path / "whole")
    whole = train(trainer, tmp_path / "whole", validate=validation)
    _stop_half_way(people, tmp_path / "parts")
    parts = train(QueryLrmTrainer(people, SHORT), tmp_path / "parts")
    for name, p in trainable(whole.model).items():
        other = trainable(parts.model)[name]
        torch.testing.assert_close(p, other, rtol=0, atol=1e-5)  # threads sum in another order
    lines = [json.loads(x) for x in (tmp_path / "whole" / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    figures = {"psnr_db", "psnr_known_db", "psnr_plain_db", "psnr_mean_db", "chart", "l1"}
    assert figures <= lines[-1].keys()
    assert (tmp_path / "whole" / "step_000004.png").stat().st_size > 10_000
    fresh = trainable(QueryLrmTrainer(people, SHORT).model)
    moved = [(p - fresh[name]).abs().max() for name, p in trainable(whole.model).items()]
    assert max(moved) > 1e-4, "training changes weights"


def _stop_half_way(people: Path, out: Path) -> None:
    def stop(what: str, share: float) -> None:
        if share > 0.7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(QueryLrmTrainer(people, SHORT), out, stop)


def test_another_models_run_is_refused(people: Path, tmp_path: Path) -> None:
    train(QueryLrmTrainer(people, replace(SHORT, steps=2)), tmp_path)
    with pytest.raises(AssetError, match="expected a run of this model"):
        train(QueryLrmTrainer(people, replace(SHORT, drive="coefficients")), tmp_path)


def test_the_rate_rises_and_falls() -> None:
    config = TrainQueryLrm(steps=1000, warm_up=100)
    rates = [learning_rate_at(step, config) for step in range(1000)]
    assert rates.index(max(rates)) in (99, 100)
    assert rates[-1] < 0.02 * max(rates)


def test_samples_are_made_ready_in_order(people: Path) -> None:
    trainer = QueryLrmTrainer(people, SHORT)
    loader = SampleLoader(sample_paths(people), trainer.head, trainer.layout, trainer.drive)
    wanted = sample_choices(torch.ones(2, 8), 2, seed=0)
    run = loader.run(wanted)
    taken = [next(run) for _ in range(4)]
    for ready, order in taken:
        own = load_sample(loader.paths[order.person])
        assert torch.equal(ready.sample.neutral, own.neutral)
    got = [order for _, order in taken]
    again = sample_choices(torch.ones(2, 8), 2, seed=0)
    assert got == [next(again) for _ in range(4)]
