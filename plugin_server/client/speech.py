"""The client's end of one DriveAudio call: sound out, reports of its progress in."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType

from flexavatar.errors import BusyError
from plugin_server.client.stream import POLL_S, ClientStream
from plugin_server.pb import flexavatar_pb2 as pb

Request = pb.DriveAudioRequest
SAMPLE_BYTES = 2
PIECE_BYTES = 1 << 15
QUEUED_PIECES = 32
"""Beyond it `write` waits for the server."""
FINISH_S = 3600.0


class SendQueue:
    """A bounded queue of requests: first in, first out."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Request] = queue.Queue(QUEUED_PIECES)

    def put(self, value: Request, timeout: float) -> bool:
        """Append a request; False if there is no room in time."""
        try:
            self._queue.put(value, timeout=timeout)
        except queue.Full:
            return False
        return True

    def take(self, timeout: float = 0.0) -> Request | None:
        """The oldest request, or None if none comes in time."""
        try:
            return self._queue.get(timeout=timeout) if timeout else self._queue.get_nowait()
        except queue.Empty:
            return None

    def drop_sound(self) -> None:
        """Remove what is to be heard; a header or a style that waits still counts."""
        waiting = [*iter(self.take, None)]
        for request in waiting:
            if request.WhichOneof("part") != "chunk":
                self._queue.put_nowait(request)


class ClientSpeech:
    """A sound for a session: write it as it comes, then finish it. Raises the server's errors.

    As a context it is finished at the end; if the block fails, it is interrupted.
    """

    def __init__(
        self,
        call: Callable[[Iterator[Request]], Iterable[pb.DriveAudioResponse]],
        header: pb.AudioHeader,
        interrupt: Callable[[], pb.DriveAudioResponse],
    ) -> None:
        self.report = pb.DriveAudioResponse()
        """The server's last report."""
        self._interrupt = interrupt
        self._queue = SendQueue()
        self._sample_bytes = SAMPLE_BYTES * (header.channels or 1)
        self._part = b""  # of a sample
        self._send(pb.DriveAudioRequest(header=header), 0)
        self._stream = ClientStream(call, self._keep, self._queue)

    def _keep(self, report: pb.DriveAudioResponse) -> None:
        self.report = report

    def _send(self, request: Request, timeout: float = POLL_S) -> bool:
        return self._queue.put(request, timeout)

    def _send_surely(self, request: Request) -> None:
        while not self._send(request):
            self._raise_refusal()
        self._raise_refusal()

    def _raise_refusal(self) -> None:
        if self._stream.over.is_set():
            raise self._stream.error or BusyError("audio: the server takes no more of it")

    def write(self, pcm: bytes) -> None:
        """Append samples, s16le. Waits while the server's queue is full.

        A sample may end in the next call; what is left of one at the end is dropped.
        """
        sound = self._part + pcm
        whole = len(sound) - len(sound) % self._sample_bytes
        self._part = sound[whole:]
        for start in range(0, whole, PIECE_BYTES):
            piece = sound[start : min(start + PIECE_BYTES, whole)]
            self._send_surely(pb.DriveAudioRequest(chunk=piece))

    def restyle(self, style: pb.VoiceStyle) -> None:
        """Change the style of what is written next."""
        self._send_surely(pb.DriveAudioRequest(style=style))

    def interrupt(self) -> pb.DriveAudioResponse:
        """Drop what was written and is not shown; what is written next goes on."""
        self._queue.drop_sound()
        self._part = b""
        report = self._interrupt()
        self._send_surely(pb.DriveAudioRequest(resume=pb.AudioResume()))
        return report

    def finish(self, timeout: float = FINISH_S) -> pb.DriveAudioResponse:
        """Wait until all has been shown; the last report."""
        self._stream.finish(timeout)
        if self._stream.error is not None:
            raise self._stream.error
        return self.report

    def __enter__(self) -> ClientSpeech:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish()
        else:
            self._stream.cancel()
