"""The studio in Chromium: from a photo to a recording, and who gets nothing of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flexavatar.cli.studio import studio_url
from flexavatar.drive.performance import read_performance
from flexavatar.errors import AvatarNotFoundError, DriveError, ImageError
from plugin_server.client.client import FlexAvatarClient
from plugin_server.errors import CreationCancelledError
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.server import ServerAddresses
from tests.browser import Page, browsing, need_chromium
from tests.conftest import ROOT
from tests.service import (
    PHOTO,
    TinyEngine,
    eventually,
    local_config,
    server_and_client,
    wait_for_pts,
)

FAKE_DEVICES = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
PORTRAIT = ROOT / "flexavatar/assets/portrait/astronaut.png"
LIVE_SOURCES = [pb.Source(name=name) for name in ("drive", "webcam", "audio")]
Served = tuple[FlexAvatarClient, ServerAddresses]


@pytest.fixture
def engine() -> TinyEngine:
    return TinyEngine()


@pytest.fixture
def served(tmp_path: Path, engine: TinyEngine) -> Iterator[Served]:
    with server_and_client(local_config(tmp_path), engine) as both:
        yield both


@contextmanager
def studio(served: Served, folder: Path, view: str = "avatars") -> Iterator[Page]:
    """In a window of a desk's size, with a camera and a microphone that only seem to be there."""
    url = f"{served[1].http_address}/studio#{view}"
    with browsing(folder / "profile", url, *FAKE_DEVICES) as page:
        page.resize(1280, 800)
        down = str(folder / "downloads")
        page.ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=down)
        yield page
        assert not page.errors


def test_from_a_photo_to_a_recording(served: Served, engine: TinyEngine, tmp_path: Path) -> None:
    """Also: a page that is loaded anew in the middle loses nothing."""
    need_chromium("the studio")
    engine.gate.clear()
    with studio(served, tmp_path) as page:
        page.wait_for("document.querySelector('.drop input')")
        page.choose_file(".drop input[type=file]", PORTRAIT)
        page.click(".drop form button.main")
        page.wait_for("document.querySelector('.avatar progress')")
        eventually(lambda: engine.creating == 1)
        page.ask("Page.reload")
        page.wait_for("document.querySelector('[data-name=astronaut] progress')?.value >= 0")
        engine.gate.set()
        page.wait_for("document.querySelector('.avatar a')")
        page.wait_for("!document.querySelector('.avatar progress')")  # the full one has followed
        page.wait_for("document.querySelector('.avatar a img')")
        page.click(".avatar a")
        page.wait_for("document.querySelector('.wait').hidden")
        record_table(page)
        table = tmp_path / "downloads" / "astronaut.csv"
        eventually(lambda: table.exists() and table.stat().st_size > 0)
        assert max(frame.weight("jawOpen") for frame in read_performance(table)) == 0.5
        page.click(".stage .bar button")
        page.wait_for("document.querySelector('.stage .bar button.recording')")
        page.evaluate("new Promise((done) => setTimeout(done, 500))")
        page.click(".stage .bar button")
        found = [*(tmp_path / "downloads").glob("astronaut.[mw]*")]
        eventually(lambda: bool(found or found.extend(videos(tmp_path))))


def test_a_download_comes_back(served: Served, tmp_path: Path) -> None:
    need_chromium("an avatar's download")
    client = served[0]
    client.create_avatar([PHOTO], name="ada")
    with studio(served, tmp_path) as page:
        page.wait_for("document.querySelector('.avatar a img')")
        page.click(".avatar .about button")
        file = tmp_path / "downloads" / "ada.flexavatar"
        eventually(file.exists)
        client.delete_avatar("ada")
        page.ask("Page.reload")
        page.wait_for("document.querySelector('.drop input') && !document.querySelector('.avatar')")
        page.choose_file(".drop input[type=file]", file)
        page.wait_for("document.querySelector('[data-name=ada]')")
        assert [avatar.gaussians for avatar in client.list_avatars()] == [600]


