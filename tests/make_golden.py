"""Writes tests/golden/*.bin, read by every language: `python -m tests.make_golden`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from flexavatar.baked.file import write_baked
from flexavatar.types import Gaussians
from plugin_server import wire
from plugin_server.messages.drive_packet import DrivePacket, Parts, pack_drive
from plugin_server.splats import SplatEncoder, SplatUpdate
from plugin_server.wire import Flags, Header, Kind
from tests.baked import golden_bytes, small_baked
from tests.service import tiny_gaussians

GOLDEN = Path(__file__).parent / "golden"
SESSION = "0123456789abcdef"
TOKEN = "an-owner_token-of-the-tests-0123"
COUNT = 600  # three chunks, the last of them short


def picture() -> np.ndarray:
    """[2, 3, 4]: every byte tells its place."""
    return np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def depth() -> np.ndarray:
    """[2, 3] metres."""
    return np.array([[0, 0.5, 1], [1.5, 2, 2.5]], np.float32)


def moved(gaussians: Gaussians) -> Gaussians:
    """Splats 0 and 599 go up by 5 cm: the first and the last chunk change."""
    means = gaussians.means.clone()
    means[torch.tensor([0, COUNT - 1]), 1] += 0.05
    return replace(gaussians, means=means)


def header(kind: Kind, seq: int = 7) -> Header:
    """The numbers that all golden messages share."""
    return Header(
        SESSION, kind, seq=seq, pts_ns=1_234_567_890_123, server_ns=1_700_000_000_000_000_000
    )


def sized(kind: Kind) -> Header:
    """A picture's header."""
    return replace(header(kind), width=3, height=2)


def splat_message(update: SplatUpdate, seq: int) -> bytes:
    """A message of splats."""
    room = np.zeros(update.buffer_bytes, np.uint8)
    update.write(room)
    whole = replace(
        header(update.kind, seq),
        count=update.count,
        base_seq=update.base_seq,
        scales=update.scales,
        bounds=update.bounds,
    )
    return bytes(wire.pack(whole, room[: update.payload_bytes].tobytes()))


def messages() -> dict[str, bytes]:
    """Every kind's message by its file's name."""
    encoder, gaussians = SplatEncoder(COUNT), tiny_gaussians(0, COUNT)
    key = splat_message(encoder.update(gaussians, 7, keyframe=True), 7)
    delta = splat_message(encoder.update(moved(gaussians), 8, keyframe=False), 8)
    jpeg = cv2.imencode(".jpg", np.full((2, 3, 3), (30, 20, 10), np.uint8))[1].tobytes()
    repeated = replace(sized(Kind.RGBA8), flags=Flags.REPEATED)
    return {
        "wire_rgba8": bytes(wire.pack(repeated, picture().tobytes())),
        "wire_jpeg": bytes(wire.pack(sized(Kind.JPEG), jpeg)),
        "wire_depth": bytes(wire.pack(sized(Kind.DEPTH), depth().tobytes())),
        "wire_splats_key": key,
        "wire_splats_delta": delta,
        "wire_end": bytes(wire.pack(header(Kind.END), b"its owner ended it")),
    }


def drive_packets() -> dict[str, DrivePacket]:
    """Drive packets by their file's name; every number of `drive_all` is exact in float32."""
    empty = DrivePacket(SESSION, TOKEN, 7, 1_234_567_890_123, Parts(0))
    weights = tuple(i / 64 for i in range(52))
    return {
        "drive_weights": replace(empty, parts=Parts.ARKIT, weights=weights),
        "drive_view": replace(empty, seq=8, parts=Parts.ORBIT | Parts.MORPH, orbit=(-30.0, 12.5)),
        "drive_all": replace(
            empty,
            seq=0xFFFFFFFF,
            parts=Parts.ARKIT | Parts.HEAD | Parts.ORBIT | Parts.MORPH,
            weights=weights[::-1],
            pose=tuple(i / 8 for i in range(-4, 5)),
            orbit=(15.0, -7.5),
            morph=0.25,
        ),
    }


def everything() -> dict[str, bytes]:
    """All golden files' bytes."""
    drives = {name: pack_drive(packet) for name, packet in drive_packets().items()}
    return {**messages(), **drives}


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, message in everything().items():
        (GOLDEN / f"{name}.bin").write_bytes(message)
    baked = write_baked(small_baked(), still=False)
    (GOLDEN / "baked.glb").write_bytes(baked)
    (GOLDEN / "baked.poses").write_bytes(golden_bytes(baked))
