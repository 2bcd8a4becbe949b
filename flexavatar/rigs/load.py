"""Any rig from a file: FLAME, ICT-FaceKit, or our own."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flexavatar.errors import AssetError
from flexavatar.head.flame import FlameHead
from flexavatar.head.open_head import load_open_head, read_open_head
from flexavatar.rigs.correspondence import correspondence_of
from flexavatar.rigs.flame_file import read_flame
from flexavatar.rigs.foreign import bare_head
from flexavatar.rigs.ict import read_ict
from flexavatar.rigs.safe_pickle import as_mapping, read_pickle
from flexavatar.rigs.transfer import complete_rig

MAX_BYTES = 1 << 30
"""No rig is larger, packed or unpacked."""
KINDS = "a FLAME .pkl or .npz (v_template, ...), an ICT-FaceKit .npz (v, identity, expr, ...)"


def load_rig(path: Path | str) -> FlameHead:
    """A rig of any known kind with everything the open head has: masks, lids, ARKit shapes.

    FLAME 2017, 2020, 2023 and 2023 Open as `.pkl` or `.npz` (nothing in the file is executed;
    `head_template.obj` beside it gives the chart), ICT-FaceKit's `.npz`, or an open head's. What a
    rig lacks is carried over from the open head by surface correspondence, which is found at the
    first import (about 15 s) and kept in the user's cache folder. AssetError for anything else.
    """
    path = Path(path)
    head = read_rig(path)
    if head.masks:
        return head
    open_head = load_open_head()
    return complete_rig(open_head, head, correspondence_of(open_head, head))


def read_rig(path: Path) -> FlameHead:
    """The same without what the file does not have: no masks, and for FLAME no lids."""
    values = _read_values(path)
    try:
        if "v_template" in values:
            return bare_head(read_flame(values, path.parent))
        if "expr_names" in values:
            return read_ict(values)
        if "joint_regressor" in values:
            return read_open_head(path)
    except AssetError as error:
        raise AssetError(f"{path}: {error}") from error
    names = ", ".join(sorted(values)[:12]) or "nothing"
    raise AssetError(f"{path}: expected {KINDS}; got {names}")


def _read_values(path: Path) -> Mapping[str, Any]:
    """Named arrays, or records that can become arrays."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise AssetError(f"{path}: expected at most {MAX_BYTES} bytes, got {size}")
        data = path.read_bytes()
    except OSError as error:
        raise AssetError(f"{path}: expected {KINDS}; {error.strerror or error}") from error
    if data[:2] == b"PK":
        return _read_archive(path, data)
    try:
        return as_mapping(read_pickle(data))
    except AssetError as error:
        raise AssetError(f"{path}: expected {KINDS}; {error}") from error


def _read_archive(path: Path, data: bytes) -> dict[str, Any]:
    """Arrays of an .npz by name; pickled ones as inert records."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if (size := sum(member.file_size for member in archive.infolist())) > MAX_BYTES:
                raise AssetError(f"{path}: expected at most {MAX_BYTES} bytes unpacked, got {size}")
            names = [n for n in archive.namelist() if n.endswith(".npy")]
            return {n.removesuffix(".npy"): _read_member(archive.read(n)) for n in names}
    except AssetError:
        raise
    except Exception as error:  # zipfile, zlib and numpy each fail in their own ways
        raise AssetError(f"{path}: expected a whole .npz, got a damaged one ({error})") from error


def _read_member(data: bytes) -> Any:
    """One .npy; if it holds objects, its pickle is read inertly."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, _, dtype = read_header(stream)
    if not dtype.hasobject:
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    whole = read_pickle(stream.read())
    return whole.state[4][0] if shape == () else whole
