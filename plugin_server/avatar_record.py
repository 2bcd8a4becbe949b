"""What is known of a stored avatar without loading it: record.json, with its files' sums."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from flexavatar.errors import AssetError

RECORD, MANIFEST = "record.json", "manifest.json"
RECORD_VERSION = 1
LARGEST_COUNT, LATEST_MS = 1 << 32, 1 << 63


@dataclass(frozen=True)
class AvatarRecord:
    """One avatar in a list, without loading it."""

    name: str
    gaussians: int
    photos: int
    created_unix_ms: int
    create_s: float
    metrics: dict[str, float] = field(default_factory=dict)
    model: str = ""
    """Name of the model that made it, "" if unknown."""
    warnings: tuple[str, ...] = ()
    """What was seen in the files that will look wrong."""
    client: str = ""
    """Who made it, as a digest; "" if unknown."""
    preview: bool = False
    """Whether the avatar itself is still being made."""


def size_and_sum(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()


def write_record(folder: Path, record: AvatarRecord) -> None:
    """Add record.json to a folder that is complete otherwise."""
    files = {
        str(path.relative_to(folder)): size_and_sum(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    content = {"version": RECORD_VERSION, "avatar": asdict(record), "files": files}
    (folder / RECORD).write_text(json.dumps(content, indent=1))


def read_record(folder: Path) -> tuple[AvatarRecord, dict[str, tuple[int, str]]]:
    """The record of a folder, and its files' sizes and sums. Raises AssetError."""
    try:
        content = json.loads((folder / RECORD).read_text())
        if content["version"] != RECORD_VERSION:
            found = f"expected version {RECORD_VERSION}, got {content['version']!r}"
            raise AssetError(f"avatar {folder.name!r}: {found}")
        files = {str(k): (int(size), str(total)) for k, (size, total) in content["files"].items()}
        avatar = {"model": _manifest_model(folder), **content["avatar"], "name": folder.name}
        return _checked_record(AvatarRecord(**avatar)), files
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise AssetError(f"avatar {folder.name!r}: {RECORD} is damaged: {error}") from error


def _checked_record(record: AvatarRecord) -> AvatarRecord:
    """The record, if a message can hold it: one that cannot must not spoil a list. ValueError."""
    counts = {"gaussians": record.gaussians, "photos": record.photos}
    for name, count in counts.items():
        if type(count) is not int or not 0 <= count < LARGEST_COUNT:
            raise ValueError(f"{name}: expected a count, got {count!r:.40}")
    if type(record.created_unix_ms) is not int or not 0 <= record.created_unix_ms < LATEST_MS:
        raise ValueError(f"created_unix_ms: expected a time, got {record.created_unix_ms!r:.40}")
    metrics = {str(name): float(value) for name, value in dict(record.metrics).items()}
    return replace(
        record,
        create_s=float(record.create_s),
        metrics=metrics,
        model=str(record.model),
        client=str(record.client),
        preview=bool(record.preview),
        warnings=tuple(map(str, record.warnings)),
    )


def _manifest_model(folder: Path) -> str:
    """The model in the engine's manifest, for records that are older than the field."""
    try:
        return str(json.loads((folder / MANIFEST).read_text())["model"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def flush_tree(folder: Path) -> None:
    """Make a folder and all in it survive a power cut."""
    for path in folder.rglob("*"):
        flush(path)
    flush(folder)


def flush(path: Path) -> None:
    """Write a file's or a folder's content through to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
