"""Stages of the rasteriser, for several sizes of its input."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from flexavatar.bench.measure import Row, measure
from flexavatar.bench.scenes import front_camera, leaves, shell
from flexavatar.head.open_head import load_open_head
from flexavatar.render import native
from flexavatar.render.camera import look_from
from flexavatar.render.mesh import render_mesh
from flexavatar.render.rasterize import rasterize, rasterize_rgba8
from flexavatar.types import Camera, Gaussians, to_device

SIZES = ((16_000, 512), (40_000, 512), (65_000, 256), (65_000, 512), (65_000, 1024), (150_000, 512))
MESH_SIDE = 512


def scenes() -> Iterator[tuple[str, Gaussians, Camera]]:
    """Device, Gaussians, camera."""
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        for count, side in SIZES:
            yield device, to_device(shell(count), device), front_camera(side, side)


def rasterize_forward() -> list[Row]:
    """Gaussians to RGBA bytes."""
    rows = []
    for device, gaussians, camera in scenes():
        out = np.empty((camera.height, camera.width, 4), np.uint8)
        rows.append(
            measure(
                "rasterize_forward",
                lambda g=gaussians, c=camera, out=out: rasterize_rgba8(g, c, out),
                threads=native.get_threads(),
                device=device,
                gaussians=len(gaussians),
                width=camera.width,
                height=camera.height,
            )
        )
    return rows


def rasterize_backward() -> list[Row]:
    """The gradient of a picture to all fields of its Gaussians."""
    rows = []
    for device, still, camera in scenes():
        gaussians, fields = leaves(still)
        rgba = rasterize(gaussians, camera).rgba
        grad = torch.randn_like(rgba)
        rows.append(
            measure(
                "rasterize_backward",
                lambda rgba=rgba, fields=fields, grad=grad: torch.autograd.grad(
                    rgba, fields, grad, retain_graph=True
                ),
                threads=native.get_threads(),
                device=device,
                gaussians=len(gaussians),
                width=camera.width,
                height=camera.height,
            )
        )
    return rows


def mesh_view() -> list[Row]:
    """The open head to face ids, barycentrics and depth: what avatar creation asks for."""
    head = load_open_head()
    camera = look_from(0, 0, MESH_SIDE, np.zeros(3), framed=0.35, distance=0.7)
    return [
        measure(
            "mesh_view",
            lambda: render_mesh(head.template, head.faces, camera),
            threads=native.get_threads(),
            width=camera.width,
            height=camera.height,
        )
    ]
