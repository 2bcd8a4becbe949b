"""The renderer on an NVIDIA GPU: gsplat, set to the project's image formation."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from flexavatar.errors import FlexAvatarError
from flexavatar.render.reference import EPS2D, NEAR, to_rgba8
from flexavatar.types import SH_C0, Camera, Frame, Gaussians


def rasterize(gaussians: Gaussians, camera: Camera) -> Frame:
    """Draw with gsplat: colours and depth."""
    rendered, alpha = _draw(gaussians, camera, "RGB+ED")
    return Frame(torch.cat((rendered[..., :3], alpha), -1), rendered[..., 3])


def _draw(gaussians: Gaussians, camera: Camera, what: str) -> tuple[Tensor, Tensor]:
    """What gsplat calls by this name: [H, W, C], and alpha [H, W, 1].

    Its first call of a process loads kernels, or compiles them, which takes minutes.
    """
    if not torch.cuda.is_available():
        raise FlexAvatarError("these Gaussians are on a GPU, but CUDA is not available here")
    if not len(gaussians):  # gsplat divides by their number
        empty = gaussians.means.new_zeros(camera.height, camera.width, 5)
        return empty[..., : {"RGB": 3, "RGB+ED": 4, "ED": 1}[what]], empty[..., 4:]
    from gsplat import rasterization  # needs a GPU to be of use, so only here

    g = gaussians
    usable = drawable_mask(g)
    viewmat, K = _on_device(camera, g.means)
    rendered, alpha, _ = rasterization(
        means=torch.where(usable[:, None], g.means, 0.0),
        quats=torch.where(usable[:, None], g.quats, 1.0),
        scales=torch.where(usable[:, None], g.scales, 1.0),
        opacities=torch.where(usable, g.opacities, 0.0),
        colors=(0.5 + SH_C0 * torch.where(usable[:, None], g.sh[:, 0], 0.0)).clamp_min(0),
        viewmats=viewmat[None],
        Ks=K[None],
        width=camera.width,
        height=camera.height,
        near_plane=NEAR,
        eps2d=EPS2D,
        packed=False,
        render_mode=what,
    )
    return rendered[0], alpha[0]


def _on_device(camera: Camera, like: Tensor) -> tuple[Tensor, Tensor]:
    """Its viewmat and K in the type and place of `like`, by one copy that nobody waits for."""
    if camera.viewmat.device == like.device and camera.K.device == like.device:
        return camera.viewmat.to(like), camera.K.to(like)
    packed = torch.cat((camera.viewmat.cpu().flatten(), camera.K.cpu().flatten()))
    packed = packed.to(like.dtype).pin_memory().to(like.device, non_blocking=True)
    return packed[:16].view(4, 4), packed[16:].view(3, 3)


def drawable_mask(gaussians: Gaussians) -> Tensor:
    """Which Gaussians have finite values and a rotation: [N]. No branch, so it can be captured."""
    g = gaussians
    total = g.means.sum(-1) + g.quats.sum(-1) + g.scales.sum(-1) + g.opacities + g.sh.sum((1, 2))
    return total.isfinite() & (g.quats.square().sum(-1) > 1e-20)


@torch.no_grad()
def rasterize_rgba8(
    gaussians: Gaussians,
    camera: Camera,
    out: np.ndarray,
    background: tuple[float, float, float] | None,
) -> None:
    """Draw into premultiplied RGBA bytes [H, W, 4]; only the bytes leave the GPU."""
    rgba = torch.cat(_draw(gaussians, camera, "RGB"), -1)
    torch.from_numpy(out).copy_(to_rgba8(rgba, background))


@torch.no_grad()
def rasterize_depth(gaussians: Gaussians, camera: Camera, out: np.ndarray) -> None:
    """Depth alone into float32 [H, W]: metres, 0 where empty."""
    depth, _ = _draw(gaussians, camera, "ED")
    torch.from_numpy(out).copy_(depth[..., 0])
