"""`flexavatar evaluate live`: phones' packets to frames."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from flexavatar.cli.evaluate_options import ReportOptions
from flexavatar.progress import progress_bar
from plugin_server.gateways.config import ProtocolName

if TYPE_CHECKING:
    from flexavatar.evaluation.report import Item

NAME = "live"


@dataclass(frozen=True)
class EvaluateLive(ReportOptions):
    """A performance sent as capture apps send it, against what frames show, and how late."""

    photo: tyro.conf.Positional[Path]
    """The avatar is made from it."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """A recording of Live Link Face, .csv; the performance that ships if not given."""
    protocols: tuple[ProtocolName, ...] = (
        "live-link-face",
        "ifacialmocap",
        "ifacialmocap-v3",
        "vmc",
        "vtube-studio",
    )
    """Which to speak, one after the other."""
    fps: float = 60.0
    """Packets a second."""
    lose: float = 0.02
    """Share of packets that get lost."""
    width: int = 512
    """Pixels."""
    height: int = 512
    """Pixels."""
    quick: bool = False
    """Make the avatar in seconds; less sharp."""

    def run(self) -> None:
        """Make the avatar, then drive it through every protocol."""
        from flexavatar.avatar.avatar import load_avatar
        from flexavatar.cli.connect import ServerOptions, connect
        from flexavatar.drive.performance import SHIPPED_PERFORMANCE, read_performance
        from flexavatar.evaluation.live import ABOUT, LiveConfig, evaluate_directly, evaluate_live

        frames = read_performance(self.source or SHIPPED_PERFORMANCE)
        config = LiveConfig(self.fps, self.lose, self.width, self.height)
        items: list[Item] = []
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder)
            with progress_bar(f"making {self.photo.name}") as report:
                with connect(ServerOptions(store)) as client:
                    client.create_avatar([self.photo], NAME, self.quick, progress=report)
            with progress_bar("drawing") as report:
                items.append(evaluate_directly(load_avatar(store / NAME), frames, report))
            for protocol in self.protocols:
                with progress_bar(protocol) as report:
                    items.append(evaluate_live(store, NAME, protocol, frames, config, report))
        self.publish("live", ABOUT, items)
