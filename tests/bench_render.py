"""Times of the rasteriser and of the steps before it. See flexavatar.bench."""

from __future__ import annotations

import numpy as np
import torch

from flexavatar.bench import Row, measure
from flexavatar.head.binding import Binding, LocalSplats
from flexavatar.render import native
from flexavatar.render.deform import Deformer, Skinner
from flexavatar.render.rasterize import rasterize, rasterize_rgba8
from flexavatar.types import to_device
from tests.scenes import front_camera, leaves, shell
from tests.surfaces import random_binding, random_splats, sphere

SIZES = ((16_000, 512), (40_000, 512), (65_000, 256), (65_000, 512), (65_000, 1024), (150_000, 512))


def devices() -> list[str]:
    """Where to measure."""
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def rasterize_forward() -> list[Row]:
    """Gaussians to RGBA bytes."""
    rows = []
    for device in devices():
        for count, side in SIZES:
            gaussians, camera = to_device(shell(count), device), front_camera(side, side)
            out = np.empty((side, side, 4), np.uint8)
            rows.append(
                measure(
                    "rasterize_forward",
                    lambda g=gaussians, c=camera, out=out: rasterize_rgba8(g, c, out),
                    threads=native.get_threads(),
                    device=device,
                    gaussians=count,
                    width=side,
                    height=side,
                )
            )
    return rows


def rasterize_backward() -> list[Row]:
    """The gradient of a picture to all fields of its Gaussians."""
    rows = []
    for device in devices():
        for count, side in SIZES:
            gaussians, fields = leaves(to_device(shell(count), device))
            rgba = rasterize(gaussians, front_camera(side, side)).rgba
            grad = torch.randn_like(rgba)
            rows.append(
                measure(
                    "rasterize_backward",
                    lambda rgba=rgba, fields=fields, grad=grad: torch.autograd.grad(
                        rgba, fields, grad, retain_graph=True
                    ),
                    threads=native.get_threads(),
                    device=device,
                    gaussians=count,
                    width=side,
                    height=side,
                )
            )
    return rows


def deform_splats() -> list[Row]:
    """Posed vertices to Gaussians, for a mesh of 5,700 vertices."""
    vertices, faces = sphere(76, 75)
    rows = []
    for count in (16_000, 40_000, 65_000):
        binding: Binding = random_binding(faces, count)
        splats: LocalSplats = random_splats(count)
        deformer = Deformer(vertices, faces, binding, splats)
        posed = vertices * torch.tensor([1.1, 0.9, 1.0])
        rows.append(
            measure(
                "deform_splats",
                lambda d=deformer, posed=posed: d.deform(posed),
                threads=native.get_threads(),
                gaussians=count,
            )
        )
    return rows


def pose_vertices() -> list[Row]:
    """200 blendshape coefficients, none of them zero, and five joints to 5,700 vertices."""
    vertices, _ = sphere(76, 75)
    weights = torch.softmax(torch.randn(len(vertices), 5), -1)
    skinner = Skinner(vertices, 1e-3 * torch.randn(200, len(vertices), 3), weights)
    coefficients, transforms = torch.randn(200), torch.eye(4).repeat(5, 1, 1)
    threads = native.get_threads()
    return [
        measure("pose_vertices", lambda: skinner.pose(coefficients, transforms), threads=threads)
    ]


STAGES = (rasterize_forward, rasterize_backward, deform_splats, pose_vertices)
