"""`flexavatar evaluate dataset`: public data sets that the user has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from flexavatar.cli.evaluate_options import CreationOptions
from flexavatar.progress import progress_bar


@dataclass(frozen=True)
class EvaluateDataset(CreationOptions):
    """A public data set from a folder of yours: VFHQ, NeRSemble or Ava-256."""

    name: tyro.conf.Positional[Literal["vfhq", "nersemble", "ava256"]]
    """Which."""
    folder: tyro.conf.Positional[Path]
    """Where it was unpacked."""
    protocol: Literal["self", "cross", "views"] | None = None
    """Self- or cross-reenactment, or held-out cameras; if not given, what the papers report."""
    frames: int = 1
    """Frames that `self` makes each avatar from."""
    limit: int | None = None
    """No more recordings than this."""

    def run(self) -> None:
        """Score everything in the folder."""
        from flexavatar.evaluation.datasets.protocol import (
            ABOUT,
            DatasetConfig,
            evaluate_dataset,
            published_results,
        )

        config = DatasetConfig(self.protocol, self.frames, self.limit, self.config)
        with progress_bar(self.name) as report:
            items = evaluate_dataset(self.name, self.folder, config, report)
        self.publish(self.name, ABOUT, items, published_results(self.name, self.protocol))
