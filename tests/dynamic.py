"""A seeded network with weights on disk, and an avatar of the open head that changes by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from flexavatar.avatar.avatar import Avatar
from flexavatar.avatar.expression_network import Dynamics
from flexavatar.avatar.uv_maps import UvLayout, uv_layout
from flexavatar.head.binding import LocalSplats
from flexavatar.head.open_head import load_open_head
from flexavatar.head.texels import texel_frames
from flexavatar.models import weights
from flexavatar.models.config import QUERY_LRM_PRESETS
from flexavatar.models.query_lrm import QueryLrm
from tests.test_engine import plain_avatar

PRESET = "tiny"
CONFIG = QUERY_LRM_PRESETS[PRESET]


def layout() -> UvLayout:
    return uv_layout(load_open_head(), CONFIG)


def install_network(monkeypatch: pytest.MonkeyPatch, folder: Path, noise: float) -> str:
    """Put seeded weights where they are looked for; `noise` fills the last layer. Fingerprint."""
    monkeypatch.setattr(weights, "FOLDER", folder)
    torch.manual_seed(0)
    model = QueryLrm(CONFIG)
    torch.nn.init.normal_(model.unet.out.weight, std=noise)
    weights.save_query_lrm(model, weights.query_lrm_path(PRESET), {"steps": "0"})
    return weights.load_query_lrm(PRESET)[1]


def dynamic_avatar(fingerprint: str) -> Avatar:
    """A splat for each texel of the open head's chart; every other one below the brows changes."""
    random = torch.Generator().manual_seed(0)
    chart, head = layout().texels.chart, load_open_head()
    count = len(chart)
    frames = texel_frames(head, head.template, chart)
    tangent = frames.spacing.clamp(1e-4, 4e-3)
    ids = (chart.rows > CONFIG.chart // 4).nonzero().squeeze(1)[::2]
    side = CONFIG.drive_side
    dynamic = Dynamics(
        identity=torch.randn(CONFIG.identity, side, side, generator=random),
        splats=ids,
        cells=(chart.rows * CONFIG.chart + chart.cols)[ids],
        preset=PRESET,
        weights=fingerprint,
    )
    return replace(
        plain_avatar(),
        binding=chart.binding,
        splats=LocalSplats(
            offsets=1e-4 * torch.randn(count, 3, generator=random),
            quats=frames.quats,
            scales=torch.cat((tangent, torch.full((count, 1), 4e-4)), 1),
        ),
        opacities=torch.rand(count, generator=random),
        sh=torch.randn(count, 1, 3, generator=random),
        lids=(chart.cols % 7 == 0).float()[:, None].repeat(1, 2) * 0.5,
        dynamic=dynamic,
    )
