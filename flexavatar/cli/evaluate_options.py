"""What every `flexavatar evaluate` protocol asks: how avatars are made, where figures go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from flexavatar.create.create import CreateConfig
    from flexavatar.evaluation.report import Item, PublishedResult


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Where the figures of a protocol go."""

    json: Path | None = None
    """The figures for programs: `items` with one object an input, and their `mean`."""
    html: Path | None = None
    """The report with pictures; out/evaluate-WHAT.html if not given."""

    def publish(
        self,
        what: str,
        about: str,
        items: Sequence[Item],
        published: Sequence[PublishedResult] = (),
    ) -> None:
        """Print one line an item and their mean, write the report, and JSON if asked."""
        from flexavatar.evaluation.report import figure_lines, write_json, write_report

        print("\n".join(figure_lines(items)))
        if self.json is not None:
            write_json(self.json, items)
        path = self.html or Path(f"out/evaluate-{what}.html")
        write_report(path, f"flexavatar evaluate {what}", about, items, published)
        print(f"report: {path}")


@dataclass(frozen=True, kw_only=True)
class CreationOptions(ReportOptions):
    """How the avatars are made."""

    quick: bool = False
    """Fewer fitting steps, as in `create --quick`: for a look, not for a record."""
    model: Literal["query_lrm", "bias_sink", "fit"] = "query_lrm"
    """P, K, or nothing that was learned: as in `create`."""
    steps: int = 260
    """Of fitting, unless quick; 0 takes what the model says of one photo as it is."""

    @property
    def config(self) -> CreateConfig:
        """For creation."""
        from flexavatar.create.create import CreateConfig

        return CreateConfig(quick=self.quick, model=self.model, steps=self.steps)
