"""A performance to a video, every frame of it, as fast as the machine draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from flexavatar.avatar.avatar import AnyAvatar
from flexavatar.drive.performance import PerformanceFrame, at_rate
from flexavatar.evaluation.sheet import Stage
from flexavatar.formats.sound import Recording
from flexavatar.formats.video import VideoWriter, over_grey
from flexavatar.progress import Progress, no_progress
from flexavatar.render.camera import resize_camera
from flexavatar.render.rasterize import rasterize_rgba8


@torch.no_grad()
def film(
    avatar: AnyAvatar,
    performance: Sequence[PerformanceFrame],
    path: Path,
    size: tuple[int, int],
    fps: float,
    progress: Progress = no_progress,
    sound: Recording | None = None,
    beside: Callable[[int], np.ndarray] | None = None,
) -> None:
    """Write an MP4 of the avatar, `size` is width and height; with the sound that it speaks to.

    `beside` gives what is shown to its left at a time in ns: [height, any even width, 3].
    Raises InputError, DriveError.
    """
    stage, camera = Stage.of(avatar), resize_camera(avatar.camera, *size)
    frames = list(at_rate(performance, fps))
    pixels = np.empty((camera.height, camera.width, 4), np.uint8)
    heard = None if sound is None else (sound.rate, sound.channels)
    more = 0 if beside is None else beside(0).shape[1]
    with VideoWriter(path, camera.width + more, camera.height, heard) as video:
        for i, frame in enumerate(frames, 1):
            codes = stage.codes(frame.weights)
            codes = replace(codes, neck_pose=torch.tensor(frame.neck_pose))
            shown = over_grey(rasterize_rgba8(stage.animator.animate(codes), camera, pixels))
            if beside is not None:
                shown = np.concatenate((beside(frame.pts_ns), shown), 1)
            video.write_rgb(shown, frame.pts_ns)
            if sound is not None and (piece := sound.until((i - 1) / fps, i / fps)):
                video.write_sound(piece)
            progress(f"{i} of {len(frames)} frames", i / len(frames))
