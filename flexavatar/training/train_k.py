"""Trains K on people that are known from all around and on people that are known from videos:
`flexavatar train k`.

Synthetic people can be either: as people in videos they are seen as photos are taken, and nothing
but the picture says whether the network is right. Real videos join them as `clips`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from flexavatar.avatar.bias_sink_maps import (
    BaseSplats,
    activate_gaussians,
    base_vertices,
    drive_base,
    query_positions,
)
from flexavatar.avatar.uv_maps import map_at_texels
from flexavatar.head.binding import surface_motion
from flexavatar.head.texels import interpolate_barycentric
from flexavatar.models.bias_sink import BiasSink, Sink, plucker_rays
from flexavatar.models.channels import COLOR, SCALE
from flexavatar.models.signal_vectors import CORRECTIVES, SIGNAL_SIZES, signal_vector
from flexavatar.models.weights import BIAS_SINK
from flexavatar.training.config import TrainBiasSink
from flexavatar.training.loader import PreparedSample, SampleChoice
from flexavatar.training.loop import PersonPrediction, Trainer
from flexavatar.training.losses import CENTIMETRE, chart_loss, color_change_loss
from flexavatar.training.samples import BYTE, Sample
from flexavatar.types import SH_C0, FlameCodes, Gaussians

FACING_COSINE = math.cos(math.radians(45))
"""Cosine to straight ahead above which a frame is seen as photos are."""
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
LARGEST_ERROR = 3.0
"""Centimetres beyond which being wrong counts no more."""


class BiasSinkTrainer(Trainer[BiasSink, TrainBiasSink]):
    """K and one step of it."""

    def __init__(self, people: Path, config: TrainBiasSink, clips: Sequence[Path] = ()) -> None:
        """`clips` are samples of real videos, see `flexavatar.training.clips`.

        Raises InputError without people or with a signal that they do not have, AssetError for
        other weights."""
        signal_vector(
            config.signal, torch.zeros(SIGNAL_SIZES["arkit"]), FlameCodes.zeros(CORRECTIVES)
        )
        super().__init__(people, config, BIAS_SINK, config.model, [*clips] * config.repeats)

    def drive(self, sample: Sample, codes: FlameCodes) -> Tensor:
        """The driving signal of every frame: [F, Z]."""
        return signal_vector(self.config.signal, sample.weights, codes)

    def is_multi_view(self, person: int) -> bool:
        """Whether this person is known from all around; such are spread evenly among all."""
        return person < self.synthetic and (person * GOLDEN_RATIO) % 1 < self.config.multi_view

    def frame_rates(self, weights: Tensor, kinds: Tensor, viewmats: Tensor) -> Tensor:
        """How often each frame is drawn; of synthetic people in videos only those that are seen as
        photos are."""
        rates = super().frame_rates(weights, kinds, viewmats)
        facing = -viewmats[:, :, 2, 2]  # [P, F] the head looks to +z
        front = facing >= facing.amax(1, keepdim=True).clamp_max(FACING_COSINE)
        people = range(len(rates))
        whole = torch.tensor([i >= self.synthetic or self.is_multi_view(i) for i in people])
        return rates * (front | whole[:, None])

    def encode(self, ready: PreparedSample) -> Tensor:
        """A of one person: [L, D]."""
        sample, config = ready.sample, self.config.model
        rays = plucker_rays(sample.photo_viewmats, sample.photo_intrinsics, config.image_side)
        places = query_positions(config, self.head, sample.neutral)
        return self.model.encode(
            ready.images, rays, places, ready.evidence if config.evidence else None
        )

    def start(self, ready: PreparedSample) -> BaseSplats:
        """The splats from which a person's Gaussians start."""
        config, texels = self.config.model, self.layout.texels
        places = interpolate_barycentric(
            base_vertices(config, self.head, ready.sample.neutral), texels.binding
        )
        return BaseSplats(places, None if config.base == "template" else ready.discs)

    def gaussians(
        self, raw: Tensor, ready: PreparedSample, frame: int, start: BaseSplats
    ) -> Gaussians:
        """Gaussians of one frame from maps before activation [14, U, U]."""
        neutral = ready.sample.neutral
        posed = neutral + ready.sample.moves[frame].float()
        motion = surface_motion(neutral, posed, self.head.faces)
        own = drive_base(self.config.model, start, motion, self.layout.texels)
        return activate_gaussians(map_at_texels(raw, self.layout.texels.chart), own)

    def losses(
        self, ready: PreparedSample, choice: SampleChoice, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Every term of one step."""
        config, around = self.config, self.is_multi_view(choice.person)
        frames = choice.frames if around else choice.frames[: config.pictures]
        sink = "3d" if around else "2d"
        maps = self.model.decode(self.encode(ready), ready.drive[list(frames)], sink)
        start = self.start(ready)
        drawn = {f: self.gaussians(x, ready, f, start) for f, x in zip(frames, maps, strict=True)}
        pictured = {f: drawn[f] for f in frames[: config.pictures]}
        sizes = maps[:, SCALE] * self.valid
        losses = self.frame_losses(pictured, ready.sample, generator)
        losses["scale"] = sizes.square().mean()
        if around:
            colors, true = map_colors(maps), self.true_charts(ready.sample, frames)
            losses["chart"] = chart_loss(colors, true, self.valid, config.losses)
            apart = self.position_errors(drawn, ready)
            losses["shape"] = apart.abs().clamp_max(LARGEST_ERROR).mean()
            losses["motion"] = deviations(apart).square().sum(-1).mean()
            changes = (self.coarsen(x) * self.skin_mask() for x in (colors, true))
            losses["change"] = color_change_loss(*map(deviations, changes))
        return losses

    def true_charts(self, sample: Sample, frames: Sequence[int]) -> Tensor:
        """True colours of the texels in some frames, the finest from the face at rest:
        [E, 3, U, U]."""
        size = (self.layout.size,) * 2
        changes = self.true_changes(sample, frames)
        fine = torch.nn.functional.interpolate(changes, size, mode="bilinear")
        return (sample.synthetic_targets.chart / BYTE + fine).clamp(0, 1)

    def position_errors(self, drawn: dict[int, Gaussians], ready: PreparedSample) -> Tensor:
        """How far Gaussians are from the true head as it moves: [E, T, 3] centimetres."""
        sample, texels = ready.sample, self.layout.texels
        off, apart = self.true_offsets(sample), list[Tensor]()
        for frame, gaussians in drawn.items():
            moved = (
                interpolate_barycentric(
                    sample.neutral + sample.moves[frame].float(), texels.binding
                )
                + off
            )
            apart.append((gaussians.means - moved) / CENTIMETRE)
        return torch.stack(apart)

    def predict_person(self, ready: PreparedSample) -> PersonPrediction:
        """All frames of one person, with both sinks where there are any."""
        sample, start = ready.sample, self.start(ready)
        person = self.model.person_features(self.encode(ready))
        sinks: dict[str, Sink] = {"shown": "3d"}
        if self.config.sinks:
            sinks["2d"] = "2d"
        maps = {name: self.model.drive(person, ready.drive, sink) for name, sink in sinks.items()}
        shown = {
            name: [self.gaussians(x, ready, f, start) for f, x in enumerate(own)]
            for name, own in maps.items()
        }
        colors = self.coarsen(map_colors(maps["shown"]))
        said = (colors - colors[:1]) * self.skin_mask()  # the first frame is at rest
        true = self.true_changes(sample, range(len(sample.kinds))) * self.skin_mask()
        return PersonPrediction(shown, said, true)


def deviations(values: Tensor) -> Tensor:
    """Differences of frames from their mean, which their expressions make: [E, ...]."""
    return values - values.mean(0, keepdim=True)


def map_colors(maps: Tensor) -> Tensor:
    """Colours of maps, 0..1 or a little beyond: [E, 14, U, U] -> [E, 3, U, U]."""
    return 0.5 + SH_C0 * maps[:, COLOR]
