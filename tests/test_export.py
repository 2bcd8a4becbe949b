"""Heads written for other programs, read back by one: what it finds in them, and how that looks."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import gaussforge
import numpy as np
import pytest
import torch

from flexavatar.avatar.avatar import save_avatar
from flexavatar.cli import USER_ERROR, run
from flexavatar.errors import InputError
from flexavatar.evaluation.avatar_renderer import AvatarRenderer
from flexavatar.formats import ply
from flexavatar.formats.glb import to_glb
from flexavatar.formats.spz import SpzVersion, to_spz
from flexavatar.head.binding import quat_multiply, quat_to_matrix
from flexavatar.render.rasterize import rasterize_rgba8
from flexavatar.types import SH_C0, Camera, Gaussians
from tests.test_engine import plain_avatar

SPLAT = np.dtype([("means", "<f4", 3), ("scales", "<f4", 3), ("rgba", "u1", 4), ("quats", "u1", 4)])
"""antimatter15's .splat: linear values."""
ABOUT_X = torch.tensor([0.0, 1, 0, 0])
EXPRESSION = ("jawOpen=0.5", "mouthSmileLeft=1")


def seeded(count: int = 3000) -> Gaussians:
    """Gaussians of all turns about the place of a head, opacities of both extremes among them."""
    random = torch.Generator().manual_seed(3)
    quats = torch.nn.functional.normalize(torch.randn(count, 4, generator=random), dim=-1)
    opacities = torch.rand(count, generator=random)
    opacities[:2] = torch.tensor([0.0, 1.0])
    return Gaussians(
        means=torch.randn(count, 3, generator=random) * 0.05,
        quats=quats,
        scales=torch.rand(count, 3, generator=random) * 0.009 + 0.001,
        opacities=opacities,
        sh=(torch.rand(count, 1, 3, generator=random) - 0.5) / SH_C0 * 0.9,
    )


def converted(data: bytes, form: str, to: str) -> bytes:
    answer = gaussforge.GaussForge().convert(data, form, to)
    assert "error" not in answer, answer
    return answer["data"]


def read_splat(data: bytes) -> Gaussians:
    """A .splat in the PLY's frame as Gaussians in ours; in steps of 1/128 and 1/255."""
    found = np.frombuffer(data, SPLAT)
    quats = torch.from_numpy(found["quats"].astype(np.float32) / 128 - 1)
    rgba = torch.from_numpy(found["rgba"].astype(np.float32) / 255)
    return Gaussians(
        means=torch.from_numpy(found["means"] * np.array([1, -1, -1], np.float32)),
        quats=quat_multiply(ABOUT_X, torch.nn.functional.normalize(quats, dim=-1)),
        scales=torch.from_numpy(found["scales"].copy()),
        opacities=rgba[:, 3],
        sh=((rgba[:, None, :3] - 0.5) / SH_C0),
    )


def read_ply(data: bytes) -> np.ndarray:
    """The rows of a PLY of floats, by name."""
    header, _, body = data.partition(b"end_header\n")
    lines = [line.split() for line in header.decode().splitlines()]
    names = [line[2] for line in lines if line[:2] == ["property", "float"]]
    return np.frombuffer(body, [(name, "<f4") for name in names])


def covariance(gaussians: Gaussians) -> torch.Tensor:
    axes = quat_to_matrix(gaussians.quats) * gaussians.scales[:, None]
    return axes @ axes.mT


def camera() -> Camera:
    viewmat = torch.diag(torch.tensor([1.0, -1, -1, 1]))
    viewmat[2, 3] = 0.6
    return Camera(viewmat, torch.tensor([[300.0, 0, 96], [0, 300, 96], [0, 0, 1]]), 192, 192)


def likeness_db(a: Gaussians, b: Gaussians) -> float:
    """How alike two heads look."""
    one, other = (rasterize_rgba8(x, camera()).astype(float) for x in (a, b))
    return 10 * math.log10(255**2 / np.square(one - other).mean())


