"""gsplat's `rasterization` by its published formulas, in torch: what its kernels compute."""

from __future__ import annotations

from typing import Any

import torch
from gsplat.cuda._torch_impl import _fully_fused_projection, _quat_scale_to_covar_preci
from torch import Tensor

TILE = 16
ALPHA_MIN, ALPHA_MAX, T_MIN = 1 / 255, 0.999, 1e-4
"""Of its kernels, `rasterize_to_pixels_3dgs_fwd`."""


def rasterization(
    means: Tensor,  # [N, 3]
    quats: Tensor,  # [N, 4]
    scales: Tensor,  # [N, 3]
    opacities: Tensor,  # [N]
    colors: Tensor,  # [N, 3]
    viewmats: Tensor,  # [1, 4, 4]
    Ks: Tensor,  # [1, 3, 3]
    width: int,
    height: int,
    near_plane: float = 0.01,
    eps2d: float = 0.3,
    packed: bool = True,
    render_mode: str = "RGB",
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """One camera, classic mode: pictures [1, H, W, C], alphas [1, H, W, 1] and nothing more.

    With N = 0 its projection kernel divides by zero, which ends the process.
    """
    assert len(means), "gsplat divides by the number of Gaussians"
    covars, _ = _quat_scale_to_covar_preci(quats, scales, True, False)
    radii, means2d, depths, conics, _ = _fully_fused_projection(
        means, covars, viewmats, Ks, width, height, eps2d=eps2d, near_plane=near_plane
    )
    seen = ((radii[0] > 0).all(-1) & (opacities >= ALPHA_MIN)).nonzero().squeeze(1)
    order = seen[torch.argsort(depths[0, seen], stable=True)]
    shown = torch.cat((colors[order], depths[0, order, None]), 1)
    shown = {"RGB": shown[:, :3], "RGB+ED": shown, "ED": shown[:, 3:]}[render_mode]
    values = torch.cat((shown, torch.ones_like(shown[:, :1])), 1)
    splats = means2d[0, order], conics[0, order], opacities[order], values
    drawn = means.new_zeros(height, width, values.shape[1])
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            tile = slice(top, min(top + TILE, height)), slice(left, min(left + TILE, width))
            drawn[tile] = _blend_tile(*splats, tile)
    picture, alpha = drawn[None, ..., :-1], drawn[None, ..., -1:]
    if render_mode.endswith("ED"):  # the expected depth
        depth = picture[..., -1:] / alpha.clamp_min(1e-10)
        picture = torch.cat((picture[..., :-1], depth), -1)
    return picture, alpha, {}


def _blend_tile(
    means: Tensor, conics: Tensor, opacities: Tensor, values: Tensor, tile: tuple[slice, slice]
) -> Tensor:
    """One tile, from front to back, of the splats whose box touches it: [rows, cols, C]."""
    rows, cols = tile
    determinant = conics[:, 0] * conics[:, 2] - conics[:, 1] ** 2
    variances = torch.stack((conics[:, 2], conics[:, 0]), 1) / determinant[:, None]
    extent = (2 * torch.log(opacities / ALPHA_MIN)).clamp_min(0).sqrt().clamp_max(3.33)
    radii = torch.ceil(extent[:, None] * variances.sqrt())
    corner = means.new_tensor((cols.start, rows.start))
    low, high = means - radii, means + radii
    inside = ((high > TILE * (corner // TILE)) & (low < TILE * (corner // TILE + 1))).all(1)
    y, x = torch.meshgrid(
        torch.arange(rows.start, rows.stop), torch.arange(cols.start, cols.stop), indexing="ij"
    )
    away = means[inside] - (torch.stack((x, y), -1)[:, :, None] + 0.5).to(means)
    a, b, c = conics[inside].unbind(-1)
    dx, dy = away.unbind(-1)
    sigma = 0.5 * (a * dx**2 + c * dy**2) + b * dx * dy
    alphas = (opacities[inside] * torch.exp(-sigma)).clamp_max(ALPHA_MAX)
    alphas = torch.where((sigma >= 0) & (alphas >= ALPHA_MIN), alphas, 0.0)
    after = torch.cumprod(1 - alphas, -1)
    before = torch.cat((torch.ones_like(after[..., :1]), after[..., :-1]), -1)
    return (alphas * before * (after > T_MIN).cumprod(-1)) @ values[inside]
