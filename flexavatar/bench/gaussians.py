"""Stages of Gaussians alone, on a synthetic scene: rasterised, packed into bytes, streamed.

The scene is something like a head, without a face.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from flexavatar.bench.measure import Measurement, measure
from flexavatar.formats.packed16 import extent_of, pack, unpack
from flexavatar.head.open_head import load_open_head
from flexavatar.render import native
from flexavatar.render.camera import look_from
from flexavatar.render.mesh import render_mesh
from flexavatar.render.rasterize import rasterize, rasterize_rgba8
from flexavatar.types import Camera, Gaussians, to_device
from plugin_server.splats import SplatEncoder

SIZES = ((16_000, 512), (40_000, 512), (65_000, 256), (65_000, 512), (65_000, 1024), (150_000, 512))
MESH_SIDE = 512
RADII = (0.085, 0.115, 0.1)
"""Half axes of the head's ellipsoid, metres."""
STREAMED_COUNT = 65_536


def front_camera(width: int, height: int) -> Camera:
    """Looks at the origin from the front; the ellipsoid covers 30% of a square picture."""
    focal = 2.6 * min(width, height)
    K = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    viewmat = torch.diag(torch.tensor([1.0, -1, -1, 1]))
    viewmat[2, 3] = 0.836
    return Camera(viewmat, K, width, height)


def ellipsoid_gaussians(count: int, seed: int = 0) -> Gaussians:
    """Flat Gaussians on an ellipsoid, as close as an avatar's: each covers its share one and a half
    times."""
    random = torch.Generator().manual_seed(seed)
    directions = torch.nn.functional.normalize(torch.randn(count, 3, generator=random), dim=-1)
    normals = torch.nn.functional.normalize(directions / torch.tensor(RADII), dim=-1)
    ahead = torch.tensor([0.0, 0, 1]).expand_as(normals)
    half_way = torch.cat(
        (1 + normals[:, 2:], torch.linalg.cross(ahead, normals)), -1
    )  # turns the z axis onto the normal
    size = 0.75 * math.sqrt(4 * math.pi * 0.01 / max(1, count))
    spread = torch.exp(0.25 * torch.randn(count, 3, generator=random))
    return Gaussians(
        means=directions * torch.tensor(RADII),
        quats=torch.nn.functional.normalize(half_way, dim=-1),
        scales=size * torch.tensor([1, 1, 0.15]) * spread,
        opacities=torch.sigmoid(1.5 + torch.randn(count, generator=random)),
        sh=0.6 * torch.randn(count, 1, 3, generator=random),
    )


def require_gradients(gaussians: Gaussians) -> tuple[Gaussians, list[Tensor]]:
    """A copy whose fields ask for gradients, and the fields."""
    tensors = {name: x.detach().clone().requires_grad_() for name, x in vars(gaussians).items()}
    return replace(gaussians, **tensors), list(tensors.values())


def scenes() -> Iterator[tuple[str, Gaussians, Camera]]:
    """Device, Gaussians, camera."""
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        for count, side in SIZES:
            yield device, to_device(ellipsoid_gaussians(count), device), front_camera(side, side)


def _measure_scene(
    stage: str, fn: Callable[[], object], device: str, count: int, camera: Camera
) -> Measurement:
    return measure(
        stage,
        fn,
        threads=native.get_threads(),
        device=device,
        gaussians=count,
        width=camera.width,
        height=camera.height,
    )


def forward_stages() -> list[Measurement]:
    """Gaussians to RGBA bytes."""
    rows = []
    for device, gaussians, camera in scenes():
        out = np.empty((camera.height, camera.width, 4), np.uint8)
        draw = partial(rasterize_rgba8, gaussians, camera, out)
        rows.append(_measure_scene("rasterize_forward", draw, device, len(gaussians), camera))
    return rows


def backward_stages() -> list[Measurement]:
    """The gradient of a picture to all fields of its Gaussians."""
    rows = []
    for device, still, camera in scenes():
        gaussians, fields = require_gradients(still)
        rgba = rasterize(gaussians, camera).rgba
        grad = torch.randn_like(rgba)
        differentiate = partial(torch.autograd.grad, rgba, fields, grad, retain_graph=True)
        count = len(gaussians)
        rows.append(_measure_scene("rasterize_backward", differentiate, device, count, camera))
    return rows


def mesh_stages() -> list[Measurement]:
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


def packed16_stages() -> list[Measurement]:
    """Gaussians to 16 bytes each, and back."""
    splats = ellipsoid_gaussians(STREAMED_COUNT)
    limits, out = extent_of(splats).scales, torch.empty(STREAMED_COUNT, 16, dtype=torch.uint8)
    stages = {
        "pack16": lambda: pack(splats, limits, out),
        "unpack16": lambda: unpack(out.numpy(), limits),
    }
    return [
        measure(stage, action, threads=native.get_threads(), gaussians=STREAMED_COUNT)
        for stage, action in stages.items()
    ]


def splat_delta_stage() -> list[Measurement]:
    """Gaussians to a delta in which every chunk has moved."""
    encoder, splats = SplatEncoder(STREAMED_COUNT), ellipsoid_gaussians(STREAMED_COUNT)
    encoder.update(splats, 0, keyframe=True)
    splats.means.add_(0.01)
    room = np.empty(20 * STREAMED_COUNT, np.uint8)
    return [
        measure(
            "splat_delta",
            lambda: encoder.update(splats, 1, keyframe=False).write(room),
            threads=native.get_threads(),
            gaussians=STREAMED_COUNT,
        )
    ]
