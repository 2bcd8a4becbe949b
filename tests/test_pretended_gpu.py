"""What a GPU would do, where there is none: every kind of avatar on tensors that pretend to be on
one, drawn by gsplat's formulas. No devices are mixed, the CPU waits for nothing, and what is drawn
is what the CPU draws.

Not tested here: that gsplat's kernels compute what its formulas say (`make test-cuda`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from flexavatar.avatar.avatar import Animator, AnyAvatar, Avatar
from flexavatar.avatar.bias_sink_avatar import BiasSinkAvatar
from flexavatar.avatar.crowd import Crowd, stack_codes
from flexavatar.drive.signal import flame_codes
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.open_head import load_open_head, open_head_on
from flexavatar.models.config import BIAS_SINK_PRESETS
from flexavatar.models.weights import load_bias_sink, load_query_lrm
from flexavatar.render import cuda, device
from flexavatar.render.camera import resize_camera
from flexavatar.types import Gaussians, to_device
from plugin_server.model_engine import ModelEngine, ModelPuppet
from plugin_server.splats import SplatEncoder
from tests.pairs import PRESET, person
from tests.pretended_gpu import (
    DeviceMixError,
    PretendedGpu,
    on_cpu,
    pretend_gsplat,
    pretended_gpu,
    values_of,
)
from tests.signals import signal_of
from tests.test_engine import plain_avatar

SIDE = 48
KERNELS = 700
"""Of one instant at most: a driver starts one in some 5 microseconds, so 3.5 ms of a CPU."""


def coded(seed: int) -> BiasSinkAvatar:
    """Somebody of K."""
    _, fingerprint = load_bias_sink("tiny")
    config, plain = BIAS_SINK_PRESETS["tiny"], plain_avatar()
    random = torch.Generator().manual_seed(seed)
    code = 0.3 * torch.randn(config.query_side**2, config.width, generator=random)
    return BiasSinkAvatar(
        load_open_head().template, code, plain.camera, plain.codes, "tiny", fingerprint
    )


def changing(seed: int) -> Avatar:
    """Somebody of P."""
    return person(seed, load_query_lrm(PRESET)[1])


AVATARS: dict[str, Callable[[], tuple[AnyAvatar, AnyAvatar | None]]] = {
    "fit": lambda: (person(1), None),
    "P": lambda: (changing(1), None),
    "K": lambda: (coded(1), None),
    "fit to fit": lambda: (person(1), person(2)),
    "P to P": lambda: (changing(1), changing(2)),
    "K to K": lambda: (coded(1), coded(2)),
}


@pytest.fixture
def gsplat_calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What gsplat is given, whose kernels are there."""
    monkeypatch.setattr(device, "_check_kernels", lambda: None)
    return pretend_gsplat(monkeypatch)


@pytest.fixture
def gpu(gsplat_calls: list[dict[str, Any]]) -> Iterator[PretendedGpu]:
    with pretended_gpu() as gpu:
        yield gpu
    open_head_on.cache_clear()


SIGNAL = replace(signal_of({"jawOpen": 0.4, "eyeBlinkLeft": 0.8}), morph=0.4)


def on_both(gpu: PretendedGpu, name: str) -> tuple[ModelPuppet, ModelPuppet]:
    avatars = AVATARS[name]()
    cpu, there = ModelEngine("cpu").puppet(*avatars), ModelEngine("cuda:0").puppet(*avatars)
    there.animate(SIGNAL)  # what is computed once is by now
    gpu.reset()
    return cpu, there