def videos(folder: Path) -> list[Path]:
    """What was recorded and is whole."""
    found = (folder / "downloads").glob("astronaut.*")
    return [path for path in found if path.suffix in (".mp4", ".webm") and path.stat().st_size]


def record_table(page: Page) -> None:
    """Some rows, with the jaw open."""
    drag = """(name, value) => {
        const slider = document.querySelector(`[data-shape=${name}]`);
        slider.value = value;
        slider.dispatchEvent(new Event("input"));
    }"""
    page.click(".stage .bar button:nth-child(2)")
    page.evaluate(f"({drag})('jawOpen', 0.5)")
    page.evaluate("new Promise((done) => setTimeout(done, 300))")
    page.click(".stage .bar button:nth-child(2)")


FOREIGN = """<!doctype html><script type="module">
const call = (type) => fetch("SERVER/flexavatar.v1.FlexAvatar/ListAvatars", {
  method: "POST", body: "{}", headers: { "content-type": type } });
const tries = {
  call: () => call("application/json"),
  plain: () => call("text/plain").then((answer) => answer.text()),
  unseen: () => fetch("SERVER/flexavatar.v1.FlexAvatar/DeleteAvatar", {
    method: "POST", mode: "no-cors", body: '{"name": "ada"}' }).then(() => { throw 0; }),
  page: () => fetch("SERVER/studio").then((answer) => answer.text()),
  module: () => import("SERVER/pages/calls.js").then(({ call }) => call("ListAvatars")),
  frames: () => new Promise((done, failed) => {
    const socket = new WebSocket("SERVER/frames/show".replace("http", "ws"));
    socket.onmessage = done;
    socket.onclose = failed;
  }),
};
const got = [];
for (const [name, attempt] of Object.entries(tries)) {
  await attempt().then(() => got.push(name), () => {});
}
window.got = got;
</script>"""


