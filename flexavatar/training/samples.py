"""Samples of one person: the network's inputs, pictures, and targets where they are known.

Synthetic people are photographed and tracked as users' photos are, so that the tracker's own errors
are in it: the network's inputs are those that `create` would give it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from flexavatar.avatar.poser import rig_with_own_lids
from flexavatar.avatar.uv_maps import UvLayout, uv_layout
from flexavatar.capture.landmark_rig import load_landmark_rig
from flexavatar.capture.landmarks import detect_face
from flexavatar.capture.photo import photo_from_array
from flexavatar.capture.portrait import Portrait, crop_portrait
from flexavatar.capture.track import track
from flexavatar.create.encoder_inputs import chart_evidence, network_images
from flexavatar.create.evidence import observe_surface
from flexavatar.create.posed_views import PosedViews, pose_views
from flexavatar.errors import InputError
from flexavatar.head.arkit import ARKIT_NAMES
from flexavatar.head.open_head import load_open_head
from flexavatar.head.surface import Similarity, camera_in_source_space, fit_similarity
from flexavatar.models.config import QUERY_LRM_TINY, ChartSizes
from flexavatar.render.camera import resize_camera
from flexavatar.training.people.camera import around_camera, photo_camera
from flexavatar.training.people.expressions import ANCHORS, natural_weights, random_weights
from flexavatar.training.people.person import SyntheticPerson
from flexavatar.training.people.picture import photograph
from flexavatar.training.people.traits import sample_traits

PHOTO_SIDE = 512
PHOTO_COUNTS = (1, 1, 1, 2, 4)
"""How many photos a person gives; one is drawn."""
FRAME_KINDS = ("neutral", "natural", "natural", "natural", "random", "random", "anchor", "anchor")
"""What the frames of a person show."""
AROUND_SHARE = 0.4
"""Share of frames that are seen from anywhere; the others as photos are."""
BYTE = 255.0


@dataclass(frozen=True)
class SyntheticTargets:
    """Targets that are known of a synthetic person and of no other."""

    off: Tensor  # [V, 3] float16 metres from the tracked head to the true one at rest
    chart: Tensor  # [3, U, U] uint8 the true colours at rest
    charts: Tensor  # [F, 3, W, W] uint8 with each frame's expression


@dataclass(frozen=True)
class Sample:
    """Inputs of the network for one person, and what it should make of them."""

    images: Tensor  # [N, 3, S, S] uint8
    photo_viewmats: Tensor  # [N, 4, 4] where the tracker puts each photo's camera
    photo_intrinsics: Tensor  # [N, 3, 3] for S x S pixels
    colors: Tensor  # [3, U, U] uint8 evidence
    weight: Tensor  # [1, U, U] uint8
    mirrored: Tensor  # [1, U, U] uint8
    base: Tensor  # [3, U, U] uint8
    neutral: Tensor  # [V, 3] tracked, metres
    moves: Tensor  # [F, V, 3] float16 metres: the tracked head driven by each frame's codes
    weights: Tensor  # [F, 52] ARKit
    kinds: Tensor  # [F] int64, places in KINDS' names
    rgb: Tensor  # [F, S, S, 3] uint8 true pictures, premultiplied
    cover: Tensor  # [F, S, S] uint8
    viewmats: Tensor  # [F, 4, 4] in the tracked head's space
    Ks: Tensor  # [F, 3, 3]
    targets: SyntheticTargets | None = None
    """None of people in videos."""

    @property
    def synthetic_targets(self) -> SyntheticTargets:
        """Targets of a synthetic person. Raises InputError for people in videos."""
        if self.targets is None:
            raise InputError("sample: expected a synthetic person, got one from a video")
        return self.targets


KIND_NAMES = ("neutral", "natural", "random", "anchor")


def make_sample(seed: int, config: ChartSizes = QUERY_LRM_TINY) -> Sample:
    """Sample of the person of this seed, at the sizes of a model; pictures as large as its input.

    Raises FaceError when the photos show no face that can be used.
    """
    rng = np.random.default_rng((seed, 1))
    head = load_open_head()
    person = SyntheticPerson(sample_traits(seed), uv_layout(head, config).size)
    portraits = [_photograph_portrait(person, rng) for _ in range(int(rng.choice(PHOTO_COUNTS)))]
    placed = pose_views(portraits, track(portraits, load_landmark_rig()), head)
    alignment = fit_similarity(
        placed.neutral.double().numpy(),
        person.neutral.double().numpy(),
        head.masks["face"].double().numpy(),
    )
    true = torch.from_numpy(alignment.inverse.apply(person.neutral.double().numpy())).float()
    frames, charts = _render_frames(person, placed, alignment, config, rng)
    targets = SyntheticTargets(
        (true - placed.neutral).half(), to_byte_tensor(person.face({}).chart()), charts
    )
    return Sample(**network_inputs(portraits, placed, config), **frames, targets=targets)


def network_inputs(
    portraits: Sequence[Portrait], placed: PosedViews, config: ChartSizes
) -> dict[str, Tensor]:
    """The network's inputs for photos, by field of `Sample`."""
    layout = uv_layout(placed.head, config)
    seen = chart_evidence(observe_surface(placed, layout.texels), config)
    cameras = [resize_camera(v.camera, config.image_side, config.image_side) for v in placed.views]
    return {
        "images": to_byte_tensor(network_images(portraits, config.image_side)),
        "photo_viewmats": torch.stack([camera.viewmat for camera in cameras]),
        "photo_intrinsics": torch.stack([camera.K for camera in cameras]),
        "colors": to_byte_tensor(seen.colors[0]),
        "weight": to_byte_tensor(seen.weight[0]),
        "mirrored": to_byte_tensor(seen.mirrored[0]),
        "base": to_byte_tensor(seen.base[0]),
        "neutral": placed.neutral,
    }


