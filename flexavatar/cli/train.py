"""`flexavatar train`: make people, learn from them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import tyro

from flexavatar.cli.progress import progress_bar
from flexavatar.errors import AssetError
from flexavatar.training.config import TrainConfig


@dataclass(frozen=True)
class Train:
    """Train a model on synthetic people; stopped, it goes on where it was.

    Needs the package embreex: pip install "flexavatar[train]".
    """

    model: tyro.conf.Positional[Literal["p"]]
    """p: query_lrm."""
    out: tyro.conf.Positional[Path]
    """Folder of the run: state, log.jsonl, a picture of people it never saw at every checkpoint,
    and in the end the weights."""
    config: tyro.conf.OmitArgPrefixes[TrainConfig]
    pool: Path | None = None
    """Where they are kept; OUT/people if not given."""

    def run(self) -> None:
        """Fill the pool, train, write the weights."""
        if find_spec("embreex") is None:
            raise AssetError('train: expected the package embreex: pip install "flexavatar[train]"')
        from flexavatar.models.weights import save_query_lrm
        from flexavatar.training.pool import HELD_OUT, fill_pool
        from flexavatar.training.train_p import checked_device, train
        from flexavatar.training.watch import Watch

        checked_device(self.config.device)
        pool = self.pool or self.out / "people"
        with progress_bar("people") as report:
            seeds = range(HELD_OUT + self.config.people)
            fill_pool(pool, seeds, report, config=self.config.model)
        self.out.mkdir(parents=True, exist_ok=True)
        with progress_bar("training") as report:
            trainer = train(pool, self.out, self.config, report, Watch(pool, self.out))
        trainer.average.into(trainer.model)
        weights = self.out / f"query_lrm_{self.config.preset}.safetensors"
        about = {"steps": str(self.config.steps), "people": str(len(trainer.paths))}
        save_query_lrm(trainer.model, weights, about)
        print(f"weights: {weights}")
