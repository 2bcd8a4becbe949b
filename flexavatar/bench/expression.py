"""Stages of a frame of an avatar that a learned model changes with its expression."""

from __future__ import annotations

from dataclasses import replace

import torch

from flexavatar.avatar import Animator, Avatar
from flexavatar.bench.measure import Row, measure
from flexavatar.bench.portrait import RUNS, driven_stages, portrait_avatar
from flexavatar.models.config import PRESETS
from flexavatar.models.dynamic import Dynamic, Expressor
from flexavatar.models.weights import load_query_lrm, query_lrm_path
from flexavatar.render import native

PRESET = "tiny"
CHANGING = 40_000
"""Splats of the avatar, about as many as the chart has texels on face, mouth and eyes."""


def expression_stages() -> list[Row]:
    """Expression to driving map, to dG; then whole frames. None where no weights are installed."""
    if not query_lrm_path(PRESET).is_file():
        return []
    avatar = changing_avatar(portrait_avatar())
    assert avatar.dynamic is not None
    animator, expressor = Animator(avatar), Expressor(avatar.dynamic)
    with torch.inference_mode():
        moves = animator.moves(avatar.codes)
        actions = {
            "drive_map": lambda: expressor.drive_map(animator.moves(avatar.codes)),
            "unet": lambda: expressor.change(moves),
        }
        rows = [
            measure(stage, action, threads=native.get_threads(), gaussians=len(avatar), runs=RUNS)
            for stage, action in actions.items()
        ]
    return rows + driven_stages(avatar, "_unet")


def changing_avatar(avatar: Avatar) -> Avatar:
    """The avatar with CHANGING splats that read dG all over the chart, of nobody in particular."""
    if avatar.dynamic:
        return avatar
    config, count = PRESETS[PRESET], min(CHANGING, len(avatar))
    dynamic = Dynamic(
        identity=torch.zeros(config.identity, config.drive_side, config.drive_side),
        splats=torch.arange(count),
        cells=torch.arange(count) * config.chart**2 // count,
        preset=PRESET,
        weights=load_query_lrm(PRESET)[1],
    )
    return replace(avatar, dynamic=dynamic)
