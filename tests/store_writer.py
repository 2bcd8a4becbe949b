"""A process that writes avatars until it is killed: `python -m tests.store_writer FOLDER SEED`."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from plugin_server.avatar_record import AvatarRecord
from plugin_server.store import Store

PARTS = 4


def record(name: str, number: int) -> AvatarRecord:
    """A record that tells its number."""
    return AvatarRecord(name, gaussians=number, photos=1, created_unix_ms=0, create_s=0.0)


def save(folder: Path, number: int) -> None:
    """Several files that all say the same number."""
    for part in range(PARTS):
        (folder / f"part{part}.bin").write_bytes(number.to_bytes(8, "little") * 4096)


def load(folder: Path) -> int:
    """The number, if all files agree on it."""
    said = {(folder / f"part{part}.bin").read_bytes() for part in range(PARTS)}
    assert len(said) == 1
    return int.from_bytes(said.pop()[:8], "little")


def write(store: Store, name: str, number: int, replace: bool = True) -> None:
    """Make or replace an avatar."""
    with store.reserve(name, replace):
        store.write(record(name, number), lambda folder: save(folder, number))


def main() -> None:
    """Replace "kept", and make and delete "fleeting", over and over."""
    store = Store(Path(sys.argv[1]))
    for number in count(int(sys.argv[2])):
        write(store, "kept", number)
        print(number, flush=True)
        write(store, "fleeting", number)
        store.delete("fleeting")


if __name__ == "__main__":
    main()
