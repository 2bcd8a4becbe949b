"""From a phone's packets to frames: does the face do what was sent, and how soon?

A server of its own process shows an avatar; a performance goes to its gateway as an app would send
it; every frame that comes back is shown to MediaPipe.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from flexavatar.avatar.avatar import AnyAvatar
from flexavatar.capture.landmarks import find_face
from flexavatar.drive.signal import Signal
from flexavatar.evaluation.avatar_renderer import AvatarRenderer
from flexavatar.evaluation.charts import blank_chart, draw_lines
from flexavatar.evaluation.report import Item, Picture
from flexavatar.progress import Progress, no_progress
from flexavatar.render.composite import over_background
from flexavatar.types import NS_PER_S
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.frame_reader import FrameReader
from plugin_server.client.live_performance import (
    DRAIN_S,
    WARM_UP_S,
    Arrival,
    NoFramesError,
    recording,
)
from plugin_server.client.phones import Network, SentFrame, find_sent, send_performance
from plugin_server.client.server_process import server_process
from plugin_server.gateways.config import PORT_OPTIONS, ProtocolName
from plugin_server.pb import flexavatar_pb2 as pb

ABOUT = """A recorded performance is sent to a server's gateway as the app would send it, packet by
packet, some of them lost. Every frame that comes back is shown to MediaPipe, and its scores are
correlated with the weights that were sent at the time that the frame carries; blink and smile are
the means of both sides. `drawn directly` is the same without server and network: what the avatar
does and MediaPipe can see. Latency is from the packet's sending to the decoded frame at a client on
the same machine, which shows the newest frame only."""
SHAPES: Mapping[str, tuple[str, ...]] = {
    "jaw": ("jawOpen",),
    "blink": ("eyeBlinkLeft", "eyeBlinkRight"),
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
}
DIRECT_STEP = 3
CHART = (900, 150)
"""Pixels of one shape's lines."""
Scores = Mapping[str, float]
Array = NDArray[np.float64]
ScoreLines = tuple[Array, Array]
"""One value a frame, as sent and as seen."""


@dataclass(frozen=True)
class LiveConfig:
    """Rate, losses and picture size of what is sent."""

    fps: float = 60.0
    lose: float = 0.02
    width: int = 512
    height: int = 512
    seed: int = 0


@dataclass(frozen=True)
class ShownPacket:
    """A packet, and the frame that shows it."""

    arrival: Arrival
    sent: SentFrame

    @property
    def latency_ms(self) -> float:
        """Packet sent -> frame decoded."""
        return (self.arrival.arrived_ns - self.sent.sent_ns) / 1e6


def evaluate_live(
    store: Path,
    avatar: str,
    protocol: ProtocolName,
    performance: Sequence[Signal],
    config: LiveConfig,
    progress: Progress = no_progress,
) -> Item:
    """Drive a stored avatar through one protocol. Raises NoFramesError."""
    progress("sending", 0.0)
    sent, arrivals, refused = _send_to_server(store, avatar, protocol, performance, config)
    packets = _match_packets(sent, arrivals)
    if not packets:
        raise NoFramesError(f"{protocol}: no frame showed what was sent")
    seen: list[Scores | None] = []
    for i, packet in enumerate(packets):
        progress("seeing", i / len(packets))
        seen.append(face_scores(over_background(packet.arrival.rgba)))
    lines = score_lines([packet.sent.signal.named() for packet in packets], seen)
    figures = shape_correlations(lines)
    p50, p99 = np.percentile([packet.latency_ms for packet in packets], (50, 99))
    figures |= {
        "latency_p50_ms": float(p50),
        "latency_p99_ms": float(p99),
        "fps": len(packets) * NS_PER_S / performance[-1].pts_ns,
        "packets_refused": float(refused),
        "unseen": float(sum(scores is None for scores in seen)),
    }
    chart = Picture("sent (grey) and seen (blue)", draw_score_lines(lines))
    return Item(protocol, figures, [chart, *_peak_pictures(packets, lines)])


