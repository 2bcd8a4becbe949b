"""Two people who were never photographed: some of the head's texels, and hair of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from flexavatar.avatar.avatar import Avatar
from flexavatar.avatar.avatar_pair import CHART_SIDE
from flexavatar.avatar.expression_network import Dynamics
from flexavatar.head.binding import Binding, LocalSplats
from flexavatar.head.open_head import load_open_head
from flexavatar.head.texels import chart_texels, texel_frames
from flexavatar.models.config import QUERY_LRM_PRESETS
from flexavatar.render.camera import look_from
from tests.test_engine import plain_avatar

PRESET = "tiny"
EVERY, LOOSE = 23, 150
"""One texel in so many has a splat, and there are so many splats of hair."""


def person(seed: int, fingerprint: str | None = None) -> Avatar:
    """Somebody, whose skin changes with the expression by weights of this fingerprint."""
    random = torch.Generator().manual_seed(seed)
    head, texels = load_open_head(), chart_texels(load_open_head(), CHART_SIDE)
    rows = torch.arange(0, len(texels), EVERY)
    rows = rows[torch.rand(len(rows), generator=random) < 0.9]
    neutral = head.neutral(0.7 * torch.randn(head.identity.shape[2], generator=random))
    frames = texel_frames(head, neutral, texels)
    wide = EVERY**0.5 * frames.spacing[rows].clamp(1e-4, 4e-3)
    hair = head.faces[torch.randint(len(head.faces), (LOOSE,), generator=random)]
    count = len(rows) + LOOSE

    def both(skin: Tensor, loose: Tensor) -> Tensor:
        return torch.cat((skin, loose.expand(LOOSE, *skin.shape[1:])))

    splats = LocalSplats(
        1e-3 * torch.randn(count, 3, generator=random),
        both(frames.quats[rows], torch.randn(LOOSE, 4, generator=random)),
        both(torch.cat((wide, wide[:, :1] / 3), 1), torch.tensor([2e-3, 3e-3, 6e-3])),
    )
    splats.offsets[len(rows) :] *= 30
    dynamic = None
    if fingerprint:
        config, skin = QUERY_LRM_PRESETS[PRESET], torch.arange(0, len(rows), 2)
        sides = (config.drive_side,) * 2
        identity = torch.randn(config.identity, *sides, generator=random)
        cells = (texels.rows * CHART_SIDE + texels.cols)[rows[skin]]
        dynamic = Dynamics(identity, skin, cells, PRESET, fingerprint)
    plain, yaw = plain_avatar(), float(20 * torch.randn(1, generator=random))
    return replace(
        plain,
        neutral=neutral,
        binding=Binding(
            both(texels.binding.vertex_ids[rows], hair),
            both(texels.binding.bary[rows], torch.full((3,), 1 / 3)),
        ),
        splats=splats,
        opacities=0.3 + 0.6 * torch.rand(count, generator=random),
        sh=torch.randn(3, generator=random) + 0.3 * torch.randn(count, 1, 3, generator=random),
        camera=look_from(yaw, -5, 256, np.zeros(3), 0.4, distance=0.7),
        codes=replace(plain.codes, expression=0.3 * torch.randn(100, generator=random)),
        lids=(torch.rand(count, 2, generator=random) < 0.02).float(),
        model="query_lrm" if fingerprint else "fit",
        dynamic=dynamic,
    )
