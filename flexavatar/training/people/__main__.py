"""`python -m flexavatar.training.people SHEET.png`: synthetic people on one sheet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from PIL import Image

from flexavatar.formats.picture import to_uint8
from flexavatar.render.camera import look_from
from flexavatar.training.people.camera import FRAMED_M, MIDDLE
from flexavatar.training.people.expressions import ANCHORS
from flexavatar.training.people.person import SyntheticPerson
from flexavatar.training.people.picture import photograph
from flexavatar.training.people.traits import sample_traits

FACES: tuple[tuple[Mapping[str, float], float], ...] = (
    ({}, 0), (ANCHORS["smile"], 0), (ANCHORS["anger"], 0), (ANCHORS["surprise"], 0),
    (ANCHORS["blink"], 0), (ANCHORS["laugh"], 0), ({}, 60), ({}, -60), ({}, 180),
)  # fmt: skip
"""Weights and yaw of the camera, column by column."""


@dataclass(frozen=True)
class SheetConfig:
    """Draw synthetic people: one a row, faces and views in columns."""

    sheet: Annotated[Path, tyro.conf.Positional]
    """PNG to write."""
    seed: int = 0
    """Of the first person."""
    count: int = 6
    """How many people."""
    side: int = 256
    """Pixels of one picture."""


def draw_row(seed: int, side: int) -> NDArray[np.uint8]:
    """One person in all columns: [side, side * columns, 3]."""
    person = SyntheticPerson(sample_traits(seed))
    tiles = [
        photograph(person.face(weights), look_from(yaw, 0, side, MIDDLE, FRAMED_M)).before_wall()
        for weights, yaw in FACES
    ]
    return to_uint8(torch.cat(tiles, 1).numpy())


def main(config: SheetConfig) -> None:
    """Write the sheet."""
    torch.set_num_threads(1)
    rows = [draw_row(config.seed + i, config.side) for i in range(config.count)]
    Image.fromarray(np.concatenate(rows)).save(config.sheet)


if __name__ == "__main__":
    main(tyro.cli(SheetConfig))
