"""The synchronous client: makes avatars, drives sessions, reads their frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc

from flexavatar.errors import ImageError, SessionNotFoundError
from flexavatar.progress import Progress, no_progress
from plugin_server.client.frame_reader import FrameReader, Received
from plugin_server.client.recovery import Recovery, is_lost
from plugin_server.client.speech import ClientSpeech
from plugin_server.client.stream import ClientStream
from plugin_server.errors import ServerUnavailableError, translate_errors
from plugin_server.latest import Latest
from plugin_server.messages.models import model_number
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.pb.flexavatar_pb2_grpc import FlexAvatarStub

CHUNK_BYTES = 1 << 20
CALL_S = 30.0
CREATE_S = 600.0
RESUME_S = 2.0

Photo = bytes | Path
"""An image or video file, or its content."""


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
        self.channel.close()

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
    ) -> pb.Avatar:
        """Make an avatar of 1 to 16 photos or videos of a person; `progress` hears stage, 0..1.

        `model` is query_lrm, bias_sink or fit; "" is the server's choice. Raises ImageError if a
        file cannot be read, and what the server says about them.
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
        try:
            with translate_errors():
                for answer in answers:
                    if answer.WhichOneof("part") == "avatar":
                        return answer.avatar
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


class ClientSession:
    """One session that this client owns: drive it, read its frames, close it.

    If the server or the link is lost, the session is looked for on a thread and taken up again as
    soon as it can be, also on a server that has started anew: `problem` and the log say so.
    """

    def __init__(
        self,
        client: FlexAvatarClient,
        info: pb.Session,
        request: pb.StartSessionRequest | None = None,
    ) -> None:
        """`request` is what it was started with; without it it is not taken up again."""
        self.info = info
        self.report = pb.DriveResponse()
        """What the server last said about its drawing."""
        self._client = client
        self._stream: ClientStream[pb.DriveRequest, pb.DriveResponse] | None = None
        self._mailbox: Latest[pb.DriveRequest] = Latest()
        self._start, self._newest = request, pb.DriveRequest()
        self._recovery: Recovery | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> ClientSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with nullcontext() if error is None else suppress(Exception):
            self.close()  # what went wrong in the block is what is raised

    def drive(
        self,
        weights: Mapping[str, float] | None = None,
        pts_ns: int | None = None,
        head: pb.HeadPose | None = None,
        flame: pb.FlameCodes | None = None,
        camera: pb.Camera | None = None,
        morph: float | None = None,
        source: str = "",
        mouth_hidden: float = 0.0,
    ) -> None:
        """Show this next: ARKit weights or FLAME codes, how the head is held, from where.

        `morph` is the share of the avatar that the session morphs to; None leaves it as it is.
        `source` says which of the session's sources this is; a session has one such stream of a
        client, with the source that the first signal names.

        Returns at once; a signal that is not sent yet is replaced by the next. `pts_ns` (default:
        the monotonic clock) comes back with the frame. Raises what the server said about an
        earlier signal: DriveError, SessionNotFoundError, ...; the next call starts afresh. A server
        that is lost is looked for, and raised after half a minute.
        """
        request = self._request(weights, pts_ns, head, flame, camera, morph)
        request.source, request.mouth_hidden = source, mouth_hidden
        self._newest = request
        self._raise_refusal()
        if self.problem:
            return
        if self._stream is None:
            self._mailbox = Latest()
            call = self._client.drive_stream
            self._stream = ClientStream(call, self._keep_report, self._mailbox)
        self._mailbox.put(request)

    def _raise_refusal(self) -> None:
        """Let go of a stream that is over; raise the error that it ended with, once."""
        if self._stream is not None and self._stream.over.is_set():
            error, self._stream = self._stream.error, None
            if error is not None and not self._recover(error):
                raise error
        self._finish_recovery()

    @property
    def problem(self) -> str:
        """What keeps the session from being driven; empty: nothing."""
        recovery = self._recovery
        return "" if recovery is None or recovery.over.is_set() else "the server is lost"

    def _recover(self, error: Exception) -> bool:
        """Look for what is lost; whether an error says that, and something can be done."""
        with self._lock:
            if self._start is None or not is_lost(error):
                return False
            if self._recovery is None or self._recovery.over.is_set():
                self._recovery = Recovery(self._resume, error)
            return True

    def _finish_recovery(self) -> None:
        """Raises why it was given up."""
        if self._recovery is not None and self._recovery.over.is_set():
            recovery, self._recovery = self._recovery, None
            if recovery.error is not None:
                raise recovery.error

    def _resume(self) -> pb.Session:
        """Take the session up again, with what it showed last."""
        assert self._start is not None
        request = pb.StartSessionRequest()
        request.CopyFrom(self._start)
        request.resume.session_id = self.info.session_id
        request.resume.owner_token = self.info.owner_token
        self.info = self._client.call("StartSession", request, RESUME_S)
        if self._newest.session_id and not self._newest.source:
            self._client.call("DriveOnce", self._newest, RESUME_S)
        return self.info

    def _find(self) -> pb.Session:
        """Where the session is, for a reader that hears nothing. Raises what `_resume` does."""
        return self.info if self._start is None else self._resume()

    def _keep_report(self, report: pb.DriveResponse) -> None:
        self.report = report

    def drive_once(
        self,
        weights: Mapping[str, float] | None = None,
        pts_ns: int | None = None,
        head: pb.HeadPose | None = None,
        flame: pb.FlameCodes | None = None,
        camera: pb.Camera | None = None,
        morph: float | None = None,
        source: str = "",
        mouth_hidden: float = 0.0,
    ) -> pb.DriveResponse:
        """As `drive`, in a call of its own that raises its own errors."""
        request = self._request(weights, pts_ns, head, flame, camera, morph)
        request.source, request.mouth_hidden = source, mouth_hidden
        self._newest = request
        try:
            return self._client.call("DriveOnce", request)
        except SessionNotFoundError as error:
            if self._start is None or not str(error).startswith("no session"):
                raise
        self._resume()  # the server has started anew meanwhile
        return self._client.call("DriveOnce", request)

    def _request(
        self,
        weights: Mapping[str, float] | None,
        pts_ns: int | None,
        head: pb.HeadPose | None,
        flame: pb.FlameCodes | None,
        camera: pb.Camera | None,
        morph: float | None,
    ) -> pb.DriveRequest:
        return pb.DriveRequest(
            session_id=self.info.session_id,
            owner_token=self.info.owner_token,
            pts_ns=time.monotonic_ns() if pts_ns is None else pts_ns,
            head=head,
            arkit=None if weights is None else pb.ArkitWeights(weights=weights),
            flame=flame,
            camera=camera,
            morph=None if morph is None else pb.Morph(share=morph),
        )

    def drive_audio(
        self,
        rate: int,
        channels: int = 1,
        style: pb.VoiceStyle | None = None,
        live: bool = False,
        pts_ns: int = 0,
    ) -> ClientSpeech:
        """Let the face say what is written into it: s16le PCM, `rate` samples a second.

        The session needs "audio" among its sources. See AudioHeader for the rest.
        """
        header = pb.AudioHeader(
            session_id=self.info.session_id,
            owner_token=self.info.owner_token,
            sample_rate=rate,
            channels=channels,
            style=style,
            pts_ns=pts_ns,
            live=live,
        )
        return ClientSpeech(self._client.audio_stream, header, self.interrupt_audio)

    def interrupt_audio(self) -> pb.DriveAudioResponse:
        """Drop what is queued of a sound, and close the mouth."""
        request = pb.InterruptAudioRequest(
            session_id=self.info.session_id, owner_token=self.info.owner_token
        )
        return self._client.call("InterruptAudio", request)

    def reader(self, kinds: Sequence[pb.StreamKind] = (), latest: bool = False) -> FrameReader:
        """A subscription to the session's frames. For one thread, which closes it."""
        return FrameReader(self.info, kinds, latest, self._find)

    def frames(
        self, timeout: float = 5.0, kinds: Sequence[pb.StreamKind] = ()
    ) -> Iterator[Received]:
        """Frames until none comes for `timeout` seconds or the session ends."""
        with closing(self.reader(kinds)) as reader, suppress(SessionNotFoundError):
            while (received := reader.receive(timeout)) is not None:
                yield received

    def close(self) -> None:
        """Send what is left, end the session. Raises what no `drive` has raised yet."""
        if self._recovery is not None:
            self._recovery.give_up()
        self._start = None  # it is over, whatever a reader that is left may miss
        if self._stream is not None:
            self._stream.finish(CALL_S)
        request = pb.EndSessionRequest(
            session_id=self.info.session_id, owner_token=self.info.owner_token
        )
        with suppress(SessionNotFoundError):
            self._client.call("EndSession", request)
        self._raise_refusal()


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
