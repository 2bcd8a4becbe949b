"""Strands of hair where no photo shows any: locks of elongated Gaussians along the hair's flow.

Each takes its colours from a strand that the photo does show, near in height, so that light and
shade run along it as they do there. Under them lies the scalp, darker.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from flexavatar.create.hair_pattern import SAMPLES, HairPattern, hair_pattern
from flexavatar.create.hair_shell import HairShell, hair_shell
from flexavatar.create.hair_volume import CENTRE
from flexavatar.create.off_mesh import extend_depth
from flexavatar.create.photo_splats import BoundSplats, unmoved, unpose
from flexavatar.create.pixels import Mask
from flexavatar.create.posed_views import PosedViews
from flexavatar.create.skin import Skin
from flexavatar.create.sphere_grid import Points, cell_angles, directions, interpolate, spherical
from flexavatar.head.binding import matrix_to_quat
from flexavatar.head.off_mesh_binding import off_mesh_binding
from flexavatar.render.camera import camera_position, project, unproject
from flexavatar.render.mesh import render_mesh

LOCKS, PER_LOCK = 300, 5
"""Locks all around a head of which nothing is seen, and strands in each, where they are longest;
shorter ones are more."""
STEP, SHORT_STEP, LONG_STEP = 1e-2, 6e-3, 1.5e-2
"""Metres between the Gaussians of a strand, of one of cropped and of long hair."""
MOST, LEAST = 13, 3
"""Gaussians of the longest strands of hair that does not hang, and of the shortest."""
MOST_DENSE = 2.0
"""How many times more locks cropped hair has."""
CROPPED, THICK = 0.008, 0.028
"""Thickness of cropped hair, and of hair whose strands are the longest that do not hang: metres."""
UNCOMBED = 0.55
"""Radians, standard deviation, by which locks of cropped hair leave the flow."""
MOST_LONG, FREE = 24, 0.0
"""The same of long hair, and metres above the eyes' middle below which it falls freely."""
NAPE, LONG = -0.062, 0.03
"""Height of the nape's hairline over the eyes' middle, and how far below hair is long: metres."""
SPREAD = 3.6e-3
"""Standard deviation across a lock at its roots, metres; strands draw together to their tips."""
LIFT = (8e-4, 2e-3, 5.5e-3)
"""Metres over the shell at which strands start, the lowest and, of cropped and of thick hair, the
highest."""
WIDTH, FLAT = (1.2e-3, 2.0e-3), 0.45
"""Metres, standard deviations across, and thickness in widths."""
FINE = 0.6
"""Width of cropped strands, of the others'."""
OPACITY = 0.94
UNSEEN = (0.2, 0.55)
"""Evidence at which hair is all made up, and from which none is added."""
AHEAD = 1.2
"""Radians from straight ahead within which none hangs free: photos would show it."""
LOW_ROOTS = 1.0
"""How many more roots there are in the lower half of long hair, which hangs down from them."""
BELOW = 0.012
"""Metres by which tips end earlier or later."""
FEWEST_PROFILES = 40
CLEARANCE = 3e-3
"""Metres behind what a photo shows from which nothing is seen of a strand."""
INSIDE_PX, EDGE_ON = 2, 0.2
"""Pixels inside the matte's edge that a hidden strand has to be; cosine to the line of sight below
which a surface is seen edge-on."""
ON_SCALP = 0.35
"""Share of growing hair from which a place is scalp."""
FLUSH = 6e-4
"""Metres over the shell of strands that lie flat."""


@dataclass(frozen=True)
class _Growth:
    """Gaussians of strands in the neutral head."""

    points: Points  # [N, 3]
    along: NDArray[np.float64]  # [N, 3] unit
    outwards: NDArray[np.float64]  # [N, 3] unit
    strand: NDArray[np.int64]  # [N]
    share: NDArray[np.float64]  # [N] 0 root .. 1 tip
    lift: NDArray[np.float64]  # [N] 0..1 how far out in its lock
    stride: NDArray[np.float64]  # [N] metres to the next


