"""`flexavatar evaluate people`: avatars of people whose whole truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from flexavatar.cli.evaluate_options import CreationOptions
from flexavatar.errors import AssetError, InputError
from flexavatar.progress import progress_bar


@dataclass(frozen=True)
class EvaluatePeople(CreationOptions):
    """Avatars of synthetic people, from all around and with held-out expressions.

    Needs the package embreex: pip install "flexavatar[train]".
    """

    rig: Path
    """ICT-FaceKit's .npz, on which the people are made."""
    count: int = 8
    """How many people."""
    photos: str = "1,4"
    """An avatar is made from each of these numbers of photos."""
    seed: int = 0
    """Of the people; the same seed gives the same ones."""

    def run(self) -> None:
        """Score every person and number of photos."""
        if find_spec("embreex") is None:
            raise AssetError(
                'people: expected the package embreex: pip install "flexavatar[train]"'
            )
        from flexavatar.evaluation.people.protocol import ABOUT, PeopleConfig, evaluate_people

        config = PeopleConfig(self.count, self.seed, _parse_numbers(self.photos), self.config)
        with progress_bar("people") as report:
            items = evaluate_people(self.rig, config, report)
        self.publish("people", ABOUT, items)


def _parse_numbers(text: str) -> tuple[int, ...]:
    """`1,4` -> (1, 4)."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"photos: expected numbers with commas, got {text!r}") from None
