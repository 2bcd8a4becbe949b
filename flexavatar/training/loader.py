"""Samples from disk, prepared for a step while the step before is computed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from flexavatar.avatar.uv_maps import UvLayout, texels_to_map
from flexavatar.create.encoder_inputs import DECIMETRE
from flexavatar.errors import InputError
from flexavatar.head.arkit import arkit_vector_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.binding import LocalSplats
from flexavatar.head.flame import FlameHead
from flexavatar.head.texels import interpolate_barycentric, surface_discs
from flexavatar.models.channels import ChartEvidence
from flexavatar.training.samples import BYTE, Sample, load_sample
from flexavatar.types import FlameCodes, to_device

PREFETCHED = 3
"""Samples that wait."""


@dataclass(frozen=True)
class PreparedSample:
    """One person's sample with all that a step computes from it without the network."""

    sample: Sample
    images: Tensor  # [N, 3, S, S]
    evidence: ChartEvidence
    discs: LocalSplats  # T
    drive: Tensor  # [F, ...] the network's input for each frame's expression


@dataclass(frozen=True)
class SampleChoice:
    """The person of one step, and which of their frames."""

    person: int
    frames: tuple[int, ...]


def sample_choices(
    weights: Tensor, frames: int, seed: int, start: int = 0
) -> Iterator[SampleChoice]:
    """People in shuffled rounds, frames by their weights [P, F]; step `start` first. Endless."""
    step = 0
    for round_number in range(1 << 30):
        people = list(range(len(weights)))
        random.Random(f"{seed} {round_number}").shuffle(people)
        for person in people:
            if step >= start:
                generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
                most = min(frames, int((weights[person] > 0).sum()))
                drawn = torch.multinomial(weights[person], most, generator=generator)
                yield SampleChoice(person, tuple(drawn.tolist()))
            step += 1


class SampleLoader:
    """Reads samples in the order asked for, a few steps ahead."""

    def __init__(
        self,
        paths: Sequence[Path],
        head: FlameHead,
        layout: UvLayout,
        drive: Callable[[Sample, FlameCodes], Tensor],
        device: str = "cpu",
    ) -> None:
        """`drive` gives the network's input for a sample's expressions: [F, ...]."""
        self.paths, self.head, self.layout, self.device = paths, head, layout, device
        self.drive = drive

    def prepare(self, path: Path) -> PreparedSample:
        """One person's file. Raises InputError for one of another model's sizes."""
        sample, texels = load_sample(path), self.layout.texels
        if (side := sample.base.shape[-1]) != self.layout.size:
            raise InputError(f"{path}: expected a chart of {self.layout.size} texels, got {side}")
        codes = arkit_vector_to_flame(sample.weights, load_arkit_basis(self.head))
        places = texels_to_map(
            interpolate_barycentric(sample.neutral, texels.binding) / DECIMETRE, texels.chart
        )
        stored = (sample.colors, sample.weight, sample.mirrored, sample.base)
        colors, weight, mirrored, base = (x[None] / BYTE for x in stored)
        ready = PreparedSample(
            sample,
            sample.images / BYTE,
            ChartEvidence(colors, weight, mirrored, base, places[None]),
            surface_discs(texels, self.head, sample.neutral),
            self.drive(sample, codes),
        )
        return to_device(ready, self.device)

    def run(self, wanted: Iterator[SampleChoice]) -> Iterator[tuple[PreparedSample, SampleChoice]]:
        """Prepared samples in the order of `wanted`; endless as that is."""
        # one thread beside those of the step: together they would stand in each other's way
        with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as executor:
            waiting = [
                (executor.submit(self.prepare, self.paths[o.person]), o)
                for o in (next(wanted) for _ in range(PREFETCHED))
            ]
            while True:
                job, choice = waiting.pop(0)
                ready = job.result()
                following = next(wanted)
                path = self.paths[following.person]
                waiting.append((executor.submit(self.prepare, path), following))
                yield ready, choice