def hair_strands(skin: Skin) -> BoundSplats | None:
    """Strands that complete the hair of a person; None of who has none, or wears a hat."""
    hair, posed = skin.hair, skin.observations.posed
    if not hair.has_strands:
        return None
    pattern = hair_pattern(posed.portraits[0], hair.tone.numpy(), hair.spread, _never_hair(posed))
    if len(pattern.profiles) < FEWEST_PROFILES:
        return None
    shell = hair_shell(skin, pattern)
    grown = float(np.clip((hair.thickness - CROPPED) / (THICK - CROPPED), 0, 1))
    growth = _grow(shell, grown, np.random.default_rng(0))
    growth = _sink_visible(growth, shell, posed)
    if not len(growth.points):
        return None
    colors = _strand_colors(growth, pattern, posed)
    return _splats(growth, colors, posed, FINE + (1 - FINE) * grown)


def _never_hair(posed: PosedViews) -> Mask:
    """Pixels of the first photo that show face, neck or shoulders: [S, S]."""
    view, head = posed.views[0], posed.head
    mesh = render_mesh(view.motion.vertices, head.faces, view.camera)
    body = torch.maximum(head.masks["neck"], head.masks["shoulders"])[head.faces].amin(1) > 0.5
    shown = (mesh.face_ids >= 0) & body[mesh.face_ids.clamp_min(0)]
    return view.portrait.face_hull | shown.numpy()


def _grow(shell: HairShell, grown: float, rng: np.random.Generator) -> _Growth:
    """Follow the flow from roots that no photo shows; hair is `grown` 0, cropped, to 1."""
    short = round(LEAST + 1 + (MOST - LEAST - 1) * grown)
    roots = _roots(shell, LOCKS * min(MOST / short, MOST_DENSE), rng)
    count = len(roots)
    lock = np.repeat(np.arange(count), PER_LOCK)
    size = count * PER_LOCK
    lift = (
        0.6 * np.repeat(rng.uniform(0, 1, count), PER_LOCK) + 0.4 * rng.uniform(0, 1, size)
    ) ** 1.2
    across = rng.normal(0, SPREAD, size)
    end = shell.lowest_at(roots)[lock] + rng.normal(0, BELOW, size)
    long = shell.lowest_at(roots)[lock] < NAPE - LONG
    most = np.where(long, MOST_LONG, short) - rng.integers(0, short - LEAST, size)
    stride = np.where(long, LONG_STEP, SHORT_STEP + (STEP - SHORT_STEP) * grown)
    highest = np.where(long, LIFT[2], LIFT[1] + (LIFT[2] - LIFT[1]) * grown)
    stray = rng.normal(0, UNCOMBED, count)[lock] * np.where(long, 0.0, 1 - grown)
    phase, sway = rng.uniform(0, 2 * np.pi, size), rng.uniform(0, 0.14, size)
    at = roots[lock]
    out = _outwards(at)
    flow = interpolate(shell.flow, at)
    at = at + across[:, None] * np.cross(out, flow)
    alive = np.ones(size, bool)
    steps: list[tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]] = []
    for step in range(MOST_LONG):
        share = step / np.maximum(most, 1)
        out = _outwards(at)
        on_scalp = (interpolate(shell.grows, at) > ON_SCALP) & ~(long & (at[:, 1] < FREE))
        reach = (
            interpolate(shell.radius, at)
            + LIFT[0]
            + (highest - LIFT[0]) * lift * (1 - 0.5 * share**2)
        )
        radius = spherical(at)[2]
        radius = np.where(on_scalp, reach, np.maximum(radius, reach))
        at = np.asarray(CENTRE) + radius[:, None] * out
        ahead = np.abs(np.arctan2(at[:, 0], at[:, 2])) < AHEAD
        alive &= (step < most) & (at[:, 1] > end) & (on_scalp | (long & ~ahead))
        steps.append((at, alive.copy(), share))
        heading = np.where(on_scalp[:, None], interpolate(shell.flow, at), (0.0, -1.0, 0.0))
        side = np.cross(out, heading)
        bend = sway * np.sin(phase + 0.9 * step) - across * 12.0 * (step > 2) + np.tan(stray)
        heading = heading + side * bend[:, None]
        heading /= np.linalg.norm(heading, axis=1, keepdims=True).clip(1e-6)
        at = at + stride[:, None] * heading
    return _as_growth(steps, lift, stride)


