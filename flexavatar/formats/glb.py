"""Binary glTF 2.0: what is written of it here, and a still of Gaussians in it."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flexavatar.errors import InputError
from flexavatar.types import Gaussians

SPLATTING = "KHR_gaussian_splatting"
MAGIC, VERSION = 0x46546C67, 2
JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942
COMPONENTS = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}
SHAPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
POINTS = 0


@dataclass
class GlbBuilder:
    """A glTF document and its one buffer, as they grow."""

    document: dict[str, Any] = field(
        default_factory=lambda: {
            "asset": {"version": "2.0", "generator": "FlexAvatar"},
            "accessors": [],
            "bufferViews": [],
        }
    )
    _parts: list[bytes] = field(default_factory=list)
    _length: int = 0

    def add_view(self, values: np.ndarray) -> int:
        """Bytes of an array on a border of four -> number of their bufferView."""
        data = np.ascontiguousarray(values).tobytes()
        view = {"buffer": 0, "byteOffset": self._length, "byteLength": len(data)}
        self.document["bufferViews"].append(view)
        self._parts.append(data + b"\0" * (-len(data) % 4))
        self._length += len(self._parts[-1])
        return len(self.document["bufferViews"]) - 1

    def add_accessor(self, values: np.ndarray, bounds: bool = False) -> int:
        """An array [N] or [N, C] -> number of its accessor; with `bounds`, its extremes beside."""
        kind = values.dtype.newbyteorder("<").str[1:]
        width = 1 if values.ndim == 1 else values.shape[1]
        accessor: dict[str, Any] = {
            "bufferView": self.add_view(values.astype(f"<{kind}")),
            "componentType": COMPONENTS[kind],
            "count": len(values),
            "type": SHAPES[width],
        }
        if bounds:
            rows = values.reshape(len(values), -1)
            accessor |= {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
        self.document["accessors"].append(accessor)
        return len(self.document["accessors"]) - 1

    def to_bytes(self) -> bytes:
        """The whole file."""
        self.document["buffers"] = [{"byteLength": self._length}]
        text = json.dumps(self.document, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        size = 12 + 8 + len(text) + 8 + self._length
        header = struct.pack("<III", MAGIC, VERSION, size)
        chunks = struct.pack("<II", len(text), JSON_CHUNK) + text
        return (
            header + chunks + struct.pack("<II", self._length, BINARY_CHUNK) + b"".join(self._parts)
        )


def splat_primitive(builder: GlbBuilder, gaussians: Gaussians) -> dict[str, Any]:
    """A primitive of KHR_gaussian_splatting, 56 bytes a Gaussian, in the head's frame.

    Colours are blended as they are shown (`srgb_rec709_display`): so they were fitted.
    """
    fields = {
        "POSITION": gaussians.means,
        f"{SPLATTING}:ROTATION": gaussians.quats[:, (1, 2, 3, 0)],
        f"{SPLATTING}:SCALE": gaussians.scales,
        f"{SPLATTING}:OPACITY": gaussians.opacities.clamp(0, 1),
        f"{SPLATTING}:SH_DEGREE_0_COEF_0": gaussians.sh[:, 0],
    }
    attributes = {
        name: builder.add_accessor(values.cpu().numpy().astype("<f4"), name == "POSITION")
        for name, values in fields.items()
    }
    about = {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}
    return {"mode": POINTS, "attributes": attributes, "extensions": {SPLATTING: about}}


def to_glb(gaussians: Gaussians) -> bytes:
    """One instant as a scene of one node. Raises InputError for no Gaussian at all."""
    if not len(gaussians):
        raise InputError("glTF: expected at least one Gaussian, got none")
    builder = GlbBuilder()
    builder.document |= {
        "extensionsUsed": [SPLATTING],
        "meshes": [{"primitives": [splat_primitive(builder, gaussians)]}],
        "nodes": [{"name": "head", "mesh": 0}],
        "scenes": [{"nodes": [0]}],
        "scene": 0,
    }
    return builder.to_bytes()