def evaluate_directly(
    avatar: AnyAvatar,
    performance: Sequence[Signal],
    progress: Progress = no_progress,
) -> Item:
    """Figures without server and network: the most that any protocol can reach."""
    renderer, frames = AvatarRenderer.of(avatar), performance[::DIRECT_STEP]
    seen: list[Scores | None] = []
    for i, frame in enumerate(frames):
        progress("drawing", i / len(frames))
        picture = renderer.render(renderer.signal_codes(frame), avatar.camera)
        seen.append(face_scores(picture))
    lines = score_lines([frame.named() for frame in frames], seen)
    chart = Picture("asked (grey) and seen (blue)", draw_score_lines(lines))
    return Item("drawn directly", shape_correlations(lines), [chart])


def _send_to_server(
    store: Path,
    avatar: str,
    protocol: ProtocolName,
    performance: Sequence[Signal],
    config: LiveConfig,
) -> tuple[list[SentFrame], list[Arrival], int]:
    """The packets sent, the frames that came back, and how many packets the server refused."""
    size = ("--show-width", str(config.width), "--show-height", str(config.height))
    gateway = (PORT_OPTIONS[protocol], "0", "--show", avatar, *size)
    with server_process(store, *gateway) as address, FlexAvatarClient(address) as client:
        (where,) = [gateway.address for gateway in client.info().gateways]
        reader = FrameReader(client.get_session(avatar), (pb.STREAM_KIND_RGBA8,))
        with recording(reader) as screen:
            time.sleep(WARM_UP_S)
            network = Network(config.lose, reorder=False, seed=config.seed)
            sent = send_performance(performance, protocol, where, config.fps, network)
            time.sleep(DRAIN_S)
        (status,) = client.info().gateways
    return sent, screen.arrivals, status.refused


def _match_packets(sent: Sequence[SentFrame], arrivals: Sequence[Arrival]) -> list[ShownPacket]:
    """The packets that frames show, each with the first frame of its time."""
    found: dict[int, ShownPacket] = {}
    for arrival in arrivals:
        packet = find_sent(sent, arrival.pts_ns)
        if packet is not None and arrival.pts_ns not in found:
            found[arrival.pts_ns] = ShownPacket(arrival, packet)
    return [*found.values()]


def face_scores(rgb: NDArray[np.uint8]) -> Scores | None:
    """MediaPipe's scores of the face in a picture [H, W, 3], None if it sees none."""
    face = find_face(rgb)
    return None if face is None else face.scores


def score_lines(sent: Sequence[Scores], seen: Sequence[Scores | None]) -> dict[str, ScoreLines]:
    """Scores as sent and as seen, means of both sides of a shape; NaN where no face was seen."""
    lines = {}
    for name, shapes in SHAPES.items():
        asked = [[weights.get(s, 0.0) for s in shapes] for weights in sent]
        found = [[np.nan if one is None else one.get(s, 0.0) for s in shapes] for one in seen]
        lines[name] = np.mean(asked, 1), np.mean(found, 1)
    return lines


def shape_correlations(lines: Mapping[str, ScoreLines]) -> dict[str, float]:
    """Correlation of both lines of each shape, over the frames in which a face was seen."""
    figures = {}
    for name, (asked, seen) in lines.items():
        there = np.isfinite(seen)
        figures[f"{name}_correlation"] = float(np.corrcoef(asked[there], seen[there])[0, 1])
    return figures


def draw_score_lines(lines: Mapping[str, ScoreLines]) -> NDArray[np.uint8]:
    """The shapes' lines over time, one below the other."""
    width, height = CHART
    rows = []
    for name, both in lines.items():
        row = blank_chart(width, height)
        asked, seen = ((height - 6) - (height - 12) * np.nan_to_num(line) for line in both)
        draw_lines(row, np.linspace(0, width - 1, len(asked)), asked, seen)
        cv2.putText(row, name, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
        rows.append(row)
    return np.concatenate(rows)


def _peak_pictures(
    packets: Sequence[ShownPacket], lines: Mapping[str, ScoreLines]
) -> list[Picture]:
    """The frame in which each shape was sent at its strongest."""
    pictures = []
    for name, (asked, seen) in lines.items():
        most = int(np.argmax(asked))
        caption = f"{name}: sent {asked[most]:.2f}, seen {seen[most]:.2f}"
        pictures.append(Picture(caption, over_background(packets[most].arrival.rgba)))
    return pictures