def nearest_order(found: Gaussians, wanted: Gaussians) -> torch.Tensor:
    """Where each of `wanted` is in `found`: programs sort."""
    order = torch.cdist(wanted.means, found.means).argmin(1)
    assert len(order.unique()) == len(wanted)
    return order


def test_a_ply_is_read_by_another_program() -> None:
    given = seeded(2000)
    found = read_splat(converted(ply.to_ply(given), "ply", "splat"))
    order = nearest_order(found, given)
    torch.testing.assert_close(found.means[order], given.means, rtol=0, atol=1e-7)
    torch.testing.assert_close(found.scales[order], given.scales, rtol=1e-5, atol=0)
    # quaternions there are bytes: an eighth of a hundredth of a turn
    torch.testing.assert_close(
        covariance(found)[order], covariance(given), rtol=0, atol=0.03 * 0.01**2
    )
    torch.testing.assert_close(found.opacities[order], given.opacities, rtol=0, atol=1.1 / 255)
    assert likeness_db(found, given) > 35


@pytest.mark.parametrize("version", [3, 4])
def test_an_spz_is_read_by_another_program(version: SpzVersion) -> None:
    given = seeded()
    rows = read_ply(converted(to_spz(given, version), "spz", "ply"))  # which turns nothing
    wanted = {"x": given.means[:, 0], "y": given.means[:, 1], "z": given.means[:, 2]}
    wanted |= {"f_dc_1": given.sh[:, 0, 1], "scale_2": given.scales[:, 2].log()}
    steps = {"f_dc_1": 1 / 255 / 0.15, "scale_2": 1 / 16}
    for name, values in wanted.items():
        step = steps.get(name, 2**-16)
        np.testing.assert_allclose(rows[name], values.numpy(), rtol=0, atol=0.51 * step)
    turns = np.stack([rows[f"rot_{k}"] for k in range(4)], 1)
    along = np.abs((turns * given.quats.numpy()).sum(1))
    assert along.min() > np.cos(0.003)  # three numbers of nine bits: steps of 0.0014
    shares = 1 / (1 + np.exp(-rows["opacity"]))
    np.testing.assert_allclose(shares, given.opacities.numpy(), rtol=0, atol=0.51 / 255)
    found = Gaussians(
        means=torch.from_numpy(np.stack([rows[k] for k in "xyz"], 1)),
        quats=torch.from_numpy(turns),
        scales=torch.from_numpy(np.exp(np.stack([rows[f"scale_{k}"] for k in range(3)], 1))),
        opacities=torch.from_numpy(shares.astype(np.float32)),
        sh=torch.from_numpy(np.stack([rows[f"f_dc_{k}"] for k in range(3)], 1))[:, None],
    )
    assert likeness_db(found, given) > 35


def test_what_lies_too_far_is_refused() -> None:
    given = seeded(10)
    with pytest.raises(InputError, match="within 128 m"):
        to_spz(replace(given, means=given.means + 200))
    with pytest.raises(InputError, match="at least one"):
        to_glb(Gaussians(*(x[:0] for x in vars(given).values())))


def test_a_stored_avatar_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    avatar = plain_avatar()
    folder = tmp_path / "store/ada"
    folder.mkdir(parents=True)
    save_avatar(avatar, folder)
    renderer = AvatarRenderer.of(avatar)
    posed = renderer.animator.animate(renderer.codes({"jawOpen": 0.5, "mouthSmileLeft": 1}))
    common = ["export", "ada", "--store", str(folder.parent), "--expression", *EXPRESSION]
    for form in ("ply", "glb", "spz"):
        out = tmp_path / f"a.{form}"
        assert run([*common, "--format", form, "--out", str(out)]) == 0
    assert (tmp_path / "a.glb").read_bytes() == to_glb(posed)
    assert (tmp_path / "a.spz").read_bytes() == to_spz(posed)
    found = read_splat(converted((tmp_path / "a.ply").read_bytes(), "ply", "splat"))
    assert likeness_db(found, posed) > 35
    assert run([*common[:-1], "smile=1", "--out", str(tmp_path / "b.ply")]) == USER_ERROR
    assert not (tmp_path / "b.ply").exists()
    assert "smile" in capsys.readouterr().err