def _roots(shell: HairShell, locks: float, rng: np.random.Generator) -> Points:
    """Middles of locks on the shell, of `locks` the share that is not seen: [N, 3]."""
    azimuth, elevation = cell_angles()
    unseen = 1 - ((shell.seen - UNSEEN[0]) / (UNSEEN[1] - UNSEEN[0])).clip(0, 1)
    area = shell.radius**2 * np.cos(elevation) * (shell.grows > 0.5)
    hanging = 1 + LOW_ROOTS * (shell.lowest < NAPE - LONG) * (elevation < 0)
    wanted = area * unseen * hanging
    count = round(locks * float(wanted.sum() / max(area.sum(), 1e-9)))
    chosen = (
        rng.choice(wanted.size, count, p=(wanted / max(wanted.sum(), 1e-12)).ravel())
        if count
        else []
    )
    chosen = np.asarray(chosen, np.int64)
    height, width = wanted.shape
    turn = azimuth.ravel()[chosen] + rng.uniform(-0.5, 0.5, count) * 2 * np.pi / width
    rise = elevation.ravel()[chosen] + rng.uniform(-0.5, 0.5, count) * np.pi / height
    return np.asarray(CENTRE) + shell.radius.ravel()[chosen][:, None] * directions(turn, rise)


def _outwards(points: Points) -> NDArray[np.float64]:
    """Away from the skull's middle, unit: [N, 3]."""
    away = points - np.asarray(CENTRE)
    return away / np.linalg.norm(away, axis=1, keepdims=True).clip(1e-9)


def _as_growth(
    steps: list[tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]],
    lift: NDArray[np.float64],
    stride: NDArray[np.float64],
) -> _Growth:
    """Steps of all strands at once -> the Gaussians of those that live."""
    places = np.stack([s[0] for s in steps], 1)  # [S, N, 3]
    alive = np.stack([s[1] for s in steps], 1)
    share = np.stack([s[2] for s in steps], 1)
    along = np.diff(places, axis=1, append=2 * places[:, -1:] - places[:, -2:-1])
    along /= np.linalg.norm(along, axis=-1, keepdims=True).clip(1e-9)
    strand = np.broadcast_to(np.arange(len(places))[:, None], alive.shape)
    kept = places[alive]
    return _Growth(
        kept,
        along[alive],
        _outwards(kept),
        strand[alive],
        share[alive].clip(0, 1),
        lift[strand[alive]],
        stride[strand[alive]],
    )


def _sink_visible(growth: _Growth, shell: HairShell, posed: PosedViews) -> _Growth:
    """Without what photos would show; at the outline, where they see edge-on, strands lie flat."""
    on_scalp = interpolate(shell.grows, growth.points) > ON_SCALP
    keep = _hidden(growth.points, growth.outwards, on_scalp, posed)
    flat = np.asarray(CENTRE) + (
        (interpolate(shell.radius, growth.points) + FLUSH)[:, None] * growth.outwards
    )
    sunk = ~keep & on_scalp & _hidden(flat, growth.outwards, on_scalp, posed)
    points = np.where(sunk[:, None], flat, growth.points)
    kept = first_runs(keep | sunk, growth.strand)
    return _Growth(*(values[kept] for values in (points, *list(vars(growth).values())[1:])))


