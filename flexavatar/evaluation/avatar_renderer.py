"""An avatar drawn with ARKit weights: single pictures, and a performance as a video."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from flexavatar.avatar.avatar import AnyAnimator, AnyAvatar, animator_of
from flexavatar.drive.performance import at_rate
from flexavatar.drive.signal import Signal, flame_codes
from flexavatar.formats.sound import Recording
from flexavatar.formats.video_writer import VideoWriter
from flexavatar.head.arkit import ArkitBasis, arkit_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.open_head import load_open_head
from flexavatar.progress import Progress, no_progress
from flexavatar.render.camera import resize_camera
from flexavatar.render.composite import over_background
from flexavatar.render.rasterize import rasterize_rgba8
from flexavatar.types import Camera, FlameCodes

Rgb8 = NDArray[np.uint8]
"""A picture, [H, W, 3]."""


@dataclass(frozen=True)
class AvatarRenderer:
    """An avatar, its animator and the ARKit basis of its rig."""

    avatar: AnyAvatar
    animator: AnyAnimator
    basis: ArkitBasis

    @staticmethod
    def of(avatar: AnyAvatar) -> AvatarRenderer:
        """A renderer of this avatar."""
        return AvatarRenderer(avatar, animator_of(avatar), load_arkit_basis(load_open_head()))

    def codes(self, weights: Mapping[str, float]) -> FlameCodes:
        """ARKit weights in the photo's head pose. Raises DriveError."""
        photo = self.avatar.codes
        return replace(
            arkit_to_flame(weights, self.basis),
            neck_pose=photo.neck_pose,
            global_orient=photo.global_orient,
            transl=photo.transl,
        )

    def signal_codes(self, signal: Signal) -> FlameCodes:
        """A signal's face, its head turned from where the photo has it."""
        photo = self.avatar.codes
        return replace(
            flame_codes(signal, self.basis, photo),
            global_orient=photo.global_orient,
            transl=photo.transl,
        )

    def render(self, codes: FlameCodes, camera: Camera) -> Rgb8:
        """A picture over `BACKGROUND`, [H, W, 3]."""
        return over_background(rasterize_rgba8(self.animator.animate(codes), camera))


@torch.no_grad()
def write_performance_video(
    avatar: AnyAvatar,
    performance: Sequence[Signal],
    path: Path,
    size: tuple[int, int],
    fps: float,
    progress: Progress = no_progress,
    sound: Recording | None = None,
    beside: Callable[[int], Rgb8] | None = None,
) -> None:
    """Write an MP4 of every frame, `size` is width and height; with the sound that it speaks to.

    `beside` gives what is shown to the avatar's left at a time in ns: [height, any even width, 3].
    Raises InputError, DriveError.
    """
    renderer, camera = AvatarRenderer.of(avatar), resize_camera(avatar.camera, *size)
    frames = list(at_rate(performance, fps))
    sound_format = None if sound is None else (sound.rate, sound.channels)
    more = 0 if beside is None else beside(0).shape[1]
    with VideoWriter(path, camera.width + more, camera.height, sound_format) as video:
        for i, frame in enumerate(frames, 1):
            picture = renderer.render(renderer.signal_codes(frame), camera)
            if beside is not None:
                picture = np.concatenate((beside(frame.pts_ns), picture), 1)
            video.write_rgb(picture, frame.pts_ns)
            if sound is not None and (piece := sound.samples_between((i - 1) / fps, i / fps)):
                video.write_sound(piece)
            progress(f"{i} of {len(frames)} frames", i / len(frames))
