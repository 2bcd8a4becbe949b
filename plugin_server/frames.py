"""One instant of one session -> messages, drawn straight into the buffers that are sent."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np

from flexavatar.render.rasterize import STRIP_PIXELS
from flexavatar.types import Camera, Gaussians
from plugin_server import wire
from plugin_server.engine import Engine
from plugin_server.publisher import Publisher
from plugin_server.splats import SplatEncoder
from plugin_server.wire import HEADER_BYTES, Flags, Header, Kind

PICTURES = frozenset((Kind.RGBA8, Kind.JPEG))

Work: TypeAlias = "Iterator[Future[Any] | None]"
"""Something that is done some milliseconds at a time; a future is what it waits for elsewhere."""


@dataclass(frozen=True)
class StreamPlan:
    """Kinds, size and rate of a session's frames."""

    kinds: frozenset[Kind]  # SPLATS_KEY stands for both kinds of splats
    width: int
    height: int
    max_fps: float
    jpeg_quality: int
    keyframe_interval_s: float
    idle_timeout_s: float = math.inf
    """It ends when it was not driven for so long."""

    @property
    def pixels(self) -> int:
        """Of a picture."""
        return self.width * self.height

    @property
    def takes_turns(self) -> bool:
        """Whether others may be drawn while one of its frames is."""
        return len(self.kinds) > 1 or self.pixels > STRIP_PIXELS


@dataclass(frozen=True)
class Before:
    """What a picture fades from, and how much of it is still seen."""

    gaussians: Gaussians
    camera: Camera
    share: float  # 0..1


@dataclass(frozen=True)
class Instant:
    """Gaussians and camera of one frame."""

    gaussians: Gaussians
    camera: Camera
    seq: int
    pts_ns: int
    repeated: bool
    keyframe: bool
    before: Before | None = None


class FrameWriter:
    """Draws one session's frames and hands them to the publisher. For one thread."""

    def __init__(
        self, session: str, plan: StreamPlan, engine: Engine, publisher: Publisher, count: int
    ) -> None:
        self._session = session
        self._plan = plan
        self._engine = engine
        self._publisher = publisher
        self._splats = SplatEncoder(count)
        self._topics = {kind: wire.topic(session, kind)[0] for kind in Kind}
        self._bgr: np.ndarray | None = None  # [H, W, 3], for JPEG

    def start_anew(self, count: int) -> None:
        """Go on with another avatar of `count` Gaussians; the next splats are a keyframe."""
        self._splats = SplatEncoder(count)

    def subscribed_kinds(self) -> set[Kind]:
        """The kinds of the plan that somebody has subscribed to."""
        topics = {kind: self._topics[kind] for kind in self._plan.kinds}
        return {kind for kind, name in topics.items() if self._publisher.has_subscriber(name)}

    def send(self, instant: Instant, kinds: AbstractSet[Kind]) -> Work:
        """Draw and publish these kinds of one instant."""
        if kinds & PICTURES:
            yield from self._send_pictures(instant, kinds)
        if Kind.DEPTH in kinds:
            yield from self._send_depth(instant)
        if Kind.SPLATS_KEY in kinds:
            self._send_splats(instant)
            yield None

    def send_end(self, reason: str) -> None:
        """Tell every reader that nothing more comes."""
        header = Header(self._session, Kind.END, seq=0, pts_ns=0, server_ns=time.time_ns())
        self._publisher.send_copy(wire.pack(header, reason.encode()[:4096]))

    def _header(self, instant: Instant, kind: Kind, payload_bytes: int) -> Header:
        return Header(
            session=self._session,
            kind=kind,
            seq=instant.seq,
            pts_ns=instant.pts_ns,
            server_ns=time.time_ns(),
            flags=Flags.REPEATED if instant.repeated else Flags(0),
            width=self._plan.width,
            height=self._plan.height,
            payload_bytes=payload_bytes,
        )

    def _send_pictures(self, instant: Instant, kinds: AbstractSet[Kind]) -> Work:
        """One drawing for both kinds, in the buffer of RGBA8 if that is sent."""
        plan, size = self._plan, 4 * self._plan.width * self._plan.height
        with self._publisher.pool.take(HEADER_BYTES + size) as buffer:
            picture = buffer.bytes[HEADER_BYTES : HEADER_BYTES + size]
            picture = picture.reshape(plan.height, plan.width, 4)
            yield from self._engine.rgba8_strips(instant.gaussians, instant.camera, picture)
            if instant.before is not None:
                yield from self._fade(instant.before, picture)
            if Kind.RGBA8 in kinds:
                wire.write_header(self._header(instant, Kind.RGBA8, size), buffer.bytes.data)
                self._publisher.send(buffer, HEADER_BYTES + size)
            if Kind.JPEG in kinds:
                yield from self._send_jpeg(instant, picture)

    def _fade(self, before: Before, picture: np.ndarray) -> Work:
        """Lay what was shown before over a picture [H, W, 4]: premultiplied colours blend as is."""
        old = np.empty_like(picture)
        yield from self._engine.rgba8_strips(before.gaussians, before.camera, old)
        cv2.addWeighted(old, before.share, picture, 1 - before.share, 0, dst=picture)

    def _send_jpeg(self, instant: Instant, picture: np.ndarray) -> Work:
        """Premultiplied colours without their alpha are the picture over black."""
        encoding = self._publisher.encoder.submit(self._encode, picture)
        yield encoding
        encoded = encoding.result()
        size = HEADER_BYTES + encoded.size
        with self._publisher.pool.take(size) as buffer:
            wire.write_header(self._header(instant, Kind.JPEG, encoded.size), buffer.bytes.data)
            buffer.bytes[HEADER_BYTES:size] = encoded
            self._publisher.send(buffer, size)

    def _encode(self, picture: np.ndarray) -> np.ndarray:
        """[H, W, 4] -> a JPEG file's bytes."""
        self._bgr = cv2.cvtColor(picture, cv2.COLOR_RGBA2BGR, dst=self._bgr)
        options = (cv2.IMWRITE_JPEG_QUALITY, self._plan.jpeg_quality)
        done, encoded = cv2.imencode(".jpg", self._bgr, options)
        assert done, "OpenCV encodes every picture of 8 bits"
        return encoded

    def _send_depth(self, instant: Instant) -> Work:
        size = 4 * self._plan.width * self._plan.height
        with self._publisher.pool.take(HEADER_BYTES + size) as buffer:
            depth = buffer.bytes[HEADER_BYTES : HEADER_BYTES + size].view(np.float32)
            depth = depth.reshape(self._plan.height, self._plan.width)
            yield from self._engine.depth_strips(instant.gaussians, instant.camera, depth)
            wire.write_header(self._header(instant, Kind.DEPTH, size), buffer.bytes.data)
            self._publisher.send(buffer, HEADER_BYTES + size)

    def _send_splats(self, instant: Instant) -> None:
        update = self._splats.update(instant.gaussians, instant.seq, instant.keyframe)
        header = Header(
            session=self._session,
            kind=update.kind,
            seq=instant.seq,
            pts_ns=instant.pts_ns,
            server_ns=time.time_ns(),
            flags=Flags.REPEATED if instant.repeated else Flags(0),
            count=update.count,
            base_seq=update.base_seq,
            payload_bytes=update.payload_bytes,
            scales=update.scales,
            bounds=update.bounds,
        )
        with self._publisher.pool.take(HEADER_BYTES + update.buffer_bytes) as buffer:
            update.write(buffer.bytes[HEADER_BYTES:])
            wire.write_header(header, buffer.bytes.data)
            self._publisher.send(buffer, HEADER_BYTES + update.payload_bytes)