@pytest.mark.parametrize("name", AVATARS)
def test_an_instant_is_the_same_and_waits_for_nothing(gpu: PretendedGpu, name: str) -> None:
    cpu, there = on_both(gpu, name)
    found = values_of(there.animate(SIGNAL))
    assert not gpu.waits
    assert gpu.uploads.total() == 1  # the codes, all at once
    assert not gpu.downloads
    assert gpu.kernels.total() < KERNELS * (1 + there.morphs)
    expected = values_of(cpu.animate(SIGNAL))
    turned = (found.quats * expected.quats).sum(-1, keepdim=True) < 0  # -q is the same turn
    found.quats = torch.where(turned, -found.quats, found.quats)
    for name, value in vars(expected).items():  # float32, summed in another order
        torch.testing.assert_close(getattr(found, name), value, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("name", ["fit", "P", "K"])
def test_a_frame_is_the_same(gpu: PretendedGpu, gsplat_calls: list[Any], name: str) -> None:
    cpu, there = on_both(gpu, name)
    camera, pictures = resize_camera(cpu.camera, SIDE, SIDE), []
    moved = there.animate(SIGNAL)
    gpu.reset()
    for engine, gaussians in ((ModelEngine("cpu"), cpu.animate(SIGNAL)), (None, moved)):
        engine = engine or ModelEngine("cuda:0")
        gpu.reset()
        gsplat_calls.clear()
        out = np.empty((SIDE, SIDE, 4), np.uint8)
        assert not [*engine.rgba8_strips(gaussians, camera, out)][1:]
        pictures.append(out.astype(int))
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.05  # grey levels
    assert [call["render_mode"] for call in gsplat_calls] == ["RGB"]  # no depth that nobody wants
    assert gpu.uploads.total() == 1  # the camera
    assert gpu.downloads.total() == gpu.waits.total() == 1  # the picture
    assert gpu.kernels.total() < 40


def test_depth_alone(gpu: PretendedGpu, gsplat_calls: list[Any]) -> None:
    cpu, there = on_both(gpu, "fit")
    camera, depths = resize_camera(cpu.camera, SIDE, SIDE), []
    for puppet, name in ((cpu, "cpu"), (there, "cuda:0")):
        engine = ModelEngine(name)
        gsplat_calls.clear()
        depth = np.empty((SIDE, SIDE), np.float32)
        list(engine.depth_strips(puppet.animate(SIGNAL), camera, depth))
        depths.append(depth)
    assert [call["render_mode"] for call in gsplat_calls] == ["ED"]
    assert np.quantile(np.abs(depths[0] - depths[1]), 0.99) < 1e-4  # metres


def test_nothing_to_draw(gpu: PretendedGpu) -> None:
    """gsplat would divide by zero, and the process would end."""
    none = Gaussians(*(torch.zeros(0, *s) for s in ((3,), (4,), (3,), (), (1, 3))))
    camera = resize_camera(plain_avatar().camera, 8, 8)
    frame = cuda.rasterize(to_device(none, "cuda"), camera)
    assert on_cpu(frame.rgba).shape == (8, 8, 4)
    assert not on_cpu(frame.rgba).any()
    assert not on_cpu(frame.depth).any()


def test_a_stream_of_splats(gpu: PretendedGpu) -> None:
    """Two waits, for the range and for the bytes; a face that keeps still sends nothing."""
    cpu, there = on_both(gpu, "P")
    encoder, plain = SplatEncoder(there.count), SplatEncoder(cpu.count)
    encoder.update(there.animate(SIGNAL), 1, keyframe=True)
    gaussians = there.animate(SIGNAL)
    gpu.reset()
    with torch.inference_mode():
        update = encoder.update(gaussians, 2, keyframe=False)
    assert gpu.waits.total() == 2
    assert not gpu.uploads
    assert not update.changed.any()
    expected = plain.update(cpu.animate(SIGNAL), 1, keyframe=True)
    steps = np.abs(update.chunks.astype(int) - expected.chunks)
    assert (steps > 1).mean() < 0.02  # a step of half precision is many of its lower byte


def test_one_head_for_all(gpu: PretendedGpu) -> None:
    """43 MB of the rig are not brought over once more for every session."""
    engine = ModelEngine("cuda:0")
    a, b = (engine.puppet(person(seed))._head for seed in (1, 2))
    assert isinstance(a, Animator)
    assert isinstance(b, Animator)
    assert a._rig is b._rig
    assert a._rig.active_basis is b._rig.active_basis
    shared = {id(x) for x in vars(b._rig).values()}
    own = [x for x in vars(b.head).values() if isinstance(x, torch.Tensor) and id(x) not in shared]
    assert sum(x.nbytes for x in own) < 2e6


def test_mixed_devices_are_found(gpu: PretendedGpu) -> None:
    """Of the pretended GPU itself: it complains as a real one would, and counts."""
    there, here = torch.ones(3, device="cuda"), torch.ones(3)
    with pytest.raises(DeviceMixError):
        _ = there + here
    with pytest.raises(DeviceMixError):
        there.numpy()
    gpu.reset()
    assert bool((there * 2 > 1).all())
    there.nonzero()
    _ = there[there > 0]
    assert gpu.waits.total() == 3
    assert gpu.kernels.total() > 4
    _ = there + here.to("cuda")
    assert gpu.uploads.total() == 1
    assert gpu.waits.total() == 4


@pytest.mark.parametrize("make", [person, changing], ids=["fit", "P"])
def test_a_crowd_is_moved_as_one(gpu: PretendedGpu, make: Callable[[int], Avatar]) -> None:
    """Four in no more kernels than one, by one copy, and each as if it were alone."""
    rig = open_head_on("cuda")
    alone = [Animator(to_device(make(seed), "cuda"), rig) for seed in range(4)]
    crowd = Crowd(alone, rig)
    basis = load_arkit_basis(load_open_head())
    driven = [{"jawOpen": 0.2 * i, "eyeBlinkLeft": 1 - 0.2 * i} for i in range(4)]
    codes = [
        flame_codes(signal_of(weights), basis, animator.avatar.codes)
        for weights, animator in zip(driven, alone, strict=True)
    ]
    crowd.animate(stack_codes(codes).on("cuda"))  # what is computed once is by now
    gpu.reset()
    found = crowd.animate(stack_codes(codes).on("cuda"))
    assert not gpu.waits
    assert gpu.uploads.total() == 1
    assert gpu.kernels.total() < KERNELS
    for own, animator, code in zip(found, alone, codes, strict=True):
        expected = values_of(animator.animate(code.on("cuda")))
        for name, value in vars(expected).items():
            torch.testing.assert_close(on_cpu(getattr(own, name)), value, rtol=1e-4, atol=1e-5)


def test_the_engine_makes_a_crowd_of_those_who_are_alike(gpu: PretendedGpu) -> None:
    """Of P, of fit, of K and between two, some asked for twice: each gets its own instant."""
    engine = ModelEngine("cuda:0")
    names = ["P", "fit", "K", "fit to fit", "P", "fit", "P"]
    puppets = [engine.puppet(*AVATARS[name]()) for name in names]
    puppets.append(puppets[0])
    instants = [
        (puppet, replace(SIGNAL, pts_ns=i, head=None) if i < 7 else SIGNAL)
        for i, puppet in enumerate(puppets)
    ]
    assert engine.batch > len(instants)
    engine.animate_many(instants)
    gpu.reset()
    found = [values_of(own) for own in engine.animate_many(instants)]
    assert not gpu.waits
    assert gpu.uploads.total() == 5  # two crowds, and three alone
    for own, (puppet, signal) in zip(found, instants, strict=True):
        expected = values_of(puppet.animate(signal))
        for name, value in vars(expected).items():
            torch.testing.assert_close(getattr(own, name), value, rtol=1e-4, atol=1e-5)
