"""The renderer on an NVIDIA GPU: gsplat, set to the project's image formation."""

from __future__ import annotations

import numpy as np
import torch

from flexavatar.errors import FlexAvatarError
from flexavatar.render.reference import EPS2D, NEAR, to_rgba8
from flexavatar.types import SH_C0, Camera, Frame, Gaussians


def rasterize(gaussians: Gaussians, camera: Camera) -> Frame:
    """Draw with gsplat. Its first call compiles CUDA code and takes minutes."""
    if not torch.cuda.is_available():
        raise FlexAvatarError("these Gaussians are on a GPU, but CUDA is not available here")
    from gsplat import rasterization  # needs a GPU to be of use, so only here

    g = gaussians
    usable = drawable_mask(g)
    rendered, alpha, _ = rasterization(
        means=torch.where(usable[:, None], g.means, 0.0),
        quats=torch.where(usable[:, None], g.quats, 1.0),
        scales=torch.where(usable[:, None], g.scales, 1.0),
        opacities=torch.where(usable, g.opacities, 0.0),
        colors=(0.5 + SH_C0 * torch.where(usable[:, None], g.sh[:, 0], 0.0)).clamp_min(0),
        viewmats=camera.viewmat.to(g.means)[None],
        Ks=camera.K.to(g.means)[None],
        width=camera.width,
        height=camera.height,
        near_plane=NEAR,
        eps2d=EPS2D,
        packed=False,
        render_mode="RGB+ED",
    )
    rgba = torch.cat((rendered[0, ..., :3], alpha[0]), -1)
    return Frame(rgba, rendered[0, ..., 3])


def drawable_mask(gaussians: Gaussians) -> torch.Tensor:
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
    rgba8 = to_rgba8(rasterize(gaussians, camera).rgba, background)
    torch.from_numpy(out).copy_(rgba8)
