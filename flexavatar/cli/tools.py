"""Commands beside the avatars: the server, the ARKit table, the benchmark."""

from __future__ import annotations

import asyncio
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from plugin_server.config import ServerConfig


@dataclass(frozen=True)
class Serve:
    """Serve avatars over gRPC and ZeroMQ until interrupted."""

    config: tyro.conf.OmitArgPrefixes[ServerConfig]

    def run(self) -> None:
        """Serve."""
        from plugin_server.__main__ import SWITCH_S, serve

        logging.basicConfig(level=logging.INFO)
        sys.setswitchinterval(SWITCH_S)
        asyncio.run(serve(self.config))


@dataclass(frozen=True)
class ArkitReport:
    """Print how well each of the 52 ARKit shapes is reached on the open head."""

    json: bool = False
    """As JSON, for programs."""

    def run(self) -> None:
        """Measure and print."""
        from flexavatar.head.report import arkit_report, as_json, as_table

        report = arkit_report()
        print(as_json(report) if self.json else as_table(report))


@dataclass(frozen=True)
class Bench:
    """Measure every stage of a frame on this machine."""

    out: Path = Path("out/bench.json")
    """Where the list of measurements goes."""
    seconds: float = 4.0
    """Time for each stage."""

    def run(self) -> None:
        """Measure, print a table, write the file."""
        from flexavatar.demo.bench import bench

        bench(self.out, self.seconds)
