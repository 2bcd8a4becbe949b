"""A baked avatar as one binary glTF 2.0, in the extension FLEXAVATAR_rig (docs/baked.md).

Every array is an accessor of scalars. Most are whole numbers times a step, so that a person fits
into some five megabytes. Viewers that do not know the extension show the still beside it.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flexavatar.baked.colors import ColorBases
from flexavatar.baked.poser import BakedPoser
from flexavatar.baked.rig import BakedAvatar, BakedRig, MoveFields, tensors_of
from flexavatar.errors import AssetError, InputError
from flexavatar.formats.glb import (
    BINARY_CHUNK,
    COMPONENTS,
    JSON_CHUNK,
    MAGIC,
    SPLATTING,
    VERSION,
    GlbBuilder,
    splat_primitive,
)
from flexavatar.formats.packed16 import ScaleRange, extent_of
from flexavatar.head.binding import STRETCH_LIMITS, Binding, LocalSplats, surface_motion
from flexavatar.types import Camera, Gaussians, check_ids

EXTENSION = "FLEXAVATAR_rig"
FORMAT = 1
SCALE_STEPS = 65535
FARTHEST = 100.0
"""Metres; nothing of a head is further away."""
DAMAGE = (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError, InputError)
"""What a document raises that is not what it should be; torch's errors are RuntimeErrors."""


@dataclass(frozen=True)
class Layout:
    """How one array is kept."""

    kind: str  # of formats.glb.COMPONENTS
    shape: tuple[str | int, ...]  # numbers, and names of counts in the extension
    stepped: bool = False  # whether it holds multiples of a step of its own


LAYOUTS = {
    "template": Layout("f4", ("vertices", 3)),
    "faces": Layout("u2", ("faces", 3)),
    "lbs_weights": Layout("u2", ("vertices", 5), stepped=True),
    "products": Layout("u1", ("products", 2)),
    "start": Layout("u4", ("field_ends",)),
    "field_vertices": Layout("u2", ("entries",)),
    "deltas": Layout("i2", ("entries", 3), stepped=True),
    "jaw_pose": Layout("f4", (52, 3)),
    "leye_pose": Layout("f4", (52, 3)),
    "reye_pose": Layout("f4", (52, 3)),
    "eyelids": Layout("f4", (52, 2)),
    "upper_left_ring": Layout("u2", ("upper_left",)),
    "lower_left_ring": Layout("u2", ("lower_left",)),
    "upper_right_ring": Layout("u2", ("upper_right",)),
    "lower_right_ring": Layout("u2", ("lower_right",)),
    "vertex_ids": Layout("u2", ("splats", 3)),
    "bary": Layout("i2", ("splats", 2), stepped=True),
    "offsets": Layout("i2", ("splats", 3), stepped=True),
    "quats": Layout("i2", ("splats", 4), stepped=True),
    "scales": Layout("u2", ("splats", 3)),
    "opacities": Layout("u2", ("splats",), stepped=True),
    "colors": Layout("i2", ("splats", 3), stepped=True),
    "lids": Layout("u1", ("splats", 2), stepped=True),
    "bases": Layout("i1", ("bases", "changing", 3)),
    "base_steps": Layout("f4", ("bases",)),
    "shares": Layout("f4", ("fields", "bases")),
}
"""Of the extension's arrays. `scales` are steps of the logarithm within `scale_logs`; bases are
multiples of their `base_steps`; the third barycentric is what is missing to 1."""
RINGS = ("upper_left_ring", "lower_left_ring", "upper_right_ring", "lower_right_ring")


def write_baked(baked: BakedAvatar, still: bool = True) -> bytes:
    """The file; with `still` also the face at rest, for viewers of KHR_gaussian_splatting."""
    builder, rig = GlbBuilder(), baked.rig
    values = _arrays(baked)
    counts = _counts(values)
    own: dict[str, Any] = {"version": FORMAT, **counts, "arrays": {}}
    for name, layout in LAYOUTS.items():
        own["arrays"][name] = _add_array(builder, layout, values[name])
    own |= {
        "joints": rig.joints.tolist(),
        "usual_openings": rig.usual_openings.tolist(),
        "scale_logs": list(_scale_logs(baked.splats.scales)),
        "packed_scale_logs": list(packed_range(baked)),
        "camera": _camera_json(baked.camera),
    }
    builder.document |= {"extensionsUsed": [EXTENSION], "extensions": {EXTENSION: own}}
    builder.document |= {"nodes": [{"name": "head"}], "scenes": [{"nodes": [0]}], "scene": 0}
    if still:
        primitive = splat_primitive(builder, BakedPoser(baked).pose(torch.zeros(52)))
        builder.document["extensionsUsed"].append(SPLATTING)
        builder.document["meshes"] = [{"primitives": [primitive]}]
        builder.document["nodes"][0]["mesh"] = 0
    return builder.to_bytes()


