"""The open head: the rig that ships with the package, baked by `flexavatar.head.bake`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from flexavatar.errors import AssetError
from flexavatar.head.flame import FlameHead
from flexavatar.types import EXPRESSION_SIZE, to_device

OPEN_HEAD_PATH = Path(__file__).parents[1] / "assets" / "head" / "open_head.npz"
VERSION = 1


@lru_cache(maxsize=1)
def load_open_head() -> FlameHead:
    """The default rig, CPU, float32.

    The origin is midway between the ears of the average adult; the left ear is at +x and the nose
    at +z. Raises AssetError if the file is missing or of another version.
    """
    return read_open_head(OPEN_HEAD_PATH)


@lru_cache(maxsize=8)
def open_head_on(device: str) -> FlameHead:
    """The default rig on a device, one for all who are drawn there. Raises AssetError."""
    head = load_open_head()
    return head if device == "cpu" else to_device(head, device)


def read_open_head(path: Path) -> FlameHead:
    """A rig written by `flexavatar.head.bake`."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)
        return _unpack(arrays)
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise AssetError(f"{path}: expected an open head of version {VERSION}, {error}") from error


def _unpack(arrays: dict[str, np.ndarray]) -> FlameHead:
    if (found := int(arrays["version"])) != VERSION:
        raise ValueError(f"got version {found}")
    shapes = _floats(arrays["shapes"])  # [M, V, 3]: the 52 of ARKit come first
    count = shapes.shape[1]
    return FlameHead(
        template=_floats(arrays["template"]),
        identity=_floats(arrays["identity"]),
        expression=_expression(shapes, _floats(arrays["expression_mix"])),
        eyelids=_floats(arrays["eyelids"]),
        lid_arcs=_floats(arrays["lid_arcs"]),
        correctives=_floats(arrays["correctives"]),
        pose_correctives=torch.zeros(count, 3, 36),
        joint_regressor=_floats(arrays["joint_regressor"]),
        lbs_weights=_floats(arrays["lbs_weights"]),
        faces=_integers(arrays["faces"]),
        uvs=_floats(arrays["uvs"]),
        uv_faces=_integers(arrays["uv_faces"]),
        masks=_named(arrays, "mask:", _floats),
        rings=_named(arrays, "ring:", _integers),
        mirror=_integers(arrays["mirror"]),
        corrective_factors=tuple(tuple(str(f).split("*")) for f in arrays["corrective_factors"]),
        arkit_offsets=shapes[:52].contiguous(),
        jaw_pitch=float(arrays["jaw_pitch"]),
    )


def _expression(shapes: Tensor, mix: Tensor) -> Tensor:
    """Modes as mixtures of shapes, zero-padded: [M, V, 3], [M, E] -> [V, 3, 100]."""
    modes = (mix.T @ shapes.flatten(1)).T.unflatten(0, (-1, 3))
    return torch.nn.functional.pad(modes, (0, EXPRESSION_SIZE - modes.shape[-1])).contiguous()


def _floats(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))


def _integers(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.int64))


def _named(arrays: dict[str, np.ndarray], prefix: str, convert) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): convert(a) for k, a in arrays.items() if k.startswith(prefix)}
