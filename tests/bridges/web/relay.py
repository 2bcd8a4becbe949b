"""Brings a session's Gaussians into a browser: a page that draws them with Spark, and its server.

`python -m tests.bridges.web.relay ADDRESS AVATAR OUT.png` shows an avatar of a running server in
headless Chromium, driven for a moment, and writes Spark's picture beside the server's own.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import cv2
import numpy as np
import zmq

from plugin_server import wire
from plugin_server.client.client import FlexAvatarClient
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.wire import Kind
from tests.bridges.npm import WEB_TOOLS, fetch_web
from tests.bridges.pictures import LAST_PTS_NS, Screenshot, drive_smile, last_picture

HERE = Path(__file__).parent
TYPES = {".html": "text/html", ".js": "text/javascript"}
PATIENCE_S = 90.0
MOMENT_S = 0.5
CHROMIUM = (
    "--headless=new --no-sandbox --disable-gpu --use-angle=swiftshader --enable-unsafe-swiftshader"
    " --disable-quic --no-first-run --disable-background-networking --disable-component-update"
    " --disable-sync --mute-audio --window-size=640,640"
).split()


@dataclass
class Stream:
    """The newest messages of a session, and what the page said."""

    session: pb.Session
    key: bytes = b""
    newest: bytes = b""
    last: bool = False  # what is driven has come to rest
    picture: bytes = b""
    drawn: int = 0
    asked: int = 0  # how often the page came for messages
    problem: str = ""
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, message: bytes) -> None:
        """A message of splats."""
        header = wire.read_header(message)
        with self.changed:
            if self.last:
                return  # a session at rest repeats itself
            if header.kind is Kind.SPLATS_KEY:
                self.key = message
            self.newest = message
            self.last = header.pts_ns >= LAST_PTS_NS
            self.changed.notify_all()

    def wait(self) -> None:
        """Until the page asks again: at first for as long as a browser takes, then a moment."""
        with self.changed:
            before = self.asked
            patience = MOMENT_S if before else PATIENCE_S
            self.changed.wait_for(lambda: self.asked > before or self.problem, patience)

    def messages_since(self, key_seq: int, seq: int) -> bytes:
        """What a page that has these needs, each with its length before it."""
        with self.changed:
            self.asked += 1
            self.changed.notify_all()
            messages = [self.key] if self.key and _seq(self.key) != key_seq else []
            if self.newest not in (b"", self.key) and _seq(self.newest) != seq:
                messages.append(self.newest)
        return b"".join(struct.pack("<I", len(m)) + m for m in messages)

    def finish(self, picture: bytes = b"", drawn: int = 0, problem: str = "") -> None:
        """The page has done its work, or cannot."""
        with self.changed:
            self.picture, self.drawn, self.problem = picture, drawn, problem
            self.changed.notify_all()

    def description(self) -> bytes:
        """What the page must know of the session."""
        s = self.session
        view, K = list(s.camera.viewmat), list(s.camera.K)
        numbers = {"width": s.width, "height": s.height, "gaussians": s.gaussians}
        return json.dumps({"viewmat": view, "K": K, **numbers}).encode()


def _seq(message: bytes) -> int:
    return wire.read_header(message).seq


class Handler(BaseHTTPRequestHandler):
    """Serves the page, its tools and the stream; hears the picture."""

    stream: Stream  # of the class that `serving` makes

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        url = urlparse(self.path)
        query = {k: int(v[0]) for k, v in parse_qs(url.query).items()}
        if url.path == "/session":
            self._answer(self.stream.description(), "application/json")
        elif url.path == "/messages":
            last = self.stream.last
            body = self.stream.messages_since(query["key"], query["seq"])
            self._answer(body, "application/octet-stream", last=str(int(last)))
        else:
            self._file(url.path)

    def do_POST(self) -> None:
        url = urlparse(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        query = {k: int(v[0]) for k, v in parse_qs(url.query).items()}
        if url.path == "/picture":
            self.stream.finish(body, query["drawn"])
        else:
            self.stream.finish(problem=body.decode())
        self._answer(b"", "text/plain")

    def _file(self, path: str) -> None:
        name = "index.html" if path == "/" else path.lstrip("/")
        root = WEB_TOOLS if name.startswith("tools/") else HERE
        file = (root / name.removeprefix("tools/")).resolve()
        if not file.is_relative_to(root.resolve()) or not file.is_file():
            self.send_error(404)
            return
        self._answer(file.read_bytes(), TYPES.get(file.suffix, "application/octet-stream"))

    def _answer(self, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(200)
        headers |= {"Content-Type": kind, "Content-Length": str(len(body))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(stream: Stream) -> Iterator[str]:
    """The page's server; gives its URL."""
    handler = type("StreamHandler", (Handler,), {"stream": stream})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def forwarding(stream: Stream) -> Iterator[None]:
    """Messages of splats from ZeroMQ to the stream."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.SUB)
    socket.setsockopt(zmq.RCVTIMEO, 100)
    for topic in wire.topic(stream.session.session_id, Kind.SPLATS_KEY, Kind.SPLATS_DELTA):
        socket.setsockopt(zmq.SUBSCRIBE, topic)
    socket.connect(stream.session.frame_address)
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            try:
                stream.take(socket.recv())
            except zmq.Again:
                pass

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        socket.close()
        context.term()


@contextmanager
def chromium(url: str) -> Iterator[None]:
    """A headless browser with software WebGL on a page."""
    program = shutil.which("chromium")
    assert program is not None, "needs Chromium"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [program, *CHROMIUM, f"--user-data-dir={profile}", url]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                yield
            finally:
                process.terminate()


def take_screenshot(client: FlexAvatarClient, avatar: str) -> Screenshot:
    """Drive an avatar, draw the stream with Spark in a browser; both pictures in the end."""
    kinds = (pb.STREAM_KIND_SPLATS, pb.STREAM_KIND_RGBA8)
    with client.start_session(avatar, kinds=kinds) as session:
        stream = Stream(session.info)
        with (
            closing(session.reader([pb.STREAM_KIND_RGBA8], latest=True)) as reader,
            forwarding(stream),
            serving(stream) as url,
            chromium(url),
        ):
            session.drive_once({}, pts_ns=0)
            drive_smile(session, stream.wait)
            with stream.changed:
                done = stream.changed.wait_for(lambda: stream.picture or stream.problem, PATIENCE_S)
            assert done, "the page drew nothing in time"
            assert not stream.problem, f"the page says: {stream.problem}"
            server = last_picture(reader)
    spark = cv2.imdecode(np.frombuffer(stream.picture, np.uint8), cv2.IMREAD_COLOR)
    assert spark is not None
    return Screenshot(cv2.cvtColor(spark, cv2.COLOR_BGR2RGB), server, stream.drawn)


def main(address: str, avatar: str, out: str) -> None:
    """Write both pictures side by side, and say how alike they are."""
    fetch_web()
    with FlexAvatarClient(address) as client:
        take_screenshot(client, avatar).write(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
