"""A recorded voice to a whole performance: the mouth speaks, and the rest of the face lives."""

from __future__ import annotations

import numpy as np

from flexavatar.drive.idle import Idle
from flexavatar.drive.signal import ALL_SENT, AUDIO, HeadPose, Signal
from flexavatar.drive.voice.config import VoiceConfig
from flexavatar.drive.voice.driver import SAMPLE_BYTES, VoiceDriver
from flexavatar.head.arkit import JAW_OPEN
from flexavatar.types import NS_PER_S

PIECE_S = 1.0
NOD_S = 0.12
"""How slowly the head follows the voice."""
NOD = 0.05
"""Radians that it goes down when the jaw is wide open."""


def spoken_performance(
    pcm: bytes, rate: int, channels: int, config: VoiceConfig, seed: int = 0
) -> list[Signal]:
    """Interleaved s16le -> fifty frames a second; eyes and head follow from the seed.

    Raises DriveError for what no voice can be, AssetError if the network's weights are missing.
    """
    driver, idle = VoiceDriver(rate, channels, config), Idle(seed)
    size = round(PIECE_S * rate) * channels * SAMPLE_BYTES
    pieces = (pcm[at : at + size] for at in range(0, len(pcm), size))
    frames = [frame for piece in pieces for frame in driver.push(piece)] + driver.finish()
    performance, nod = [], 0.0
    for before, frame in zip((frames[0], *frames), frames, strict=False):
        face = idle.at(frame.sample / rate)
        step_s = (frame.sample - before.sample) / rate
        nod += (1 - np.exp(-step_s / NOD_S)) * (NOD * float(frame.weights[JAW_OPEN]) - nod)
        head = face.neck_pose.head_angles()
        head = head._replace(pitch=head.pitch - float(nod))
        signal = Signal(
            np.maximum(face.weights, frame.weights).astype(np.float32),
            ALL_SENT,
            head=HeadPose(head.axis_angle()),
            source=AUDIO,
            pts_ns=round(frame.sample * NS_PER_S / rate),
        )
        performance.append(signal)
    return performance
