"""Subscribes to the frames of one session, in the order in which they were sent.

Who cannot keep up misses frames but gets no newer ones: what waits here and at the server is read
first, and what comes while those queues are full is dropped. `latest` takes the newest instead.

A reader that hears nothing for `SILENT_S` says so in `problem` and in the log, and looks for its
session again: a session that is drawn at all repeats itself twice a second.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import zmq

from flexavatar.errors import FlexAvatarError, SessionNotFoundError
from flexavatar.types import Gaussians
from plugin_server import wire
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.splats import SplatDecoder
from plugin_server.wire import Header, Kind, WireError

logger = logging.getLogger(__name__)

SILENT_S = 3.0
RENEW_S = 1.0
RECONNECT_MS = 500
NEWEST_OF = 64
"""Messages that are passed over for the newest, at most."""
Renew = Callable[[], pb.Session]
"""Asks for the session again. Raises FlexAvatarError."""
RECEIVE_QUEUE = 2
"""Frames, each of as many messages as there are kinds."""
KIND_TOPICS = {
    pb.STREAM_KIND_RGBA8: (Kind.RGBA8,),
    pb.STREAM_KIND_JPEG: (Kind.JPEG,),
    pb.STREAM_KIND_DEPTH: (Kind.DEPTH,),
    pb.STREAM_KIND_SPLATS: (Kind.SPLATS_KEY, Kind.SPLATS_DELTA),
}


@dataclass(frozen=True)
class Received:
    """One decoded message; the field of its kind is set, the others are None."""

    header: Header
    rgba: np.ndarray | None = None  # [H, W, 4] uint8, premultiplied
    rgb: np.ndarray | None = None  # [H, W, 3] uint8, over black; of a JPEG
    depth: np.ndarray | None = None  # [H, W] float32 metres, 0 where empty
    gaussians: Gaussians | None = None


def decode_jpeg(header: Header, message: wire.Buffer) -> np.ndarray:
    """JPEG -> [H, W, 3] uint8 RGB, over black. Raises WireError."""
    data = np.frombuffer(wire.payload(message), np.uint8)
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise WireError(f"JPEG: cannot be decoded: {error}") from error
    if bgr is None or bgr.shape[:2] != (header.height, header.width):
        got = "nothing" if bgr is None else f"{bgr.shape[1]}x{bgr.shape[0]}"
        raise WireError(f"JPEG: expected {header.width}x{header.height}, got {got}")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


class Decoder:
    """Messages of one session -> pictures, depth, Gaussians."""

    def __init__(self) -> None:
        self._splats = SplatDecoder()

    def decode(self, message: wire.Buffer) -> Received | None:
        """One message, or None for splats whose keyframe is missing.

        Pictures are views of the message. Raises WireError, and SessionNotFoundError for END.
        """
        header = wire.read_header(message)
        match header.kind:
            case Kind.RGBA8:
                return Received(header, rgba=wire.rgba8(header, message))
            case Kind.JPEG:
                return Received(header, rgb=decode_jpeg(header, message))
            case Kind.DEPTH:
                return Received(header, depth=wire.depth(header, message))
            case Kind.SPLATS_KEY | Kind.SPLATS_DELTA:
                gaussians = self._splats.feed(header, message)
                return None if gaussians is None else Received(header, gaussians=gaussians)
            case Kind.END:
                reason = wire.end_reason(message)
                raise SessionNotFoundError(f"session {header.session} has ended: {reason}")


class FrameReader:
    """Reads one session's messages. For one thread."""

    def __init__(
        self,
        session: pb.Session,
        kinds: Sequence[pb.StreamKind] = (),
        latest: bool = False,
        renew: Renew | None = None,
    ) -> None:
        """Subscribe to all kinds of the session, or to these.

        With `latest` only the newest message is taken: for one kind of picture, not for splats.
        `renew` is asked, on a thread of its own, where the session is now, when nothing comes.
        Raises WireError for a server of another version.
        """
        _check_version(session)
        self.problem = ""
        """What keeps frames from coming; empty: they come."""
        self._kinds, self._latest, self._renew = kinds, latest, renew
        self._context: zmq.Context[Any] = zmq.Context()
        self._renewed: pb.Session | None = None
        self._renewing: threading.Thread | None = None
        self._connect(session)
        self._heard_s = self._opened_s

    def _connect(self, session: pb.Session) -> None:
        # no heartbeats of ZeroMQ: they end the process of a slow reader (libzmq, issue 3937)
        kinds = self._kinds
        self._session, self._opened_s = session, time.monotonic()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, RECEIVE_QUEUE * len(kinds or session.kinds))
        self._socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.IPV6, int("[" in session.frame_address))
        use_curve(self._socket, session)
        self._decoder = Decoder()
        for name in _topics(session, kinds):
            self._socket.setsockopt(zmq.SUBSCRIBE, name)
        self._socket.connect(session.frame_address)

    def receive(self, timeout: float) -> Received | None:
        """The next message that can be shown, None if none comes within `timeout` seconds.

        Raises WireError, and SessionNotFoundError once the session has ended.
        """
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) >= 0:
            wait_s = min(left, RENEW_S)
            if not self._socket.poll(max(1, int(1000 * wait_s))):
                self._look_after_link()
                if wait_s == left:
                    return None
                continue
            message = self._take()
            if (received := self._decoder.decode(message.buffer)) is not None:
                return received
        return None

    def _take(self) -> zmq.Frame:
        """The next message, or the newest of those that wait."""
        message = self._socket.recv(copy=False)
        if self._latest:
            with suppress(zmq.Again):
                for _ in range(NEWEST_OF):
                    message = self._socket.recv(zmq.DONTWAIT, copy=False)
        if self.problem:
            logger.info("session %s: frames come again", self._session.session_id)
        self._heard_s, self.problem = time.monotonic(), ""
        return message

    def _look_after_link(self) -> None:
        """After a silence say so, and go where the session is now."""
        if time.monotonic() - self._heard_s < SILENT_S:
            return
        if not self.problem:
            self.problem = f"nothing came for {SILENT_S:g} s: the server or the link is lost"
            logger.warning("session %s: %s", self._session.session_id, self.problem)
        place = self._renewed or self._session
        dead = time.monotonic() - self._opened_s >= SILENT_S  # a link may die without a word
        if dead or _place(place) != _place(self._session):
            self._socket.close()
            self._connect(place)
        self._renewed = None
        if self._renew is not None and (self._renewing is None or not self._renewing.is_alive()):
            self._renewing = threading.Thread(target=self._ask, args=(self._renew,), daemon=True)
            self._renewing.start()

    def _ask(self, renew: Renew) -> None:
        """On its own thread, since a dead link takes its time."""
        with suppress(FlexAvatarError):
            self._renewed = renew()

    def close(self) -> None:
        """Close the subscription."""
        self._socket.close()
        self._context.term()


def _check_version(session: pb.Session) -> None:
    """Raise WireError for a server whose messages this reader cannot know: topics begin with it."""
    expected = wire.topic(session.session_id)[0]
    if session.topic != expected:
        got = session.topic[: len(expected) - len(session.session_id)]
        raise WireError(f"frames: expected version {wire.VERSION} of the wire, got {got!r}")


def _place(session: pb.Session) -> tuple[str, str, str]:
    """What a reader must connect to anew if it changes."""
    return session.session_id, session.frame_address, session.curve.server_public_key


def use_curve(socket: zmq.Socket[Any], session: pb.Session) -> None:
    """Encrypt a socket that is not connected yet, if the session's are."""
    if session.HasField("curve"):
        socket.curve_serverkey = session.curve.server_public_key.encode()
        socket.curve_publickey = session.curve.client_public_key.encode()
        socket.curve_secretkey = session.curve.client_secret_key.encode()


def _topics(session: pb.Session, kinds: Sequence[pb.StreamKind]) -> list[bytes]:
    if not kinds:
        return [session.topic]
    wanted = [name for kind in kinds for name in KIND_TOPICS[kind]]
    return wire.topic(session.session_id, Kind.END, *wanted)
