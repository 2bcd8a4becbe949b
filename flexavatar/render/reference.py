"""The image formation in plain torch: slow, differentiable in any dtype, and meant to be read.

Every Gaussian is projected (EWA, Zwicker et al. 2001, as in 3D Gaussian Splatting, Kerbl et al.
2023), sorted by depth and blended front to back at every pixel. The constants are gsplat's, so
that the three renderers draw the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from flexavatar.head.binding import quat_to_matrix
from flexavatar.types import SH_C0, Camera, Frame, Gaussians

EPS2D = 0.3
"""Blur added to every projected covariance, pixels^2."""
DET_MAX = 1e30
"""Largest determinant of a projected covariance, pixels^4: some 3e7 pixels wide is an accident."""
NEAR = 0.01
"""Gaussians closer to the camera than this are not drawn, metres."""
ALPHA_MIN = 1 / 255
"""A contribution below this is skipped."""
ALPHA_MAX = 0.999
T_MIN = 1e-4
"""A pixel is closed before the Gaussian that would leave it less transmittance than this."""

PAIRS_AT_ONCE = 1 << 22
"""Pixels times Gaussians handled in one piece: bounds the memory."""


@dataclass(frozen=True)
class Projected:
    """Gaussians on the image plane that can be drawn, sorted from front to back."""

    means: Tensor  # [M, 2] pixels
    conics: Tensor  # [M, 3] inverse covariance: xx, xy, yy
    radii: Tensor  # [M, 2] half size of the box that holds every alpha >= ALPHA_MIN
    depths: Tensor  # [M] metres
    opacities: Tensor  # [M]
    colors: Tensor  # [M, 3]

    def __getitem__(self, index: Tensor) -> Projected:
        return Projected(**{name: value[index] for name, value in vars(self).items()})


def jacobian(points: Tensor, camera: Camera) -> Tensor:
    """Slope of the pinhole projection, held back outside the picture as gsplat does: [M, 2, 3]."""
    K = camera.K.to(points)
    rows = []
    for axis, size in enumerate((camera.width, camera.height)):
        focal, centre = K[axis, axis], K[axis, 2]
        margin = 0.15 * size / focal
        slope = points[:, axis] / points[:, 2]
        slope = slope.clamp(-centre / focal - margin, (size - centre) / focal + margin)
        row = [torch.zeros_like(slope)] * 3
        row[axis] = focal / points[:, 2]
        row[2] = -focal * slope / points[:, 2]
        rows.append(torch.stack(row, -1))
    return torch.stack(rows, -2)


def drawable(gaussians: Gaussians, camera: Camera) -> Tensor:
    """Gaussians with finite values, a rotation, enough opacity, and in front of the camera: [N]."""
    g = gaussians
    values = torch.cat((g.means, g.quats, g.scales, g.opacities[:, None], g.sh.flatten(1)), -1)
    view = camera.viewmat.to(g.means)
    depths = g.means @ view[2, :3] + view[2, 3]
    usable = values.isfinite().all(-1) & (g.quats.square().sum(-1) > 1e-20)
    return usable & (g.opacities >= ALPHA_MIN) & (depths >= NEAR)


def project(gaussians: Gaussians, camera: Camera) -> Projected:
    """Project what can be drawn and sort it by depth."""
    keep = drawable(gaussians, camera)
    means, quats, scales = (x[keep] for x in (gaussians.means, gaussians.quats, gaussians.scales))
    view, K = camera.viewmat.to(means), camera.K.to(means)
    points = means @ view[:3, :3].T + view[:3, 3]
    axes = quat_to_matrix(torch.nn.functional.normalize(quats, dim=-1)) * scales[:, None, :]
    axes2d = jacobian(points, camera) @ view[:3, :3] @ axes  # [M, 2, 3]
    cov = axes2d @ axes2d.mT + EPS2D * torch.eye(2).to(means)
    xx, xy, yy = cov[:, 0, 0], cov[:, 0, 1], cov[:, 1, 1]
    det = xx * yy - xy * xy
    conics = torch.stack((yy, -xy, xx), -1) / det[:, None]
    focal, centre = K.diagonal()[:2], K[:2, 2]
    opacities = gaussians.opacities[keep]
    extent = (2 * torch.log(opacities / ALPHA_MIN)).sqrt()[:, None]
    projected = Projected(
        means=points[:, :2] / points[:, 2:] * focal + centre,
        conics=conics,
        radii=extent.detach() * torch.stack((xx, yy), -1).detach().sqrt(),
        depths=points[:, 2],
        opacities=opacities,
        colors=(0.5 + SH_C0 * gaussians.sh[keep, 0]).clamp_min(0),
    )
    order = torch.argsort(projected.depths, stable=True)
    return projected[order[det[order] < DET_MAX]]


def composite(projected: Projected, pixels: Tensor) -> Tensor:
    """Blend all Gaussians at pixel centres [P, 2] -> [P, 5]: premultiplied rgb, alpha, sum wz."""
    p = projected
    d = pixels[:, None] - p.means  # [P, M, 2]
    a, b, c = p.conics.unbind(-1)
    sigma = 0.5 * (a * d[..., 0] ** 2 + c * d[..., 1] ** 2) + b * d[..., 0] * d[..., 1]
    alphas = (p.opacities * torch.exp(-sigma)).clamp_max(ALPHA_MAX)
    alphas = torch.where((alphas >= ALPHA_MIN) & (sigma >= 0), alphas, 0.0)
    after = torch.cumprod(1 - alphas, -1)
    open_ = (after > T_MIN).cumprod(-1)  # 1 until the pixel is closed
    before = torch.cat((torch.ones_like(after[:, :1]), after[:, :-1]), -1)
    weights = alphas * before * open_
    values = torch.cat((p.colors, torch.ones_like(p.depths)[:, None], p.depths[:, None]), -1)
    return weights @ values


def pixel_centres(rows: range, cols: range, like: Tensor) -> Tensor:
    """Pixel centres of a rectangle, row by row: [P, 2] as x, y."""
    y, x = torch.meshgrid(
        torch.arange(rows.start, rows.stop), torch.arange(cols.start, cols.stop), indexing="ij"
    )
    return torch.stack((x, y), -1).flatten(0, 1).to(like) + 0.5


def to_frame(blended: Tensor) -> Frame:
    """Premultiplied rgb, alpha and summed depth [H, W, 5] -> a frame."""
    alpha = blended[..., 3]
    filled = alpha > 0
    depth = torch.where(filled, blended[..., 4] / torch.where(filled, alpha, 1.0), 0.0)
    return Frame(blended[..., :4], depth)


def rasterize_reference(gaussians: Gaussians, camera: Camera) -> Frame:
    """Every pixel against every Gaussian: the definition of the picture."""
    projected = project(gaussians, camera)
    pixels = pixel_centres(range(camera.height), range(camera.width), projected.means)
    step = max(1, PAIRS_AT_ONCE // max(1, len(projected.depths)))
    blended = torch.cat([composite(projected, piece) for piece in pixels.split(step)])
    return to_frame(blended.unflatten(0, (camera.height, camera.width)))


TILE = 16
GAUSSIANS_AT_ONCE = 1 << 14
"""Gaussians in one tile beyond which its rows are drawn one by one: bounds the memory."""


def touching(projected: Projected, rows: range, cols: range) -> Tensor:
    """Which Gaussians reach into a rectangle of pixels: [M]."""
    low, high = projected.means - projected.radii, projected.means + projected.radii
    across = (high[:, 0] >= cols.start) & (low[:, 0] <= cols.stop)
    return across & (high[:, 1] >= rows.start) & (low[:, 1] <= rows.stop)


def draw_tile(projected: Projected, rows: range, cols: range) -> Tensor:
    """One rectangle of the picture: [rows, cols, 5], see `composite`."""
    inside = projected[touching(projected, rows, cols)]
    pixels = pixel_centres(rows, cols, projected.means)
    step = len(pixels) if len(inside.depths) <= GAUSSIANS_AT_ONCE else len(cols)
    blended = torch.cat([composite(inside, piece) for piece in pixels.split(step)])
    return blended.unflatten(0, (len(rows), len(cols)))


def rasterize_tiled(gaussians: Gaussians, camera: Camera) -> Frame:
    """The reference's picture, tile by tile."""
    projected = project(gaussians, camera)
    bands = []
    for top in range(0, camera.height, TILE):
        rows = range(top, min(top + TILE, camera.height))
        band = projected[touching(projected, rows, range(camera.width))]
        tiles = [
            draw_tile(band, rows, range(left, min(left + TILE, camera.width)))
            for left in range(0, camera.width, TILE)
        ]
        bands.append(torch.cat(tiles, 1))
    return to_frame(torch.cat(bands))


def to_rgba8(rgba: Tensor, background: tuple[float, float, float] | None) -> Tensor:
    """Premultiplied floats [H, W, 4] to bytes, over an opaque background if there is one."""
    if background is not None:
        behind = torch.tensor((*background, 1.0), dtype=rgba.dtype, device=rgba.device)
        rgba = rgba + (1 - rgba[..., 3:]) * behind
    return (rgba * 255 + 0.5).clamp(0, 255).to(torch.uint8)
