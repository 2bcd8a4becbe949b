"""Stages of a frame of an avatar that a learned model changes with its expression."""

from __future__ import annotations

from dataclasses import replace

import torch

from flexavatar.avatar.avatar import Animator
from flexavatar.avatar.dynamic import ExpressionNetwork
from flexavatar.bench.measure import Row, measure
from flexavatar.bench.portrait import RUNS, driven_stages, portrait_avatar
from flexavatar.render import native


def expression_stages() -> list[Row]:
    """Expression to driving map, to dG; then whole frames."""
    avatar = portrait_avatar()
    assert avatar.dynamic is not None
    animator, expressor = Animator(avatar), ExpressionNetwork(avatar.dynamic)
    with torch.inference_mode():
        moves = animator.expression_moves(avatar.codes)
        actions = {
            "moves": lambda: animator.expression_moves(avatar.codes),
            "drive_map": lambda: expressor.drive_map(moves),
            "unet": lambda: expressor.change(moves),
        }
        rows = [
            measure(stage, action, threads=native.get_threads(), gaussians=len(avatar), runs=RUNS)
            for stage, action in actions.items()
        ]
    other = replace(avatar, neutral=1.05 * avatar.neutral)
    return rows + driven_stages(avatar, "_unet") + driven_stages(avatar, "_morph", other)
