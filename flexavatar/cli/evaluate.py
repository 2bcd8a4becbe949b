"""`flexavatar evaluate`: how good avatars are, in figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro

from flexavatar.cli.progress import progress_bar

Row = Mapping[str, object]


@dataclass(frozen=True)
class EvaluateSelf:
    """An avatar from a video's first frames, re-enacted over the rest, against the video."""

    videos: tyro.conf.Positional[tuple[Path, ...]]
    """Videos of one person each."""
    frames: int = 1
    """Frames of the first half that the avatar is made from; 1 takes the first."""
    json: Path | None = None
    """Where the figures go as well."""

    def run(self) -> None:
        """Score every video."""
        from flexavatar.evaluation.reenact import evaluate_self

        rows: list[Row] = []
        for video in self.videos:
            with progress_bar(f"re-enacting {video.name}") as report:
                rows.append(
                    {"name": video.name} | asdict(evaluate_self(video, self.frames, None, report))
                )
        publish(rows, self.json)


@dataclass(frozen=True)
class EvaluateExpressions:
    """Every ARKit shape asked of an avatar, drawn, and seen again by MediaPipe."""

    photos: tyro.conf.Positional[tuple[Path, ...]]
    """One avatar is made from each."""
    json: Path | None = None
    """Where the figures go as well, with those of each shape."""

    def run(self) -> None:
        """Score every photo's avatar."""
        from flexavatar.create import create_avatar
        from flexavatar.evaluation.expressions import expression_report

        rows: list[Row] = []
        for photo in self.photos:
            with progress_bar(f"asking {photo.name}") as report:
                avatar = create_avatar([photo.read_bytes()], None, report)
                rows.append({"name": photo.name} | asdict(expression_report(avatar)))
        publish(rows, self.json)


@dataclass(frozen=True)
class Evaluate:
    """Measure how good avatars are."""

    what: tyro.conf.OmitArgPrefixes[
        Annotated[EvaluateSelf, tyro.conf.subcommand("self", prefix_name=False)]
        | Annotated[EvaluateExpressions, tyro.conf.subcommand("expressions", prefix_name=False)]
    ]

    def run(self) -> None:
        """Carry out the chosen protocol."""
        self.what.run()


def publish(rows: Sequence[Row], path: Path | None) -> None:
    """Print one line an item and their mean; write `items` and `mean` as JSON if asked."""
    mean = mean_row(rows)
    for row in (*rows, {"name": "mean", **mean}):
        figures = (f"{k} {v:.3f}" for k, v in row.items() if isinstance(v, float))
        print(f"{row['name']}: {', '.join(figures)}")
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"items": list(rows), "mean": mean}, indent=1) + "\n")


def mean_row(rows: Sequence[Row]) -> dict[str, float]:
    """Mean of every figure that all rows have."""
    names = [k for k, v in rows[0].items() if isinstance(v, float)] if rows else []
    return {k: sum(float(str(row[k])) for row in rows) / len(rows) for k in names}
