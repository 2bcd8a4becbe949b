"""The synchronous client: makes avatars, drives sessions, reads their frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc

from flexavatar.errors import ImageError
from flexavatar.progress import Progress, no_progress
from plugin_server.client.session import CALL_S, ClientSession
from plugin_server.errors import ServerUnavailableError, translate_errors
from plugin_server.messages.models import model_number
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.pb.flexavatar_pb2_grpc import FlexAvatarStub

CHUNK_BYTES = 1 << 20
CREATE_S = 600.0

Photo = bytes | Path
"""An image or video file, or its content."""


def _nothing(name: str) -> None:
    """Nobody waits for a preview."""


class FlexAvatarClient:
    """One connection to a server. Raises FlexAvatarErrors as the server does."""

    def __init__(
        self,
        address: str = "127.0.0.1:50051",
        token: str | None = None,
        root_certificate: bytes | None = None,
    ) -> None:
        """`root_certificate` (PEM) turns TLS on; a server beyond loopback wants a `token` too."""
        options = (
            ("grpc.max_receive_message_length", 64 << 20),
            ("grpc.keepalive_time_ms", 2_000),  # a dead link shows within five seconds
            ("grpc.keepalive_timeout_ms", 2_000),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.min_reconnect_backoff_ms", 1_000),
            ("grpc.max_reconnect_backoff_ms", 1_000),
        )
        if root_certificate is None:
            self.channel = grpc.insecure_channel(address, options)
        else:
            credentials = grpc.ssl_channel_credentials(root_certificate)
            self.channel = grpc.secure_channel(address, credentials, options)
        """The connection, for calls that this class does not have: health, reflection."""
        self._stub = FlexAvatarStub(self.channel)
        self._token, self._root_certificate = token, root_certificate
        self._others: dict[str, FlexAvatarClient] = {}
        self._metadata = () if token is None else (("authorization", f"Bearer {token}"),)

    def __enter__(self) -> FlexAvatarClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; sessions of this client stay until they are ended or idle."""
        for other in self._others.values():
            other.close()
        self.channel.close()

    def at(self, address: str) -> FlexAvatarClient:
        """A client of another server by host:port, with the same token; "" is this one.

        It is closed with this one.
        """
        if not address:
            return self
        if (known := self._others.get(address)) is None:
            known = FlexAvatarClient(address, self._token, self._root_certificate)
            known = self._others.setdefault(address, known)
        return known

    def call(self, name: str, request: Any, timeout: float = CALL_S) -> Any:
        """One unary call by its name."""
        with translate_errors():
            rpc = getattr(self._stub, name)
            return rpc(request, timeout=timeout, metadata=self._metadata, wait_for_ready=False)

    def wait_ready(self, timeout: float = CALL_S) -> pb.ServerInfo:
        """Wait until the server answers. Raises ServerUnavailableError."""
        try:
            grpc.channel_ready_future(self.channel).result(timeout)
        except grpc.FutureTimeoutError:
            raise ServerUnavailableError(f"no server answers within {timeout:g} s") from None
        return self.info()

    def info(self) -> pb.ServerInfo:
        """What the server is, and its limits."""
        return self.call("GetServerInfo", pb.GetServerInfoRequest())

    def create_avatar(
        self,
        photos: Sequence[Photo],
        name: str = "",
        quick: bool = False,
        replace: bool = False,
        progress: Progress = no_progress,
        timeout: float = CREATE_S,
        model: str = "",
        on_preview: Callable[[str], None] = _nothing,
    ) -> pb.Avatar:
        """Make an avatar of 1 to 16 photos or videos of a person; `progress` hears stage, 0..1.

        `on_preview` hears the avatar's name as soon as sessions may show it, less sharp; they go on
        with the avatar itself. `model` is query_lrm, bias_sink or fit; "" is the server's choice.
        Raises ImageError if a file cannot be read, and what the server says about them.
        """
        header = pb.CreateAvatarHeader(
            name=name,
            quality=pb.QUALITY_QUICK if quick else pb.QUALITY_FULL,
            replace=replace,
            model=model_number(model),
        )
        files = read_photo_files(photos)  # before the call: gRPC would hide what is wrong with one
        answers = self._stub.CreateAvatar(
            _upload(header, files), timeout=timeout, metadata=self._metadata
        )
        previewed = ""
        try:
            with translate_errors():
                for answer in answers:
                    if answer.WhichOneof("part") == "avatar":
                        return answer.avatar
                    if answer.progress.preview and not previewed:
                        previewed = answer.progress.preview
                        on_preview(previewed)
                    progress(answer.progress.stage, answer.progress.fraction)
        finally:
            answers.cancel()  # no effect on a call that is over
        raise ServerUnavailableError("create: the server hung up without an avatar")

    def interpolate_avatars(
        self, a: str, b: str, share: float, name: str = "", replace: bool = False
    ) -> pb.Avatar:
        """Make the avatar that is `share` (0..1) of `b` and the rest of `a`.

        Raises AvatarNotFoundError, InputError, ConflictError.
        """
        request = pb.InterpolateAvatarsRequest(a=a, b=b, share=share, name=name, replace=replace)
        return self.call("InterpolateAvatars", request)

    def list_avatars(self) -> Sequence[pb.Avatar]:
        """All avatars, by name."""
        return self.call("ListAvatars", pb.ListAvatarsRequest()).avatars

    def get_avatar(self, name: str) -> pb.Avatar:
        """One avatar. Raises AvatarNotFoundError."""
        return self.call("GetAvatar", pb.GetAvatarRequest(name=name))

    def delete_avatar(self, name: str) -> None:
        """Remove an avatar; sessions that show it end. Raises AvatarNotFoundError."""
        self.call("DeleteAvatar", pb.DeleteAvatarRequest(name=name))

    def start_session(
        self,
        avatar: str,
        width: int = 512,
        height: int = 512,
        kinds: Sequence[pb.StreamKind] = (pb.STREAM_KIND_RGBA8,),
        camera: pb.Camera | None = None,
        max_fps: float = 0.0,
        jpeg_quality: int = 0,
        keyframe_interval_ms: int = 0,
        morph_to: str = "",
        name: str = "",
        sources: Sequence[pb.Source | str] = (),
    ) -> ClientSession:
        """Start showing an avatar, and the way to another if `morph_to` names one.

        Zeros are the server's defaults, see StartSessionRequest.
        """
        request = pb.StartSessionRequest(
            avatar=avatar,
            width=width,
            height=height,
            kinds=kinds,
            camera=camera,
            max_fps=max_fps,
            jpeg_quality=jpeg_quality,
            keyframe_interval_ms=keyframe_interval_ms,
            morph_to=morph_to,
            name=name,
            sources=[pb.Source(name=s) if isinstance(s, str) else s for s in sources],
        )
        return ClientSession(self, self.call("StartSession", request), request)

    def get_session(self, name: str) -> pb.Session:
        """A running session by its name, to read it. Raises SessionNotFoundError."""
        return self.call("GetSession", pb.GetSessionRequest(name=name))

    def list_sessions(self) -> Sequence[pb.SessionStatus]:
        """What runs, for who has the server's token."""
        return self.call("ListSessions", pb.ListSessionsRequest()).sessions

    def terminate_session(self, session_id: str, reason: str = "") -> None:
        """End anybody's session, for who has the server's token. Raises SessionNotFoundError."""
        request = pb.TerminateSessionRequest(session_id=session_id, reason=reason)
        self.call("TerminateSession", request)

    def drive_stream(self, signals: Iterator[pb.DriveRequest]) -> Any:
        """The Drive call as gRPC gives it; `ClientSession.drive` is easier."""
        return self._stub.Drive(signals, metadata=self._metadata)

    def audio_stream(self, parts: Iterator[pb.DriveAudioRequest]) -> Any:
        """The DriveAudio call as gRPC gives it; `ClientSession.drive_audio` is easier."""
        return self._stub.DriveAudio(parts, metadata=self._metadata)


def _upload(
    header: pb.CreateAvatarHeader, photos: Sequence[bytes]
) -> Iterator[pb.CreateAvatarRequest]:
    """The messages of CreateAvatar."""
    yield pb.CreateAvatarRequest(header=header)
    for index, data in enumerate(photos):
        for start in range(0, max(1, len(data)), CHUNK_BYTES):
            chunk = pb.PhotoChunk(photo=index, data=data[start : start + CHUNK_BYTES])
            yield pb.CreateAvatarRequest(chunk=chunk)


def read_photo_files(photos: Sequence[Photo]) -> list[bytes]:
    """The files' bytes. Raises ImageError if there is none, or one cannot be read."""
    if not photos:
        raise ImageError("photos: expected 1 to 16 files, got none")
    return [_read_bytes(photo) for photo in photos]


def _read_bytes(photo: Photo) -> bytes:
    if isinstance(photo, bytes):
        return photo
    try:
        return photo.read_bytes()
    except OSError as error:
        raise ImageError(f"{photo}: expected a photo or video: {error.strerror}") from error
