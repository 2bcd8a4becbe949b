"""A small baked head that was never a person, and eight poses of it: every runtime's golden set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from flexavatar.baked.colors import ColorBases
from flexavatar.baked.file import packed_range, read_baked
from flexavatar.baked.poser import BakedPoser
from flexavatar.baked.rig import BakedAvatar, BakedRig, MoveFields
from flexavatar.formats.packed16 import pack_in_torch
from flexavatar.head.arkit import ARKIT_INDEX, JAW_OPEN, MOUTH_CLOSE, analytic_basis
from flexavatar.head.binding import Binding, LocalSplats
from flexavatar.types import SH_C0, Camera

SIDE = 12  # vertices a side of a bent sheet
SPLATS, CHANGING, BASES = 200, 120, 4
PRODUCTS = ((ARKIT_INDEX["jawOpen"], ARKIT_INDEX["mouthFunnel"]), (ARKIT_INDEX["browInnerUp"], 52))


def sheet() -> tuple[Tensor, Tensor]:
    """A bent sheet the size of a face: [V, 3] metres, [F, 3]."""
    across, up = torch.meshgrid(*(torch.linspace(-0.08, 0.08, SIDE),) * 2, indexing="ij")
    points = torch.stack((across, up, 0.05 * torch.cos(across * 15) * torch.cos(up * 12)), -1)
    corner = (torch.arange(SIDE - 1)[:, None] * SIDE + torch.arange(SIDE - 1)).flatten()
    one = torch.stack((corner, corner + SIDE, corner + 1), 1)
    other = torch.stack((corner + 1, corner + SIDE, corner + SIDE + 1), 1)
    return points.flatten(0, 1), torch.cat((one, other))


def move_fields(count: int, random: torch.Generator) -> MoveFields:
    """A handful of vertices for each field, up to some millimetres."""
    numbers = torch.randint(0, 9, (count,), generator=random)
    start = torch.cat((numbers.new_zeros(1), numbers.cumsum(0)))
    total = int(start[-1])
    vertices = torch.randint(0, SIDE**2, (total,), generator=random)
    return MoveFields(start, vertices, torch.randn(total, 3, generator=random) * 0.002)


def small_rig(random: torch.Generator) -> BakedRig:
    points, faces = sheet()
    weights = torch.rand(len(points), 5, generator=random) ** 3
    basis = analytic_basis(0.3)
    names = ("jaw_pose", "leye_pose", "reye_pose", "eyelids")
    rings = (torch.arange(90, 94), torch.arange(78, 82), torch.arange(30, 34), torch.arange(18, 22))
    return BakedRig(
        template=points,
        faces=faces,
        joints=torch.tensor([[0, -0.1, -0.1], [0, -0.07, -0.05], [0, 0, -0.01],
                             [0.03, 0.03, 0], [-0.03, 0.03, 0]]),
        lbs_weights=weights / weights.sum(1, keepdim=True),
        products=torch.tensor(PRODUCTS),
        fields=move_fields(56 + len(PRODUCTS), random),
        **{name: getattr(basis, name) for name in names},
        lid_rings=rings,
        usual_openings=torch.tensor([0.016, 0.018]),
    )  # fmt: skip


def small_baked() -> BakedAvatar:
    """The same at every call."""
    random = torch.Generator().manual_seed(22)
    rig = small_rig(random)
    face = torch.randint(0, len(rig.faces), (SPLATS,), generator=random)
    bary = torch.rand(SPLATS, 3, generator=random) + 0.05
    lids = torch.zeros(SPLATS, 2)
    lids[::5, 0], lids[1::5, 1] = 1.0, 0.6
    viewmat = torch.diag(torch.tensor([1.0, -1, -1, 1]))
    viewmat[2, 3] = 0.6
    return BakedAvatar(
        rig=rig,
        binding=Binding(rig.faces[face], bary / bary.sum(1, keepdim=True)),
        splats=LocalSplats(
            torch.randn(SPLATS, 3, generator=random) * 0.002,
            torch.nn.functional.normalize(torch.randn(SPLATS, 4, generator=random), dim=1),
            torch.rand(SPLATS, 3, generator=random) * 0.008 + 0.0005,
        ),
        opacities=torch.rand(SPLATS, generator=random),
        colors=torch.rand(SPLATS, 3, generator=random),
        lids=lids,
        bases=ColorBases(
            torch.randn(BASES, CHANGING, 3, generator=random) * 0.05,
            torch.randn(56 + len(PRODUCTS), BASES, generator=random) * 0.5,
        ),
        camera=Camera(viewmat, torch.tensor([[400.0, 0, 64], [0, 400, 64], [0, 0, 1]]), 128, 128),
    )


@dataclass(frozen=True)
class DrivenPose:
    """What one pose is asked with."""

    weights: Tensor  # [52]
    neck_pose: Tensor  # [3]


def golden_poses() -> list[DrivenPose]:
    """Rest, a closed eye, a mouth that may not close further than its jaw, and five mixed ones."""
    random = torch.Generator().manual_seed(8)
    blink, close = torch.zeros(52), torch.zeros(52)
    blink[ARKIT_INDEX["eyeBlinkLeft"]] = 1
    close[MOUTH_CLOSE], close[JAW_OPEN] = 0.9, 0.4
    still = torch.zeros(3)
    mixed = [
        DrivenPose(torch.rand(52, generator=random) ** 2, torch.randn(3, generator=random) * 0.2)
        for _ in range(5)
    ]
    return [DrivenPose(torch.zeros(52), still), DrivenPose(blink, still), DrivenPose(close, still),
            *mixed]  # fmt: skip


def golden_bytes(file: bytes) -> bytes:
    """Of each pose: weights, neck, means, quats, scales, opacities, colours (f32), packed16."""
    baked = read_baked(file)
    poser, scales = BakedPoser(baked), packed_range(baked)
    parts = []
    for asked in golden_poses():
        posed = poser.pose(asked.weights, asked.neck_pose)
        packed = torch.zeros(len(posed), 16, dtype=torch.uint8)
        pack_in_torch(posed, scales, packed)
        colors = 0.5 + SH_C0 * posed.sh[:, 0]
        shown = (posed.means, posed.quats, posed.scales, posed.opacities, colors)
        floats = (asked.weights, asked.neck_pose, *shown)
        parts += [x.numpy().astype("<f4").tobytes() for x in floats] + [packed.numpy().tobytes()]
    return b"".join(parts)


GOLDEN_POSE_BYTES = 4 * (52 + 3 + SPLATS * (3 + 4 + 3 + 1 + 3)) + 16 * SPLATS


def largest_step(packed: np.ndarray, wanted: np.ndarray) -> int:
    """How many steps apart two packed16 buffers [N, 16] are at most, angles of no turn aside."""
    halves = [x.view("<f2")[:, 2:5].view("<i2").astype(int) for x in (packed, wanted)]
    one, other = (np.delete(x, range(4, 10), 1).astype(int) for x in (packed, wanted))
    return max(int(abs(halves[0] - halves[1]).max()), int(abs(one - other).max()))
