"""The open head's UV chart: one square, mirror-symmetric about u = 0.5, nothing overlaps.

The left half of every part is flattened into a rectangle of the chart's right half (the face seen
from the front is the right way round) and mirrored. Skin with the mouth cavity fills the upper
part: front midline at u = 0.5, back midline at the outer edge, crown at the top, bust at the
bottom. Eyeballs, teeth and tongue lie in a row below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from flexavatar.easing import smoothstep
from flexavatar.head.bake.body import Body
from flexavatar.head.bake.mesh import PARTS
from flexavatar.head.bake.slim import Disc, flatten, reference_frames
from flexavatar.head.mesh_operators import open_edges, vertex_normals

TEXELS = 256
"""Resolution that sizes below are given for."""
GUTTER = 1.0
"""Texels between rectangles."""
ROW = 46
"""Height of the row of small parts, texels."""
SPACING = {"face": 1.5, "ears": 1.9, "scalp": 2.4, "neck": 3.6, "shoulders": 5.0}
FINER = {"front": 0.78, "lips": 0.58, "lids": 0.62}
TEETH_SPACING = (0.7, 1.8)
"""Wanted millimetres between texels (teeth: front and back); a factor fits them to the box."""
CAP_WEIGHT = 0.25
"""Weight of the caps over eye and mouth openings, which are cut out afterwards."""
IMPORTANCE = {"front": 3.0, "lips": 6.0}
"""What a mask adds to the weight of a triangle's distortion."""
FOREHEAD, OCCIPUT = 52.0, 128.0
"""Degrees from the nose over the crown, seen from the origin, between which the midline is cut."""
EYE_FRONT = (np.deg2rad(48), 17.5)
"""Eyeball: this far from straight ahead is drawn at one scale, to this radius in texels."""


@dataclass(frozen=True)
class Box:
    """A rectangle of the half chart, in texels."""

    left: float
    bottom: float
    width: float
    height: float


HALF = TEXELS / 2
SKIN = Box(0, ROW + GUTTER, HALF, TEXELS - ROW - GUTTER)
EYE = Box(0, 0, ROW, ROW)
LOWER_TEETH = Box(ROW + GUTTER, 0, 52, 22.5)
UPPER_TEETH = Box(ROW + GUTTER, 22.5 + GUTTER, 52, 22.5)
NARROW = HALF - ROW - 52 - 2 * GUTTER
TONGUE = Box(ROW + 52 + 2 * GUTTER, 0, NARROW, 22.5)
CAVITY = Box(ROW + 52 + 2 * GUTTER, 22.5 + GUTTER, NARROW, 22.5)