def packed_range(baked: BakedAvatar) -> ScaleRange:
    """The range of scales that packed16 needs for this avatar in every pose."""
    low, high = (
        Gaussians(baked.splats.offsets, baked.splats.quats, baked.splats.scales * stretch,
                  baked.opacities, baked.colors[:, None])
        for stretch in STRETCH_LIMITS
    )  # fmt: skip
    return ScaleRange(extent_of(low).scales.minimum, extent_of(high).scales.maximum)


def _arrays(baked: BakedAvatar) -> dict[str, Tensor]:
    """What the layouts hold, as numbers that are not yet steps, scales and bases apart."""
    rig, bases = baked.rig, baked.bases.bases
    steps = bases.flatten(1).abs().amax(1) / 127 if bases.numel() else bases.new_zeros(len(bases))
    low, high = _scale_logs(baked.splats.scales)
    sizes = (baked.splats.scales.clamp_min(math.exp(low)).log() - low) / (high - low)
    return {
        **{name: getattr(rig, name) for name in ("template", "faces", "lbs_weights", "products")},
        "start": rig.fields.start,
        "field_vertices": rig.fields.vertices,
        "deltas": rig.fields.deltas,
        **{name: getattr(rig, name) for name in ("jaw_pose", "leye_pose", "reye_pose", "eyelids")},
        **dict(zip(RINGS, rig.lid_rings, strict=True)),
        "vertex_ids": baked.binding.vertex_ids,
        "bary": baked.binding.bary[:, :2],
        "offsets": baked.splats.offsets,
        "quats": torch.nn.functional.normalize(baked.splats.quats, dim=-1),
        "scales": (sizes * SCALE_STEPS).round(),
        "opacities": baked.opacities,
        "colors": baked.colors,
        "lids": baked.lids,
        "bases": (bases / steps.clamp_min(1e-30)[:, None, None]).round(),
        "base_steps": steps,
        "shares": baked.bases.shares,
    }


def _counts(values: Mapping[str, Tensor]) -> dict[str, int]:
    """The numbers that the layouts' shapes name, from the arrays themselves."""
    counts: dict[str, int] = {}
    for name, layout in LAYOUTS.items():
        for size, found in zip(layout.shape, values[name].shape, strict=True):
            if isinstance(size, str):
                assert counts.setdefault(size, found) == found, (name, size)
    return counts


def _scale_logs(scales: Tensor) -> tuple[float, float]:
    """Logarithms of the smallest and largest scale, metres; never the same."""
    logs = scales.clamp_min(1e-7).log()
    low = float(logs.min())
    return low, max(float(logs.max()), low + 1e-3)


def _camera_json(camera: Camera) -> dict[str, Any]:
    return {
        "viewmat": camera.viewmat.flatten().tolist(),
        "K": camera.K.flatten().tolist(),
        "width": camera.width,
        "height": camera.height,
    }


def _add_array(builder: GlbBuilder, layout: Layout, values: Tensor) -> dict[str, Any]:
    """Number of the accessor of an array, which is flat, and its step if it has one."""
    flat = values.detach().cpu().flatten().numpy()
    kind = np.dtype(layout.kind)
    about: dict[str, Any] = {}
    if layout.stepped:
        about["step"] = float(np.abs(flat).max(initial=0)) / np.iinfo(kind).max or 1.0
        flat = np.rint(flat / about["step"])
    return {"accessor": builder.add_accessor(flat.astype(kind)), **about}


def read_baked(data: bytes) -> BakedAvatar:
    """What `write_baked` wrote. Raises AssetError for anything else."""
    try:
        return _read(data)
    except (*DAMAGE, struct.error) as error:
        raise AssetError(f"baked avatar: damaged, or another program's ({error})") from None


def _read(data: bytes) -> BakedAvatar:
    document, binary = _chunks(data)
    own = document["extensions"][EXTENSION]
    if own["version"] != FORMAT:
        raise AssetError(f"baked avatar: expected format {FORMAT}, got {own['version']}")
    arrays = {
        name: _read_array(document, binary, own["arrays"][name], layout, own)
        for name, layout in LAYOUTS.items()
    }
    baked = _assemble(arrays, own)
    _check(baked)
    return baked


