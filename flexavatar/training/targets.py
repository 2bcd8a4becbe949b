"""The true picture of a frame, which losses and validation compare with."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from flexavatar.head.flame import FlameHead
from flexavatar.render.camera import project
from flexavatar.training.samples import BYTE, Sample
from flexavatar.types import Camera

MOUTH_PAD = 0.35
"""Of the mouth's width, around it."""


@dataclass(frozen=True)
class TargetPicture:
    """The true picture of one frame."""

    camera: Camera
    rgb: Tensor  # [H, W, 3] premultiplied
    cover: Tensor  # [H, W]
    mouth: tuple[slice, slice]  # rows and columns


def frame_camera(sample: Sample, frame: int) -> Camera:
    """The camera of a frame, in the tracked head's space."""
    height, width = sample.cover.shape[1:]
    return Camera(sample.viewmats[frame], sample.Ks[frame], width, height)


def target_picture(head: FlameHead, sample: Sample, frame: int) -> TargetPicture:
    """Camera, picture and mouth of one frame."""
    return TargetPicture(
        frame_camera(sample, frame),
        sample.rgb[frame] / BYTE,
        sample.cover[frame] / BYTE,
        mouth_box(head, sample, frame),
    )


def mouth_box(head: FlameHead, sample: Sample, frame: int) -> tuple[slice, slice]:
    """Rows and columns around the lips; empty where they are turned away."""
    camera = frame_camera(sample, frame)
    lips = head.masks["lips"] > 0.5
    posed = (sample.neutral + sample.moves[frame].float())[lips]
    facing = camera.viewmat[2, 2] < -0.3  # the head looks to +z
    pixels = project(camera, posed)[:, :2]
    low, high = pixels.amin(0), pixels.amax(0)
    pad = MOUTH_PAD * float(high[0] - low[0])
    if not facing:
        return slice(0, 0), slice(0, 0)
    sides = [
        slice(max(0, int(low[i] - pad)), max(0, min(size, int(high[i] + pad))))
        for i, size in ((1, camera.height), (0, camera.width))
    ]
    return sides[0], sides[1]
