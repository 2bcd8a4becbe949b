"""One photo to the code of a learned model."""

from __future__ import annotations

import torch

from flexavatar.avatar.maps import uv_layout
from flexavatar.bench.measure import Measurement, measure
from flexavatar.capture.landmark_rig import load_landmark_rig
from flexavatar.capture.portrait import PORTRAIT_SIDE
from flexavatar.capture.read_portraits import read_portraits
from flexavatar.capture.track import track
from flexavatar.create.create import PRESET
from flexavatar.create.evidence import gather
from flexavatar.create.posed_views import place
from flexavatar.create.predict import Told, predict, tell
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
    placed = place(portraits, track(portraits, load_landmark_rig()), head)
    texels = uv_layout(head, model.config).texels

    def encoder_inputs_of() -> Told:
        return tell(portraits, placed, gather(placed.views, texels, head.faces), head, model)

    told = encoder_inputs_of()
    actions = {
        "photo_to_portrait": lambda: read_portraits([data], no_progress),
        "portrait_to_place": lambda: place(portraits, track(portraits, load_landmark_rig()), head),
        "place_to_evidence": encoder_inputs_of,
        "evidence_to_code": lambda: predict(told, placed, head, model),
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