def _chunks(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The document and its buffer."""
    magic, version, length, text_bytes, kind = struct.unpack_from("<5I", data)
    if (magic, version, kind) != (MAGIC, VERSION, JSON_CHUNK) or length != len(data):
        raise AssetError("baked avatar: expected a whole binary glTF 2.0")
    document = json.loads(data[20 : 20 + text_bytes])
    binary_bytes, kind = struct.unpack_from("<II", data, 20 + text_bytes)
    binary = data[28 + text_bytes : 28 + text_bytes + binary_bytes]
    if kind != BINARY_CHUNK or len(binary) != binary_bytes:
        raise AssetError("baked avatar: expected a binary chunk")
    return document, binary


def _read_array(
    document: Mapping[str, Any],
    binary: bytes,
    about: Mapping[str, Any],
    layout: Layout,
    own: Mapping[str, Any],
) -> NDArray[np.generic]:
    """One array in its shape, times its step. Raises AssetError where it is not as laid out."""
    shape = tuple(own[size] if isinstance(size, str) else size for size in layout.shape)
    accessor = document["accessors"][about["accessor"]]
    view = document["bufferViews"][accessor["bufferView"]]
    kind = np.dtype(f"<{layout.kind}")
    start, size = view["byteOffset"], math.prod(shape) * kind.itemsize
    fits = 0 <= start and size == view["byteLength"] and start + size <= len(binary)
    if accessor["componentType"] != COMPONENTS[layout.kind] or not fits or min(shape) < 0:
        raise AssetError(f"baked avatar: an array is not of shape {shape}, {layout.kind}")
    values = np.frombuffer(binary, kind, math.prod(shape), start).reshape(shape)
    return values * np.float32(about["step"]) if layout.stepped else values


def _assemble(arrays: Mapping[str, NDArray[np.generic]], own: Mapping[str, Any]) -> BakedAvatar:
    def whole(name: str) -> Tensor:
        return torch.from_numpy(arrays[name].astype(np.int64))

    def real(name: str) -> Tensor:
        return torch.from_numpy(arrays[name].astype(np.float32))

    low, high = own["scale_logs"]
    sizes = low + real("scales") * ((high - low) / SCALE_STEPS)
    bary = real("bary")
    weights = real("lbs_weights")
    view = own["camera"]
    K, viewmat = torch.tensor(view["K"]), torch.tensor(view["viewmat"])
    return BakedAvatar(
        rig=BakedRig(
            template=real("template"),
            faces=whole("faces"),
            joints=torch.tensor(own["joints"]).reshape(5, 3),
            lbs_weights=weights / weights.sum(1, keepdim=True).clamp_min(1e-9),
            products=whole("products"),
            fields=MoveFields(whole("start"), whole("field_vertices"), real("deltas")),
            jaw_pose=real("jaw_pose"),
            leye_pose=real("leye_pose"),
            reye_pose=real("reye_pose"),
            eyelids=real("eyelids"),
            lid_rings=tuple(whole(name) for name in RINGS),
            usual_openings=torch.tensor(own["usual_openings"]).reshape(2),
        ),
        binding=Binding(whole("vertex_ids"), torch.cat((bary, 1 - bary.sum(1, True)), 1)),
        splats=LocalSplats(real("offsets"), real("quats"), sizes.exp()),
        opacities=real("opacities"),
        colors=real("colors"),
        lids=real("lids"),
        bases=ColorBases(real("bases") * real("base_steps")[:, None, None], real("shares")),
        camera=Camera(viewmat.reshape(4, 4), K.reshape(3, 3), view["width"], view["height"]),
    )


def _check(baked: BakedAvatar) -> None:
    """Raises InputError, ValueError for ids of nothing, and for numbers that are not finite."""
    rig, vertices = baked.rig, len(baked.rig.template)
    for ids in (rig.faces, rig.fields.vertices, baked.binding.vertex_ids, *rig.lid_rings):
        check_ids("vertices", ids, vertices)
    check_ids("products", rig.products, 53)
    start, fields = rig.fields.start, 56 + len(rig.products)
    rising = bool((start.diff() >= 0).all()) and int(start[0]) == 0
    if len(start) != fields + 1 or len(baked.bases.shares) != fields or not rising:
        raise ValueError(f"expected {fields} fields")
    if int(start[-1]) != len(rig.fields.vertices) or baked.bases.bases.shape[1] > len(baked):
        raise ValueError("expected entries of fields, and changing splats among the others")
    numbers = [x for x in tensors_of(baked).values() if x.is_floating_point()]
    near = all(bool((x.abs() < FARTHEST).all()) for x in numbers)
    if not near or not all(map(len, rig.lid_rings)):
        raise ValueError("expected lids, and numbers of a head")
    surface_motion(rig.template, rig.template, rig.faces)  # every face can be measured
