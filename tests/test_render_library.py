"""The compiled renderer as a file: without it, without a compiler, damaged."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import numpy as np
import pytest

from flexavatar.bench.gaussians import ellipsoid_gaussians, front_camera
from flexavatar.render import build, cpu, native
from flexavatar.render.rasterize import rasterize, rasterize_rgba8
from tests.test_render import assert_same_picture, gradients


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    gaussians, camera = ellipsoid_gaussians(300), front_camera(40, 40)
    expected, expected_grads = rasterize(gaussians, camera), gradients(rasterize, gaussians, camera)
    expected_bytes = rasterize_rgba8(gaussians, camera)
    monkeypatch.setattr(cpu.native, "library", lambda: None)
    assert_same_picture(rasterize(gaussians, camera), expected)
    assert np.abs(rasterize_rgba8(gaussians, camera).astype(int) - expected_bytes).max() <= 2
    slow_grads = gradients(rasterize, gaussians, camera)
    for slow, fast in zip(slow_grads, expected_grads, strict=True):
        assert (slow - fast).norm() < 5e-3 * fast.norm()  # as test_gradients_agree_with_reference


def test_no_compiler_is_said_once(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    def no_compiler() -> str:
        raise build.BuildError("no C++ compiler")

    monkeypatch.setattr(native, "PACKAGE", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "compiler", no_compiler)
    native.library.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match="no C\\+\\+ compiler"):
            assert native.library() is None
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert native.get_threads() == 1
    finally:
        monkeypatch.undo()
        native.library.cache_clear()


def test_a_damaged_library_is_compiled_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loaded = native.library()
    assert loaded is not None
    code = Path(loaded._name).read_bytes()
    whole = code + hashlib.sha256(code).digest()
    own = tmp_path / "flexavatar" / build.library_name()

    def compiled(folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        return put(whole)

    def put(content: bytes) -> Path:
        """In a file of its own: what is loaded must not change."""
        own.unlink(missing_ok=True)
        own.write_bytes(content)
        return own

    monkeypatch.setattr(native, "PACKAGE", tmp_path)
    monkeypatch.setattr(native, "build", compiled)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        for spoilt in (None, b"", whole[: len(whole) // 2]):
            if spoilt is not None:
                put(spoilt)
            native.library.cache_clear()
            assert native.library() is not None
            assert own.read_bytes() == whole
        assert not list(tmp_path.glob("*.so"))  # what is made at first use is the user's
    finally:
        native.library.cache_clear()
