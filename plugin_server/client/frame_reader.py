"""Subscribes to the frames of one session, in the order in which they were sent.

Who cannot keep up misses frames but gets no newer ones: what waits here and at the server is read
first, and what comes while those queues are full is dropped. `latest` keeps the newest instead.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import zmq

from flexavatar.errors import SessionNotFoundError
from flexavatar.types import Gaussians
from plugin_server import wire
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.splats import SplatDecoder
from plugin_server.wire import Header, Kind, WireError

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
        self, session: pb.Session, kinds: Sequence[pb.StreamKind] = (), latest: bool = False
    ) -> None:
        """Subscribe to all kinds of the session, or to these.

        With `latest` only the newest message is kept: for one kind of picture, not for splats.
        """
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, RECEIVE_QUEUE * len(kinds or session.kinds))
        self._socket.setsockopt(zmq.CONFLATE, int(latest))
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
            if not self._socket.poll(max(1, int(1000 * left))):
                return None
            message = self._socket.recv(copy=False)
            if (received := self._decoder.decode(message.buffer)) is not None:
                return received
        return None

    def close(self) -> None:
        """Close the subscription."""
        self._socket.close()
        self._context.term()


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
