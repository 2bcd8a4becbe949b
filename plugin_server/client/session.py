"""A session in its owner's hands: driven, read, spoken to, and taken up again if it is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from types import TracebackType
from typing import Any, Protocol

from flexavatar.errors import SessionNotFoundError
from plugin_server.client.frame_reader import FrameReader, Received
from plugin_server.client.recovery import Recovery, is_lost
from plugin_server.client.speech import ClientSpeech
from plugin_server.client.stream import ClientStream
from plugin_server.latest import Latest
from plugin_server.pb import flexavatar_pb2 as pb

CALL_S = 30.0
RESUME_S = 2.0


class Calls(Protocol):
    """What a session needs of its client."""

    def at(self, address: str) -> Calls:
        """The same of another server, by host:port; "" is this one."""
        ...

    def call(self, name: str, request: Any, timeout: float = CALL_S) -> Any:
        """One unary call by its name."""
        ...

    def drive_stream(self, signals: Iterator[pb.DriveRequest]) -> Any:
        """The Drive call as gRPC gives it."""
        ...

    def audio_stream(self, parts: Iterator[pb.DriveAudioRequest]) -> Any:
        """The DriveAudio call as gRPC gives it."""
        ...


class ClientSession:
    """One session that this client owns: drive it, read its frames, close it.

    If the server or the link is lost, the session is looked for on a thread and taken up again as
    soon as it can be, also on a server that has started anew: `problem` and the log say so.
    """

    def __init__(
        self,
        client: Calls,
        info: pb.Session,
        request: pb.StartSessionRequest | None = None,
    ) -> None:
        """`request` is what it was started with; without it it is not taken up again."""
        self.info = info
        self.report = pb.DriveResponse()
        """What the server last said about its drawing."""
        self._client = client
        """Where it was started, which may be a router."""
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
            call = self._server.drive_stream
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
    def _server(self) -> Calls:
        """Where it is drawn."""
        return self._client.at(self.info.address)

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
            self._server.call("DriveOnce", self._newest, RESUME_S)
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
            return self._server.call("DriveOnce", request)
        except SessionNotFoundError as error:
            if self._start is None or not str(error).startswith("no session"):
                raise
        self._resume()  # the server has started anew meanwhile
        return self._server.call("DriveOnce", request)

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
        return ClientSpeech(self._server.audio_stream, header, self.interrupt_audio)

    def interrupt_audio(self) -> pb.DriveAudioResponse:
        """Drop what is queued of a sound, and close the mouth."""
        request = pb.InterruptAudioRequest(
            session_id=self.info.session_id, owner_token=self.info.owner_token
        )
        return self._server.call("InterruptAudio", request)

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
            self._server.call("EndSession", request)
        self._raise_refusal()
