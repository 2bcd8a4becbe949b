"""Messages of avatars <-> types: uploads within the server's limits, recipes, records."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence

from flexavatar.errors import InputError
from flexavatar.formats.video_reader import container_format
from plugin_server.avatar_record import AvatarRecord
from plugin_server.bodies import UploadPace
from plugin_server.config import ServerConfig
from plugin_server.creation import Creation
from plugin_server.engine import Recipe
from plugin_server.errors import TooLargeError
from plugin_server.messages.models import MODEL_NUMBERS, model_name
from plugin_server.pb import flexavatar_pb2 as pb


def recipe_from(header: pb.CreateAvatarHeader, models: Sequence[str]) -> Recipe:
    """The recipe that a header asks for, with one of these models. Raises InputError."""
    if header.quality not in pb.Quality.values():
        raise InputError(f"quality: expected one of {pb.Quality.keys()}, got {header.quality}")
    model = model_name(header.model)
    if model and model not in models:
        had = " or ".join(models)
        raise InputError(f"model: expected {had}, which this server has, got {model}")
    return Recipe(header.quality == pb.QUALITY_QUICK, model)


def avatar_message(record: AvatarRecord) -> pb.Avatar:
    """An avatar's record for clients."""
    return pb.Avatar(
        name=record.name,
        gaussians=record.gaussians,
        photos=record.photos,
        created_unix_ms=record.created_unix_ms,
        create_s=record.create_s,
        metrics=record.metrics,
        model=MODEL_NUMBERS.get(record.model, pb.MODEL_UNSPECIFIED),
        warnings=record.warnings,
        preview=record.preview,
    )


def progress_message(creation: Creation) -> pb.CreateProgress:
    """How far the making of an avatar is."""
    return pb.CreateProgress(
        stage=creation.stage,
        fraction=creation.fraction,
        elapsed_ms=int(1000 * creation.elapsed_s),
        preview=creation.name if creation.has_preview else "",
    )


def creations_message(creations: Iterable[tuple[Creation, str]]) -> pb.ListCreationsResponse:
    """Creations, and why those that failed did so."""
    found = [
        pb.CreationStatus(name=creation.name, progress=progress_message(creation), error=error)
        for creation, error in creations
    ]
    return pb.ListCreationsResponse(creations=found)


def check_photos(photos: Sequence[bytes | bytearray], config: ServerConfig) -> None:
    """Raise InputError or TooLargeError for photos that need no look at their content."""
    if not photos:
        raise InputError(f"photos: expected 1 to {config.max_photos}, got none")
    if len(photos) > config.max_photos:
        raise InputError(f"photos: expected 1 to {config.max_photos}, got {len(photos)}")
    for index, photo in enumerate(photos):
        if not photo:
            raise InputError(f"photo {index}: expected an image or video file, got 0 bytes")
    _check_size(photos, config)


def _check_size(photos: Sequence[bytes | bytearray], config: ServerConfig) -> None:
    """Raise TooLargeError as soon as an upload is beyond the limits."""
    for photo in photos:
        video = container_format(photo) is not None
        kind, most = ("video", config.max_video_mib) if video else ("photo", config.max_photo_mib)
        if len(photo) > most << 20:
            raise TooLargeError(f"{kind}: expected {most} MiB at most, got more")
    if sum(map(len, photos)) > config.max_upload_mib << 20:
        raise TooLargeError(f"photos: expected {config.max_upload_mib} MiB together, got more")


async def read_header(
    requests: AsyncIterator[pb.CreateAvatarRequest], pace: UploadPace
) -> pb.CreateAvatarHeader:
    """The first message of an upload. Raises InputError, UploadTimeoutError."""
    first = await pace.wait(anext(requests, None))
    if first is None or first.WhichOneof("part") != "header":
        raise InputError("upload: expected a header as the first message")
    return first.header


async def read_photos(
    requests: AsyncIterator[pb.CreateAvatarRequest], config: ServerConfig, pace: UploadPace
) -> list[bytes]:
    """The rest of an upload: whole files. Raises InputError, TooLargeError, UploadTimeoutError."""
    photos: list[bytearray] = []
    while (request := await pace.wait(anext(requests, None))) is not None:
        if request.WhichOneof("part") != "chunk":
            raise InputError("upload: expected a chunk after the header")
        index = request.chunk.photo
        if index not in (len(photos) - 1, len(photos)):
            raise InputError(f"upload: expected photo {len(photos)} next, got {index}")
        if index >= config.max_photos:
            raise InputError(f"photos: expected 1 to {config.max_photos}, got more")
        if index == len(photos):
            photos.append(bytearray())
        photos[index] += request.chunk.data
        pace.count(len(request.chunk.data))
        _check_size(photos, config)
    check_photos(photos, config)
    return [bytes(photo) for photo in photos]
