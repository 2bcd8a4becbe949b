"""Synthetic people on disk: made once for each seed by all cores, read in any order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from flexavatar.errors import FaceError, InputError
from flexavatar.models.config import QUERY_LRM_TINY, ChartSizes
from flexavatar.progress import Progress, no_progress
from flexavatar.training.samples import make_sample, save_sample

HELD_OUT = 24
"""Seeds below this are never trained on."""


def sample_path(folder: Path, seed: int) -> Path:
    """The file of the person of a seed."""
    return folder / f"person_{seed:07d}.safetensors"


def fill_pool(
    folder: Path,
    seeds: Iterable[int],
    progress: Progress = no_progress,
    workers: int | None = None,
    config: ChartSizes = QUERY_LRM_TINY,
) -> None:
    """Make the people that are not there yet, `workers` at once (default: a core each).

    People whose photos show no usable face leave an empty file, so that they are not tried again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [seed for seed in seeds if not sample_path(folder, seed).exists()]
    if not missing:
        return
    count = workers or os.cpu_count() or 1
    with ProcessPoolExecutor(count, get_context("spawn"), initializer=_use_one_thread) as executor:
        jobs = [executor.submit(_make_and_save, folder, seed, config) for seed in missing]
        try:
            for done, job in enumerate(as_completed(jobs), 1):
                job.result()
                progress("photographing people", done / len(missing))
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def _use_one_thread() -> None:
    """One thread a process: together they use all cores."""
    torch.set_num_threads(1)


def _make_and_save(folder: Path, seed: int, config: ChartSizes) -> None:
    path = sample_path(folder, seed)
    try:
        save_sample(make_sample(seed, config), path)
    except (FaceError, np.linalg.LinAlgError):
        path.touch()


def sample_paths(folder: Path, held_out: bool = False, most: int | None = None) -> list[Path]:
    """Files of the usable people, by seed; of the first `most` seeds that are trained on.

    Raises InputError if there are none.
    """
    end = HELD_OUT + most if most is not None else None
    found = [path for seed, path in _usable(folder, held_out) if end is None or seed < end]
    if not found:
        raise InputError(f"{folder}: expected synthetic people, found none")
    return found


def _usable(folder: Path, held_out: bool) -> Iterator[tuple[int, Path]]:
    for path in sorted(folder.glob("person_*.safetensors")):
        seed = int(path.stem.removeprefix("person_"))
        if (seed < HELD_OUT) == held_out and path.stat().st_size:
            yield seed, path
