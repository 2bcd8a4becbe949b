"""Commands beside the avatars: the server, the ARKit table, the benchmark."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from plugin_server.config import ServerConfig
from plugin_server.router.config import RouterConfig


def as_json(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows as JSON, which has no NaN: what was not measured is null."""
    blank = [{k: None if v != v else v for k, v in row.items()} for row in rows]
    return json.dumps(blank, indent=1, allow_nan=False)


@dataclass(frozen=True)
class Serve:
    """Serve avatars over gRPC and ZeroMQ until interrupted."""

    config: tyro.conf.OmitArgPrefixes[ServerConfig]

    def run(self) -> None:
        """Serve."""
        from plugin_server.server import run

        run(self.config)


@dataclass(frozen=True)
class Route:
    """One address for many servers: sessions start on the one with the most room."""

    config: tyro.conf.OmitArgPrefixes[RouterConfig]

    def run(self) -> None:
        """Route until interrupted."""
        from plugin_server.router.server import run

        run(self.config)


@dataclass(frozen=True)
class ArkitReport:
    """Print how well each of the 52 ARKit shapes is reached on the open head."""

    json: bool = False
    """As JSON, for programs."""

    def run(self) -> None:
        """Measure and print."""
        from flexavatar.head.arkit_report import arkit_report, format_report
        from flexavatar.head.open_head import load_open_head

        rows = arkit_report(load_open_head())
        print(as_json(rows) if self.json else format_report(rows))


@dataclass(frozen=True)
class Bench:
    """Measure every stage on this machine, up to a client's screen."""

    out: Path = Path("out/bench.json")
    """Where the list of measurements goes."""

    def run(self) -> None:
        """Measure, print a table, write the file."""
        from flexavatar.bench.run import main

        main(self.out)
