"""One photo to the code of a learned model."""

from __future__ import annotations

import torch

from flexavatar.avatar.uv_maps import uv_layout
from flexavatar.bench.measure import Measurement, measure
from flexavatar.capture.landmark_rig import load_landmark_rig
from flexavatar.capture.portrait import PORTRAIT_SIDE
from flexavatar.capture.read_portraits import read_portraits
from flexavatar.capture.track import track
from flexavatar.create.create import PRESET
from flexavatar.create.encoder_inputs import EncoderInputs, encoder_inputs
from flexavatar.create.evidence import observe_surface
from flexavatar.create.network import predict_from
from flexavatar.create.posed_views import pose_views
from flexavatar.demo import SHIPPED_PORTRAIT
from flexavatar.head.open_head import load_open_head
from flexavatar.models.weights import load_query_lrm
from flexavatar.progress import no_progress

RUNS = 10


def encode_stages() -> list[Measurement]:
    """Reading a photo, and what makes a code of it."""
    model, _ = load_query_lrm(PRESET)
    head, data = load_open_head(), SHIPPED_PORTRAIT.read_bytes()
    portraits = read_portraits([data], no_progress)
    posed = pose_views(portraits, track(portraits, load_landmark_rig()), head)
    texels = uv_layout(head, model.config).texels

    def inputs() -> EncoderInputs:
        return encoder_inputs(observe_surface(posed, texels), model.config)

    own = inputs()
    actions = {
        "photo_to_portrait": lambda: read_portraits([data], no_progress),
        "portrait_to_place": lambda: pose_views(
            portraits, track(portraits, load_landmark_rig()), head
        ),
        "place_to_evidence": inputs,
        "evidence_to_code": lambda: predict_from(own, posed, PRESET),
    }
    return [
        measure(
            stage,
            action,
            threads=torch.get_num_threads(),
            width=PORTRAIT_SIDE,
            height=PORTRAIT_SIDE,
            runs=RUNS,
            warm_up=2,
        )
        for stage, action in actions.items()
    ]
