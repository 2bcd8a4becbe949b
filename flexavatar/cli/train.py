"""`flexavatar train`: make people, learn from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from flexavatar.errors import AssetError
from flexavatar.progress import progress_bar
from flexavatar.training.config import TrainBiasSink, TrainQueryLrm, TrainVoiceNet

if TYPE_CHECKING:
    from flexavatar.training.loop import Trainer

UNNAMED = tyro.conf.arg(name="")


@dataclass(frozen=True)
class _TrainPeople(ABC):
    """Where a run reads and writes."""

    out: tyro.conf.Positional[Path]
    """Folder of the run: state, log.jsonl, a picture of people it never saw at every checkpoint,
    and in the end the weights."""
    pool: Path | None = None
    """Where people are kept; OUT/people if not given."""

    @property
    @abstractmethod
    def settings(self) -> TrainQueryLrm | TrainBiasSink:
        """How it trains."""

    @abstractmethod
    def trainer(self, people: Path) -> Trainer[Any, Any]:
        """Ready to begin."""

    def run(self) -> None:
        """Fill the pool, train, write the weights."""
        if find_spec("embreex") is None:
            raise AssetError('train: expected the package embreex: pip install "flexavatar[train]"')
        from flexavatar.training.loop import check_device, train
        from flexavatar.training.pool import HELD_OUT, fill_pool
        from flexavatar.training.validation import Validation

        config = self.settings
        check_device(config.device)
        pool = self.pool or self.out / "people"
        with progress_bar("people") as report:
            fill_pool(pool, range(HELD_OUT + config.people), report, config=config.model)
        self.out.mkdir(parents=True, exist_ok=True)
        trainer = self.trainer(pool)
        with progress_bar("training") as report:
            train(trainer, self.out, report, Validation(pool, self.out))
        trainer.average.copy_to(trainer.model)
        weights = self.out / trainer.kind.path(config.preset).name
        about = {"steps": str(config.steps), "people": str(len(trainer.paths))}
        trainer.kind.save(trainer.model, weights, about)
        print(f"weights: {weights}")


@dataclass(frozen=True)
class TrainP(_TrainPeople):
    """Train query_lrm."""

    config: Annotated[TrainQueryLrm, UNNAMED] = field(default_factory=TrainQueryLrm)

    @property
    def settings(self) -> TrainQueryLrm:
        """How it trains."""
        return self.config

    def trainer(self, people: Path) -> Trainer[Any, Any]:
        """P's."""
        from flexavatar.training.train_p import QueryLrmTrainer

        return QueryLrmTrainer(people, self.config)


@dataclass(frozen=True)
class TrainK(_TrainPeople):
    """Train bias_sink."""

    clips: Path | None = None
    """Folder of videos of your own, one person each, to learn from beside the synthetic people."""
    config: Annotated[TrainBiasSink, UNNAMED] = field(default_factory=TrainBiasSink)

    @property
    def settings(self) -> TrainBiasSink:
        """How it trains."""
        return self.config

    def trainer(self, people: Path) -> Trainer[Any, Any]:
        """K's."""
        from flexavatar.training.clips import fill_clips
        from flexavatar.training.train_k import BiasSinkTrainer

        clips: list[Path] = []
        if self.clips:
            with progress_bar("videos") as report:
                clips = fill_clips(self.clips, self.out / "clips", report, self.config.model)
        return BiasSinkTrainer(people, self.config, clips)


@dataclass(frozen=True)
class TrainVoice:
    """Train what a voice is heard with, from speech that synthesisers say.

    Needs pip install "flexavatar[voice]" and the Debian packages flite, espeak-ng, festival and
    festvox-kdlpc16k.
    """

    out: tyro.conf.Positional[Path]
    """Folder of the run: state, log.jsonl, and in the end the weights."""
    pool: Path | None = None
    """Where the speech is kept; OUT/speech if not given."""
    recordings: Path | None = None
    """Folder of recorded English speech to learn from too: sound files, each with its .txt."""
    config: Annotated[TrainVoiceNet, UNNAMED] = field(default_factory=TrainVoiceNet)

    def run(self) -> None:
        """Let voices speak, train, write the weights."""
        from flexavatar.training.train_voice import train_voice

        with progress_bar("training") as report:
            weights = train_voice(self.out, self.config, self.pool, self.recordings, report)
        print(f"weights: {weights}")


@dataclass(frozen=True)
class Train:
    """Train a model on synthetic people or voices; stopped, it goes on where it was.

    Needs the package embreex for people: pip install "flexavatar[train]".
    """

    model: Annotated[
        Annotated[TrainP, tyro.conf.subcommand("p", prefix_name=False)]
        | Annotated[TrainK, tyro.conf.subcommand("k", prefix_name=False)]
        | Annotated[TrainVoice, tyro.conf.subcommand("voice", prefix_name=False)],
        UNNAMED,
    ]

    def run(self) -> None:
        """Train that model."""
        self.model.run()
