"""The client's end of a microphone: a thread that lets a session say what is heard."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from plugin_server.client.client import ClientSession
from plugin_server.pb import flexavatar_pb2 as pb

STOP_S = 5.0


class VoiceFollower:
    """A thread that writes live sound into a session that has `audio` among its sources."""

    def __init__(
        self, session: ClientSession, pieces: Iterable[bytes], rate: int, style: pb.VoiceStyle
    ) -> None:
        """`pieces` are s16le of one channel."""
        self._session, self._pieces, self._rate, self._style = session, pieces, rate, style
        self._stopping = threading.Event()
        self.over = threading.Event()
        """Set once the thread has ended."""
        self.error: Exception | None = None
        """What the thread has ended with, if not well."""
        self.report = pb.DriveAudioResponse()
        """The server's last report."""
        self._thread = threading.Thread(target=self._run, name="voice", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with self._session.drive_audio(self._rate, style=self._style, live=True) as voice:
                for piece in self._pieces:
                    if self._stopping.is_set():
                        break
                    voice.write(piece)
                    self.report = voice.report
            self.report = voice.report
        except Exception as error:  # a bug too: whoever waits must be told
            self.error = error
        finally:
            self.over.set()

    def stop(self, timeout: float) -> None:
        """End the thread; a device that sends nothing any more keeps it."""
        self._stopping.set()
        self._thread.join(timeout)


@contextmanager
def follow_voice(
    session: ClientSession, pieces: Iterable[bytes], rate: int, style: pb.VoiceStyle
) -> Iterator[VoiceFollower]:
    """Let a session speak as long as the context lasts. Raises what went wrong."""
    follower = VoiceFollower(session, pieces, rate, style)
    try:
        yield follower
    finally:
        follower.stop(STOP_S)
    if follower.error is not None:
        raise follower.error