def _photograph_portrait(person: SyntheticPerson, rng: np.random.Generator) -> Portrait:
    """An ordinary photo, degraded as by a lens and a file."""
    shot = photograph(person.face(natural_weights(rng)), photo_camera(rng, PHOTO_SIDE))
    rgb = to_byte_tensor(shot.rgb + (1 - shot.cover[..., None]) * shot.wall).numpy()
    cover = to_byte_tensor(shot.cover).numpy()
    rgb = degrade_photo(rgb, rng)
    soft = float(rng.uniform(0.3, 2.0))
    cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), soft), np.uint8)
    return crop_portrait(photo_from_array(rgb), detect_face(rgb), cover=cover)


def degrade_photo(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Add blur, noise and compression as photos have them."""
    picture = cv2.GaussianBlur(rgb, (0, 0), float(rng.uniform(0.2, 1.2))).astype(np.float32)
    picture += rng.normal(0, rng.uniform(0, 5), picture.shape).astype(np.float32)
    whole = np.asarray(picture.clip(0, 255), np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(55, 98))]
    _, packed = cv2.imencode(".jpg", whole[..., ::-1], quality)
    bgr = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(bgr[..., ::-1])


def _render_frames(
    person: SyntheticPerson,
    placed: PosedViews,
    alignment: Similarity,
    config: ChartSizes,
    rng: np.random.Generator,
) -> tuple[dict[str, Tensor], Tensor]:
    """The person with other expressions and from elsewhere, by field; and true colours
    [F, 3, W, W]."""
    layout = uv_layout(load_open_head(), config)
    head = rig_with_own_lids(placed.neutral, load_open_head())
    rows: list[dict[str, Tensor]] = []
    charts: list[Tensor] = []
    for kind in FRAME_KINDS:
        weights = _sample_weights(kind, rng)
        face, codes = person.face(weights), person.codes(weights)
        camera = (around_camera if rng.uniform() < AROUND_SHARE else photo_camera)(
            rng, config.image_side
        )
        shot = photograph(face, camera)
        mine = camera_in_source_space(alignment, camera)
        moved = head.pose(placed.neutral, codes).vertices - placed.neutral
        charts.append(to_byte_tensor(_coarsen(face.chart(), layout)))
        rows.append(
            {
                "moves": moved.half(),
                "weights": torch.tensor([weights.get(name, 0.0) for name in ARKIT_NAMES]),
                "kinds": torch.tensor(KIND_NAMES.index(kind)),
                "rgb": to_byte_tensor(shot.rgb),
                "cover": to_byte_tensor(shot.cover),
                "viewmats": mine.viewmat,
                "Ks": mine.K,
            }
        )
    return stack_frames(rows), torch.stack(charts)


def stack_frames(rows: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Frames one by one -> fields of `Sample`."""
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def _sample_weights(kind: str, rng: np.random.Generator) -> Mapping[str, float]:
    if kind == "neutral":
        return {}
    if kind == "anchor":
        return ANCHORS[str(rng.choice(list(ANCHORS)))]
    return natural_weights(rng) if kind == "natural" else random_weights(rng)


def _coarsen(chart: Tensor, layout: UvLayout) -> Tensor:
    """[3, U, U] -> [3, W, W], means over the texels that are on the chart."""
    valid = layout.texels.chart.valid.float()
    return coarsen_chart(chart[None], valid, layout.size // layout.motion_mask.shape[-1])[0]


def coarsen_chart(colors: Tensor, valid: Tensor, fine: int) -> Tensor:
    """Means over the texels that are on the chart: [B, 3, U, U], [U, U] -> [B, 3, W, W]."""
    share = functional.avg_pool2d(valid[None, None], fine)
    return functional.avg_pool2d(colors * valid, fine) / share.clamp_min(1e-6)


def to_byte_tensor(values: Tensor) -> Tensor:
    """0..1 -> uint8."""
    return (values.clamp(0, 1) * BYTE).round().to(torch.uint8)


def save_sample(sample: Sample, path: Path) -> None:
    """Write it as safetensors, whole or not at all."""
    part = path.with_suffix(".part")
    tensors = {**vars(sample), **(vars(sample.targets) if sample.targets else {})}
    del tensors["targets"]
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part)
    part.rename(path)


def load_sample(path: Path) -> Sample:
    """Read what `save_sample` wrote."""
    tensors = load_file(path)
    names = [f.name for f in fields(SyntheticTargets)]
    if names[0] not in tensors:
        return Sample(**tensors, targets=None)
    targets = SyntheticTargets(**{name: tensors.pop(name) for name in names})
    return Sample(**tensors, targets=targets)
