"""`auto` is a GPU only where it draws, and says why not otherwise; no card is needed for that."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gsplat
import numpy as np
import pytest
import torch

from flexavatar.errors import InputError
from flexavatar.head.open_head import open_head_on
from flexavatar.render import device
from flexavatar.render.device import DeviceChoice, choose_device
from plugin_server.client.client import FlexAvatarClient
from plugin_server.model_engine import ModelEngine
from plugin_server.publisher import Publisher
from tests.pretended_gpu import pretend_gsplat, pretended_gpu
from tests.service import local_config


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A GPU with gsplat's kernels, as far as PyTorch can tell; what is drawn on it."""
    monkeypatch.setattr(device, "_check_kernels", lambda: None)
    return pretend_gsplat(monkeypatch)


def test_a_card_that_draws(card: list[dict[str, Any]]) -> None:
    with pretended_gpu():
        assert choose_device("auto") == DeviceChoice("cuda")
        assert choose_device("cuda:0") == DeviceChoice("cuda:0")
    assert len(card) == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is an NVIDIA GPU here")
def test_no_card() -> None:
    choice = choose_device("auto")
    assert choice.name == "cpu"
    assert choice.reason.startswith("PyTorch finds no NVIDIA GPU")
    assert choose_device("cpu") == DeviceChoice("cpu")  # nobody looked for one


def assert_the_cpu_draws(reason: str) -> None:
    with pretended_gpu():
        choice = choose_device("auto")
        assert choice.name == "cpu"
        assert reason in choice.reason
        assert len(choice.reason.splitlines()) == 1
        with pytest.raises(InputError, match="device: cuda:0 cannot draw: "):
            choose_device("cuda:0")


def test_a_card_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """gsplat comes as source: without nvcc its kernels are None, which fails at the first frame."""
    pretend_gsplat(monkeypatch)
    monkeypatch.setattr(gsplat.cuda, "_backend", SimpleNamespace(_C=None), raising=False)
    assert_the_cpu_draws("there is no nvcc")


def test_a_compiler_that_fails(card: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("Ninja is required to load C++ extensions\nand more of it")

    monkeypatch.setattr(device, "_check_kernels", fail)
    assert_the_cpu_draws("gsplat cannot draw here: Ninja is required to load C++ extensions")


def test_a_card_that_is_too_new(card: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**arguments: Any) -> None:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device")

    monkeypatch.setattr(gsplat, "rasterization", fail)
    assert_the_cpu_draws("no kernel image is available")


def test_a_card_that_draws_something_else(card: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    right = gsplat.rasterization

    def brighter(**arguments: Any) -> tuple[Any, Any, Any]:
        picture, alpha, about = right(**arguments)
        return picture * 1.05, alpha, about

    monkeypatch.setattr(gsplat, "rasterization", brighter)
    assert_the_cpu_draws("its picture is wrong")


def test_ninja_is_found_beside_python(card: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment is not active, as under systemd."""
    monkeypatch.setenv("PATH", "/usr/bin")
    with pretended_gpu():
        choose_device("auto")
        choose_device("auto")
    assert os.environ["PATH"] == f"{Path(sys.executable).parent}{os.pathsep}/usr/bin"


def test_the_reason_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "plugin_server.model_engine"):
        engine = ModelEngine("auto")
    if engine.device == "cpu":
        assert caplog.messages == [f"frames are drawn on cpu: {engine.device_reason}"]
    else:
        assert caplog.messages == [f"frames are drawn on {engine.device}"]
        assert not engine.device_reason


def test_the_server_says_it(client: FlexAvatarClient) -> None:
    assert client.info().device_reason == "it is a test"


@pytest.mark.parametrize(("sessions", "kept"), [(1, 24), (40, 120)])
def test_buffers_are_kept_for_all_sessions(tmp_path: Path, sessions: int, kept: int) -> None:
    """One that is locked into memory must not be made anew for every frame."""
    made: list[int] = []

    def room(size: int) -> np.ndarray:
        made.append(size)
        return np.empty(size, np.uint8)

    config = local_config(tmp_path, max_sessions=sessions)
    with closing(Publisher(config, room)) as publisher:
        for _ in range(3):
            with ExitStack() as stack:
                for _ in range(kept):
                    stack.enter_context(publisher.pool.take(100))
        assert len(made) == kept


def test_messages_are_drawn_into_locked_pages(
    card: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU's engine: the driver copies into others by way of its own."""
    asked: list[bool] = []
    empty = torch.empty

    def watched(*size: Any, pin_memory: bool = False, **options: Any) -> torch.Tensor:
        asked.append(pin_memory)
        return empty(*size, **options)

    with pretended_gpu():
        engines = ModelEngine("cuda:0"), ModelEngine("cpu")
        monkeypatch.setattr(torch, "empty", watched)
        assert [len(engine.message_bytes(100)) for engine in engines] == [100, 100]
    assert asked == [True, False]
    open_head_on.cache_clear()