def first_runs(kept: NDArray[np.bool_], strand: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of each strand [N], root first, the first unbroken part of what is kept: [N]."""
    same = np.r_[False, strand[1:] == strand[:-1]]
    ends = np.cumsum(~kept & np.r_[False, kept[:-1]] & same)
    starts = np.flatnonzero(~same)
    before = np.repeat(ends[starts], np.diff(np.r_[starts, len(strand)]))
    return kept & (ends == before)


def _strand_colors(growth: _Growth, pattern: HairPattern, posed: PosedViews) -> NDArray[np.float64]:
    """Of photographed strands near in height, one for each strand: [N, 3]."""
    rng, view = np.random.default_rng(1), posed.views[0]
    mesh = render_mesh(view.motion.vertices, posed.head.faces, view.camera)
    depth = extend_depth(mesh, view.camera)
    x, y = pattern.middles.astype(int).T
    shown = unproject(
        view.camera, torch.from_numpy(pattern.middles), torch.from_numpy(depth[y, x])
    ).numpy()
    first = np.unique(growth.strand, return_index=True)[1]
    heights = growth.points[first, 1] - 0.02 + rng.normal(0, 0.012, len(first))
    near = cKDTree(shown[:, 1:2]).query(heights[:, None], k=min(24, len(shown)))[1]
    chosen = near[np.arange(len(first)), rng.integers(0, near.shape[1], len(first))]
    source = np.zeros(growth.strand.max() + 1, np.int64)
    source[growth.strand[first]] = chosen
    at = growth.share * (SAMPLES - 1)
    low = at.astype(int).clip(0, SAMPLES - 2)
    profile = pattern.profiles[source[growth.strand]]
    rows = np.arange(len(low))
    part = (at - low)[:, None]
    colors = profile[rows, low] * (1 - part) + profile[rows, low + 1] * part
    tint = 1 + 0.08 * rng.normal(0, 1, growth.strand.max() + 1)[growth.strand]
    return (colors * (0.86 + 0.28 * growth.lift)[:, None] * tint[:, None]).clip(0, 1)


def _hidden(
    points: Points, outwards: NDArray[np.float64], on_scalp: NDArray[np.bool_], posed: PosedViews
) -> NDArray[np.bool_]:
    """Points of which no photo of the same hair should show anything: [N]."""
    hidden = np.ones(len(points), bool)
    place = torch.from_numpy(points).float()  # the skull is where it is at rest
    for view in posed.views:
        if not view.sits_with(posed.views[0]):
            continue
        side = view.camera.width
        seen = project(view.camera, place).numpy()
        x, y = np.floor(seen[:, :2]).astype(int).clip(0, side - 1).T
        outside = ((seen[:, :2] < 0) | (seen[:, :2] >= side)).any(1) | ~view.portrait.inside[y, x]
        mesh = render_mesh(view.motion.vertices, posed.head.faces, view.camera)
        depth = cv2.dilate(extend_depth(mesh, view.camera), np.ones((5, 5)))[y, x]
        toward = camera_position(view.camera).numpy() - points
        toward /= np.linalg.norm(toward, axis=1, keepdims=True)
        edge_on = (toward * outwards).sum(1) < EDGE_ON
        person = view.portrait.matte
        inside = cv2.erode(person, np.ones((2 * INSIDE_PX + 1,) * 2))[y, x] > 0.9
        behind = inside & (seen[:, 2] > depth + CLEARANCE)
        hidden &= outside | behind | (edge_on & on_scalp & (person[y, x] > 0.5))
    return hidden


def _splats(
    growth: _Growth, colors: NDArray[np.float64], posed: PosedViews, wide: float
) -> BoundSplats:
    """Elongated Gaussians, `wide` times as wide, bound to sway as hair off the mesh does."""
    rng = np.random.default_rng(2)
    along, out = growth.along, growth.outwards
    across = np.cross(out, along)
    across /= np.linalg.norm(across, axis=1, keepdims=True).clip(1e-9)
    frame = np.stack((along, across, np.cross(along, across)), -1)
    width = wide * rng.uniform(*WIDTH, len(along)) * (1.05 - 0.5 * growth.share**3)
    scales = np.stack((0.55 * growth.stride, width, FLAT * width), -1)
    points = torch.from_numpy(growth.points).float()
    binding = off_mesh_binding(points, posed.neutral, posed.head)
    quats = matrix_to_quat(torch.from_numpy(frame).float())
    local = unpose(points, quats, torch.from_numpy(scales).float(), binding, unmoved(posed.neutral))
    opacities = torch.full((len(points),), OPACITY)
    return BoundSplats(binding, local, torch.from_numpy(colors).float(), opacities)
