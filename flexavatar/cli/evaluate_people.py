"""`flexavatar evaluate people`: avatars of people whose whole truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flexavatar.cli.progress import progress_bar
from flexavatar.errors import InputError


@dataclass(frozen=True)
class EvaluatePeople:
    """Avatars of synthetic people, from all around and with held-out expressions.

    Needs the package embreex: pip install "flexavatar[people]".
    """

    rig: Path
    """ICT-FaceKit's .npz, on which the people are made."""
    count: int = 8
    """How many people."""
    photos: str = "1,4"
    """An avatar is made from each of these numbers of photos."""
    seed: int = 0
    """Of the people; the same seed gives the same ones."""
    quick: bool = False
    """Make avatars quickly: fewer fitting steps."""
    json: Path | None = None
    """Where the figures go as well."""
    html: Path = Path("out/evaluate-people.html")
    """The report, with truth beside avatar for every view."""

    def run(self) -> None:
        """Score every person and number of photos."""
        from flexavatar.create import CreateConfig
        from flexavatar.evaluation.people.protocol import ABOUT, PeopleConfig, evaluate_people
        from flexavatar.evaluation.report import figure_lines, write_json, write_report

        create = CreateConfig(quick=self.quick)
        config = PeopleConfig(self.count, self.seed, _numbers(self.photos), create)
        with progress_bar("people") as report:
            items = evaluate_people(self.rig, config, report)
        print("\n".join(figure_lines(items)))
        write_report(self.html, "Synthetic people", ABOUT, items)
        if self.json is not None:
            write_json(self.json, items)


def _numbers(text: str) -> tuple[int, ...]:
    """`1,4` -> (1, 4)."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"photos: expected numbers with commas, got {text!r}") from None
