"""The client's end of a camera: a thread that drives a session by the faces in its pictures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from flexavatar.drive.signal import Signal
from flexavatar.drive.video import VideoDriver
from flexavatar.formats.frame_sources import TimedFrame
from plugin_server.client.client import ClientSession
from plugin_server.pb import flexavatar_pb2 as pb


class VideoFollower:
    """A thread that tracks the face in every picture and drives a session by it."""

    def __init__(
        self,
        session: ClientSession,
        driver: VideoDriver,
        moments: Iterable[TimedFrame],
        on_face: Callable[[Signal], object] = lambda face: None,
    ) -> None:
        """`on_face` is called with every face that is sent, on this thread."""
        self._session, self._driver, self._moments = session, driver, moments
        self._on_face = on_face
        self._stopping = threading.Event()
        self.over = threading.Event()
        """Set once the thread has ended."""
        self.error: Exception | None = None
        """What the thread has ended with, if not well."""
        self.pictures = self.faces = 0
        """Pictures that were tracked, and those with a face."""
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for moment in self._moments:
                if self._stopping.is_set():
                    return
                self._drive(moment)
        except Exception as error:  # a bug too: whoever waits must be told
            self.error = error
        finally:
            self.over.set()

    def _drive(self, moment: TimedFrame) -> None:
        face = self._driver.push(moment.rgb, moment.pts_ns)
        self.pictures += 1
        if face is None:
            return  # the session eases to an idle face
        self.faces += 1
        self._on_face(face)
        self._session.drive(
            face.named(),
            moment.pts_ns,
            pb.HeadPose(neck_pose=face.neck_pose),
            source=face.source,
            mouth_hidden=face.mouth_hidden,
        )

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()


@contextmanager
def follow_video(
    session: ClientSession,
    driver: VideoDriver,
    moments: Iterable[TimedFrame],
    on_face: Callable[[Signal], object] = lambda face: None,
) -> Iterator[VideoFollower]:
    """Drive a session as long as the context lasts. Raises what went wrong."""
    follower = VideoFollower(session, driver, moments, on_face)
    try:
        yield follower
    finally:
        follower.stop()
    if follower.error is not None:
        raise follower.error
