"""Avatars between servers: all files of one as a message, and the way back."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from flexavatar.errors import ConflictError, InputError
from plugin_server.avatar_record import RECORD, AvatarRecord, read_record, size_and_sum
from plugin_server.engine import Engine
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.store import Store

FILE = re.compile(r"[a-z0-9_][a-z0-9_.]{0,63}")
"""Names of an avatar's files: nothing that leads out of its folder."""


def read_copy(store: Store, name: str) -> pb.StoredAvatar:
    """An avatar with all its files.

    Raises AvatarNotFoundError, AssetError, InputError, and ConflictError for a preview, which no
    other server would take back.
    """

    def read(folder: Path) -> pb.StoredAvatar:
        record, names = read_record(folder)
        if record.preview:
            raise ConflictError(f"avatar {name!r} is being made")
        files = {file: (folder / file).read_bytes() for file in names}
        return pb.StoredAvatar(name=name, record=(folder / RECORD).read_bytes(), files=files)

    return store.read(name, read)


def write_copy(store: Store, engine: Engine, copy: pb.StoredAvatar) -> AvatarRecord:
    """Put a copy in place, as old as the avatar is, if the engine can load it.

    Raises InputError, AssetError, ConflictError, StorageError.
    """
    with store.reserve(copy.name, replace=True), TemporaryDirectory() as made:
        folder = Path(made)
        for name, content in {**copy.files, RECORD: copy.record}.items():
            if not FILE.fullmatch(name):
                raise InputError(f"files: expected plain names, got {name!r:.80}")
            (folder / name).write_bytes(content)
        record, measures = read_record(folder)
        for name, measure in measures.items():
            if name not in copy.files or size_and_sum(folder / name) != measure:
                raise InputError(f"files: {name!r:.80} is not what the record says")
        if extra := {*copy.files} - {*measures}:
            raise InputError(f"files: the record knows nothing of {sorted(extra)}")
        engine.load(folder)
        (folder / RECORD).unlink()
        record = replace(record, name=copy.name, preview=False)

        def save(target: Path) -> None:
            shutil.copytree(folder, target, dirs_exist_ok=True)

        store.write(record, save)
    return record