def build_chart(body: Body, masks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Texture coordinates `uvs` [Vt, 2] in 0..1 and `uv_faces` [F, 3]."""
    mesh = body.mesh
    left = body.points[mesh.faces].mean(1)[:, 0] > 0
    texels = np.zeros((len(mesh.faces), 3, 2))
    for chosen, corners in _pieces(body, masks, left):
        texels[chosen] = corners
    texels[~left] = _mirrored(mesh.faces, mesh.mirror, texels, left)
    texels[..., 0] = TEXELS / 2 + np.where(left[:, None], 1, -1) * texels[..., 0]
    flat = np.round(texels.reshape(-1, 2) / TEXELS, 7)
    keyed = np.column_stack((mesh.faces.ravel(), flat))
    unique, index = np.unique(keyed, axis=0, return_inverse=True)
    return {
        "uvs": unique[:, 1:].astype(np.float32),
        "uv_faces": index.reshape(-1, 3).astype(np.int32),
    }


def _mirrored(
    faces: np.ndarray, mirror: np.ndarray, texels: np.ndarray, left: np.ndarray
) -> np.ndarray:
    """Corners of the right faces from their left twins; `triangulate` pairs them."""
    twins = np.flatnonzero(left)
    assert (np.sort(mirror[faces[~left]], axis=1) == np.sort(faces[twins], axis=1)).all()
    order = (mirror[faces[~left]][:, :, None] == faces[twins][:, None, :]).argmax(2)
    return np.take_along_axis(texels[twins], order[..., None], axis=1)


def _pieces(body: Body, masks: dict[str, np.ndarray], left: np.ndarray):
    """Left faces of each part and their corners in texels of the half chart."""
    parts = body.mesh.face_parts
    yield _skin(body, masks, left & (parts == PARTS.index("skin")))
    yield _eyeball(body, left & (parts == PARTS.index("leye")))
    for name, box in (("upper_teeth", UPPER_TEETH), ("lower_teeth", LOWER_TEETH)):
        yield _teeth(body, left & (parts == PARTS.index(name)), box)
    for name, box in (("tongue", TONGUE), ("cavity", CAVITY)):
        yield _pouch(body, left & (parts == PARTS.index(name)), box)


def _skin(body: Body, masks: dict[str, np.ndarray], chosen: np.ndarray):
    """Eye and mouth openings are capped, so that skin is a disc; the caps are then left out."""
    faces, points = body.mesh.faces[chosen], body.points
    masks = masks | {"front": front_of_face(points) * masks["face"]}
    importance = np.ones(len(points))
    for name, gain in IMPORTANCE.items():
        importance += gain * masks[name]
    eye, mouth = (_opening(body, faces, loop) for loop in ("lid_tuck", "lip_cavity"))
    centres = np.stack([points[np.unique(edges)].mean(0) for edges in (eye, mouth)])
    centres[1, 0] = 0
    caps = [
        np.column_stack((edges[:, ::-1], np.full(len(edges), len(points) + i)))
        for i, edges in enumerate((eye, mouth))
    ]
    everything = np.vstack((faces, *caps))
    points = np.vstack((points, centres))
    spacing = np.append(wanted_spacing(masks), (1.0, 1.0))
    weights = np.append(importance[faces].mean(1), np.full(len(eye) + len(mouth), CAP_WEIGHT))
    outer = max(border_loops(everything), key=len)
    placed = flatten_part(points, everything, spacing, weights, _skin_sides(points, outer), SKIN)
    return np.flatnonzero(chosen), placed[faces]


def _opening(body: Body, faces: np.ndarray, loop: str) -> np.ndarray:
    """Directed border edges along the rings of this name: [E, 2]."""
    rings = [ring for name, ring in body.mesh.rings.items() if name.endswith(loop)]
    border = open_edges(faces)
    border = border[np.lexsort(border.T[::-1])]
    return border[np.isin(border, np.concatenate(rings)).all(1)]


def front_of_face(points: np.ndarray) -> np.ndarray:
    """1 where a camera in front sees the face well, 0 towards ears and hair: [V]."""
    side = np.rad2deg(np.arctan2(np.abs(points[:, 0]), points[:, 2]))
    return smoothstep(side, 78, 48) * smoothstep(points[:, 1], 0.095, 0.06)


def wanted_spacing(masks: dict[str, np.ndarray]) -> np.ndarray:
    """Millimetres between texels: [V]."""
    total = sum(masks[name] for name in SPACING)
    blend = sum(masks[name] / SPACING[name] for name in SPACING) / np.maximum(total, 1e-6)
    for name, spacing in FINER.items():
        blend = np.maximum(blend, masks[name] / spacing)
    return 1 / np.maximum(blend, 0.1)


def _skin_sides(points: np.ndarray, outer: np.ndarray) -> tuple[np.ndarray, ...]:
    """Cut the border of the left skin at four corners: bust, back, crown, front."""
    on_midline = np.abs(points[outer, 0]) < 1e-7
    rim = np.flatnonzero(~on_midline)
    start = next(i for i in rim if on_midline[i - 1]) - 1  # the last midline vertex before the rim
    loop = np.roll(outer, -start)
    if points[loop[0], 2] < points[loop[int((~on_midline).sum()) + 1], 2]:
        raise AssertionError("the border runs along the bust from front to back")
    back = int((~on_midline).sum()) + 1
    degrees = np.rad2deg(np.arctan2(points[loop, 1], points[loop, 2]))
    up_the_back = np.arange(len(loop)) > back
    high = up_the_back & (points[loop, 1] > 0.03)
    crown = np.flatnonzero(high & (degrees < OCCIPUT) & (degrees > FOREHEAD))
    return _cut(loop, (0, back, int(crown[0]), int(crown[-1])))


def _cut(loop: np.ndarray, corners: Sequence[int]) -> tuple[np.ndarray, ...]:
    """Split a closed loop at four places, ends shared."""
    closed = np.concatenate((loop, loop[:1]))
    ends = [*corners, len(loop)]
    return tuple(closed[a : b + 1] for a, b in pairwise(ends))


def flatten_part(
    points: np.ndarray,
    faces: np.ndarray,
    spacing: np.ndarray,
    weights: np.ndarray,
    sides: tuple[np.ndarray, ...],
    box: Box,
) -> np.ndarray:
    """Texels of the vertices of one part in its box; others are not meaningful: [V, 2]."""
    used, local = np.unique(faces, return_inverse=True)
    local = local.reshape(-1, 3)
    index = np.full(len(points), -1)
    index[used] = np.arange(len(used))
    frames = reference_frames(points[used], local, spacing[used][local].mean(1) * 1e-3)
    area = 0.5 * np.abs(np.linalg.det(frames)).sum()
    frames *= np.sqrt(box.width * box.height / area)
    local_sides = tuple(index[side] for side in sides)
    disc = Disc(local, frames, weights, local_sides, (box.width, box.height), len(used))
    placed = np.zeros((len(points), 2))
    placed[used] = flatten(disc) + np.array((box.left, box.bottom))
    return placed


def border_loops(faces: np.ndarray) -> list[np.ndarray]:
    """Closed borders of a mesh, along the direction of their faces."""
    after = dict(open_edges(faces).tolist())
    loops = []
    while after:
        start = min(after)
        loop = [start]
        while (ahead := after.pop(loop[-1])) != start:
            loop.append(ahead)
        loops.append(np.array(loop))
    return loops


def _eyeball(body: Body, chosen: np.ndarray):
    """Distance from straight ahead becomes radius, finer in front."""
    arms = body.points - body.joints[3]
    angle = np.arccos(np.clip(arms[:, 2] / np.linalg.norm(arms, axis=1), -1, 1))
    faces = body.mesh.faces[chosen]
    edge, texels = EYE_FRONT
    last = angle[faces].max()
    radius = np.interp(angle, (0, edge, last), (0, texels, EYE.width / 2))
    around = arms[:, :2] / np.maximum(np.linalg.norm(arms[:, :2], axis=1, keepdims=True), 1e-9)
    centre = np.array([EYE.left + EYE.width / 2, EYE.bottom + EYE.height / 2])
    return np.flatnonzero(chosen), (centre + radius[:, None] * around)[faces]


def _teeth(body: Body, chosen: np.ndarray, box: Box):
    """The half arch unrolled: midline on the left side, front edge of the strip chosen by order."""
    faces = body.mesh.faces[chosen]
    (loop,) = border_loops(faces)
    on_midline = np.abs(body.points[loop, 0]) < 1e-7
    start = next(i for i in np.flatnonzero(~on_midline) if on_midline[i - 1]) - 1
    loop = np.roll(loop, -start)
    across = int(on_midline.sum()) - 1
    along = (len(loop) - 2 * across) // 2
    sides = _cut(loop, (0, along, along + across, 2 * along + across))
    spacing = np.where(_outward(body.points, faces) > 0.2, *TEETH_SPACING)
    return np.flatnonzero(chosen), flatten_part(
        body.points, faces, spacing, np.ones(len(faces)), sides, box
    )[faces]


def _outward(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """How far each vertex normal points out of the arch of teeth: [V]."""
    arms = (points - points[np.unique(faces)].min(0)) * (1, 0, 1)
    along = (vertex_normals(points, faces) * arms).sum(1)
    return along / np.maximum(np.linalg.norm(arms, axis=1), 1e-20)


def _pouch(body: Body, chosen: np.ndarray, box: Box):
    """The left half of a bag or a tongue: its border goes all around the box, by length."""
    faces, points = body.mesh.faces[chosen], body.points
    (loop,) = border_loops(faces)
    loop = np.roll(loop, -int(points[loop, 2].argmax()))
    steps = np.linalg.norm(points[np.roll(loop, -1)] - points[loop], axis=1)
    travelled = np.append(0, np.cumsum(steps))[:-1] / steps.sum()
    share = box.width / (box.width + box.height) / 2
    corners = [int(np.abs(travelled - t).argmin()) for t in (0, share, 0.5, 0.5 + share)]
    uses = np.bincount(faces.ravel(), minlength=len(points))
    for tip in np.flatnonzero(uses[loop] == 1):  # on a straight side its triangle would be flat
        corners[int(np.abs(np.array(corners) - tip).argmin())] = int(tip)
    spacing = np.full(len(points), 1.0)
    weights = np.ones(len(faces))
    sides = _cut(loop, corners)
    return np.flatnonzero(chosen), flatten_part(points, faces, spacing, weights, sides, box)[faces]