@contextmanager
def foreign_page(server: str) -> Iterator[str]:
    """Somebody else's page on this machine, which tries what it can."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(FOREIGN.replace("SERVER", server).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as foreign:
        thread = threading.Thread(target=foreign.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{foreign.server_port}/"
        finally:
            foreign.shutdown()
            thread.join()


def test_a_page_of_another_origin_gets_nothing(served: Served, tmp_path: Path) -> None:
    need_chromium("what a page of another origin gets")
    client, addresses = served
    client.create_avatar([PHOTO], name="ada")
    with (
        client.start_session("ada", name="show", width=32, height=32),
        foreign_page(addresses.http_address) as url,
        browsing(tmp_path / "profile", url) as page,
    ):
        page.wait_for("window.got")
        assert page.evaluate("window.got") == []
        assert [avatar.name for avatar in client.list_avatars()] == ["ada"]


def creations(client: FlexAvatarClient) -> dict[str, str]:
    """By name, why they failed."""
    answer = client.call("ListCreations", pb.ListCreationsRequest())
    return {creation.name: creation.error for creation in answer.creations}


def hang_up_while_making(client: FlexAvatarClient, engine: TinyEngine, photo: bytes) -> None:
    """Ask for an avatar that is to be kept, and be gone before it is made."""
    engine.gate.clear()
    header = pb.CreateAvatarHeader(name="ada", keep=True)
    chunk = pb.PhotoChunk(photo=0, data=photo)
    requests = [pb.CreateAvatarRequest(header=header), pb.CreateAvatarRequest(chunk=chunk)]
    answers = client._stub.CreateAvatar(iter(requests))
    next(answers)
    answers.cancel()


def test_a_creation_outlives_its_client(served: Served, engine: TinyEngine) -> None:
    client = served[0]
    hang_up_while_making(client, engine, PHOTO)
    eventually(lambda: engine.creating == 1)
    assert creations(client) == {"ada": ""}
    engine.gate.set()
    eventually(lambda: not creations(client))
    assert [avatar.name for avatar in client.list_avatars()] == ["ada"]


def test_a_creation_that_failed_is_told_later(served: Served, engine: TinyEngine) -> None:
    client, cancel = served[0], pb.CancelCreationRequest(name="ada")
    hang_up_while_making(client, engine, b"bad")
    eventually(lambda: creations(client) == {"ada": "photo 0: not a picture"})
    client.call("CancelCreation", cancel)
    assert creations(client) == {}
    with pytest.raises(AvatarNotFoundError, match="being made"):
        client.call("CancelCreation", cancel)


def test_a_kept_creation_can_be_ended(served: Served, engine: TinyEngine) -> None:
    client = served[0]
    hang_up_while_making(client, engine, PHOTO)
    eventually(lambda: engine.creating == 1)
    client.call("CancelCreation", pb.CancelCreationRequest(name="ada"))
    eventually(lambda: not creations(client))
    assert not client.list_avatars()


def test_who_still_waits_is_told_that_it_was_cancelled(served: Served, engine: TinyEngine) -> None:
    client = served[0]
    engine.gate.clear()

    def cancel(stage: str, share: float) -> None:
        if stage == "fitting":
            client.call("CancelCreation", pb.CancelCreationRequest(name="ada"))

    with pytest.raises(CreationCancelledError, match="ada"):
        client.create_avatar([PHOTO], name="ada", progress=cancel)


def jpeg(picture: np.ndarray) -> bytes:
    """Of RGB pixels [H, W, 3]."""
    out = BytesIO()
    Image.fromarray(picture).save(out, "JPEG")
    return out.getvalue()


def test_pictures_of_a_camera(served: Served) -> None:
    """The face in them drives the session; a picture without one does not."""
    client = served[0]
    client.create_avatar([PHOTO], name="ada")
    face = jpeg(np.asarray(Image.open(PORTRAIT).convert("RGB"))[:300, 80:380])
    with client.start_session("ada", width=32, height=32, sources=LIVE_SOURCES) as session:

        def drive(picture: bytes, pts_ns: int) -> pb.DrivePictureResponse:
            return client.call("DrivePicture", pb.DrivePictureRequest(
                session_id=session.info.session_id, owner_token=session.info.owner_token,
                picture=picture, pts_ns=pts_ns))  # fmt: skip

        with closing(session.reader()) as reader:
            seen = drive(face, 1_000)
            assert seen.face
            assert not seen.calibrated
            assert len(seen.weights) > 40
            wait_for_pts(reader, 1_000)
        assert drive(face, 2_000_000_000 + 1_000).calibrated
        assert not drive(jpeg(np.zeros((64, 64, 3), np.uint8)), 3_000_000_000).face
        with pytest.raises(ImageError, match="picture: expected one of JPEG"):
            drive(PHOTO, 4_000_000_000)
        with pytest.raises(ImageError, match="2048 pixels"):
            drive(jpeg(np.zeros((16, 2049, 3), np.uint8)), 4_000_000_000)
        with pytest.raises(ImageError, match="1048576 bytes"):
            drive(bytes((1 << 20) + 1), 4_000_000_000)


def test_pictures_need_a_session_with_sources(served: Served) -> None:
    client = served[0]
    client.create_avatar([PHOTO], name="ada")
    with client.start_session("ada", width=32, height=32) as session:
        request = pb.DrivePictureRequest(
            session_id=session.info.session_id, owner_token=session.info.owner_token, picture=PHOTO
        )
        with pytest.raises(DriveError, match="webcam"):
            client.call("DrivePicture", request)


def test_the_token_goes_along_behind_the_hash() -> None:
    assert studio_url("https://here:1", None) == "https://here:1/studio"
    assert studio_url("https://here:1", "a/b c") == "https://here:1/studio#token=a%2Fb%20c"
