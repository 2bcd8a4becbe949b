"""The user's cache folder: what takes long to make and can be made again at any time.

$XDG_CACHE_HOME/flexavatar, else ~/.cache/flexavatar. A file's name holds a hash of all that it was
made from, so that nothing is ever out of date; it appears whole or not at all; and it is not
trusted: what is damaged, or was made from something else, counts as absent. Where the folder cannot
be written to, nothing is kept.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def cache_folder() -> Path | None:
    """The folder, which need not exist yet; None for a user without a home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # the XDG specification: others are to be ignored
        return Path(base) / "flexavatar"
    try:
        return Path.home() / ".cache" / "flexavatar"
    except RuntimeError:
        return None


def content_key(version: int, *contents: np.ndarray) -> str:
    """A hash of arrays, with their types and shapes, and of the version of what is made of them."""
    digest = hashlib.sha256(str(version).encode())
    for array in contents:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def load_arrays(kind: str, key: str) -> dict[str, np.ndarray] | None:
    """Arrays that were saved under this key; None if there are none, or not all of them whole."""
    path = _path(kind, key)
    try:
        data = path.read_bytes() if path else b""
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = dict(archive)
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return None
    return arrays if str(arrays.pop("key", "")) == key else None


def save_arrays(kind: str, key: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Keep arrays, none named `key`, until `load_arrays` asks for them, if that is possible."""
    path = _path(kind, key)
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as draft:
            try:
                np.savez_compressed(draft, allow_pickle=False, **arrays, key=np.array(key))
                os.replace(draft.name, path)
            except BaseException:
                os.unlink(draft.name)
                raise
    except OSError:
        return


def _path(kind: str, key: str) -> Path | None:
    folder = cache_folder()
    return None if folder is None else folder / f"{kind}-{key[:24]}.npz"
