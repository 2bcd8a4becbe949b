"""An avatar that takes another's place, a preview's for one: sessions go on with it."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from flexavatar.errors import AvatarNotFoundError, ConflictError, ImageError
from plugin_server import session as session_module
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.frame_reader import FrameReader, Received
from plugin_server.client.session import ClientSession
from plugin_server.config import ServerConfig
from plugin_server.pb import flexavatar_pb2 as pb
from tests.service import (
    PATIENCE_S,
    PHOTO,
    TinyAvatar,
    TinyEngine,
    TinyPuppet,
    end_of,
    eventually,
    must_receive,
    server_and_client,
    tiny_camera,
    wait_for_pts,
)

RGBA8, SPLATS = pb.STREAM_KIND_RGBA8, pb.STREAM_KIND_SPLATS


class PlacedPuppet(TinyPuppet):
    """As many metres away as its avatar's seed says, and one."""

    def __init__(self, avatar: TinyAvatar, other: TinyAvatar | None = None) -> None:
        super().__init__(avatar, other)
        viewmat = tiny_camera().viewmat.clone()
        viewmat[2, 3] = 1.0 + 0.1 * avatar.seed
        self.camera = replace(tiny_camera(), viewmat=viewmat)


class PreviewEngine(TinyEngine):
    """Shows previews, and knows which puppets are still there."""

    def __init__(self) -> None:
        super().__init__()
        self.shows = True
        self.gate.clear()
        self.puppets: list[weakref.ref[TinyPuppet]] = []

    def puppet(self, avatar: TinyAvatar, other: TinyAvatar | None = None) -> TinyPuppet:
        made = PlacedPuppet(avatar, other)
        self.puppets.append(weakref.ref(made))
        return made


@pytest.fixture
def previews(config: ServerConfig) -> Iterator[tuple[FlexAvatarClient, PreviewEngine]]:
    engine = PreviewEngine()
    with server_and_client(config, engine) as (client, _):
        yield client, engine
        engine.gate.set()


@contextmanager
def making(client: FlexAvatarClient, *photos: bytes, **how: Any) -> Iterator[Future[pb.Avatar]]:
    """An avatar "ada" of these photos that is being made, whose preview is there."""
    there = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        made = thread.submit(
            client.create_avatar, photos, "ada", on_preview=lambda name: there.set(), **how
        )
        assert there.wait(PATIENCE_S), made
        yield made


def distance(received: Received) -> int:
    """Of the camera, in millimetres modulo 256."""
    assert received.rgba is not None
    return int(received.rgba[0, 0, 1])


def test_a_session_of_a_preview_goes_on_with_the_avatar(
    previews: tuple[FlexAvatarClient, PreviewEngine],
) -> None:
    client, engine = previews
    with making(client, PHOTO) as made:
        (listed,) = client.list_avatars()
        assert (listed.name, listed.preview, listed.gaussians) == ("ada", True, 300)
        assert client.get_avatar("ada").preview
        with client.start_session("ada", 64, 64, kinds=[RGBA8, SPLATS]) as session:
            assert session.info.gaussians == 300
            with closing(session.reader(kinds=[SPLATS])) as reader:
                session.drive({"jawOpen": 0.2}, pts_ns=7)
                assert wait_for_pts(reader, 7).header.count == 300
                engine.gate.set()
                assert not made.result(PATIENCE_S).preview
                eventually(lambda: must_receive(reader).header.count == 600)
                last = must_receive(reader)
                assert last.gaussians is not None
                assert last.header.pts_ns == 7, "the pose stays"
                moved = last.gaussians.means - TinyPuppet(TinyAvatar(1)).gaussians.means
                assert float(moved[:300, 1].mean()) == pytest.approx(0.2, abs=0.01)  # packed
            assert [s.session_id for s in client.list_sessions()] == [session.info.session_id]
            gc.collect()
            eventually(lambda: [p() is None for p in engine.puppets] == [True, False])
        (listed,) = client.list_avatars()
        assert not listed.preview


def test_no_frame_is_missed(previews: tuple[FlexAvatarClient, PreviewEngine]) -> None:
    """Every signal's frame comes, one after the other, while the avatar is replaced."""
    client, engine = previews
    with making(client, PHOTO) as made, client.start_session("ada", 64, 64) as session:
        with closing(session.reader()) as reader:
            before = must_receive(reader)
            pts = 0
            while not made.done() or pts < 10:
                pts += 1
                if pts == 3:
                    engine.gate.set()
                session.drive({"jawOpen": 0.1}, pts_ns=pts)
                received = wait_for_pts(reader, pts)
                assert received.header.pts_ns == pts
                assert received.header.seq > before.header.seq
                before = received


def test_a_preview_goes_with_its_creation(
    previews: tuple[FlexAvatarClient, PreviewEngine],
) -> None:
    """A client that hangs up leaves nothing, and sessions are told why they end."""
    client, _ = previews

    class GoneError(Exception):
        """The client gives up."""

    def give_up(name: str) -> None:
        started.append(client.start_session(name, 64, 64))
        raise GoneError

    started: list[ClientSession] = []
    with pytest.raises(GoneError):
        client.create_avatar([PHOTO], "ada", on_preview=give_up)
    with closing(FrameReader(started[0].info, (RGBA8,))) as reader:
        assert "'ada' was not completed" in end_of(reader)
    eventually(lambda: not client.list_avatars())
    with pytest.raises(AvatarNotFoundError):
        client.get_avatar("ada")


def test_the_name_of_a_preview_is_taken(
    previews: tuple[FlexAvatarClient, PreviewEngine],
) -> None:
    client, engine = previews
    with making(client, PHOTO):
        with pytest.raises(ConflictError, match="being"):
            client.delete_avatar("ada")
        with pytest.raises(ConflictError, match="being"):
            client.create_avatar([PHOTO], "ada", replace=True)
        engine.gate.set()


def test_an_avatar_stays_until_the_new_one_is_whole(
    previews: tuple[FlexAvatarClient, PreviewEngine],
) -> None:
    """It has no preview in its place, a failed creation changes nothing, and views are kept."""
    client, engine = previews
    engine.gate.set()
    client.create_avatar([PHOTO], "ada")

    def refuse(name: str) -> None:
        raise AssertionError(f"a preview of {name}")

    pinhole = pb.PinholeCamera(
        viewmat=[1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 2, 0, 0, 0, 1],
        K=[100, 0, 32, 0, 100, 32, 0, 0, 1],
    )
    own = client.start_session("ada", 64, 64)
    turned = client.start_session("ada", 64, 64, camera=pb.Camera(pinhole=pinhole))
    with own, turned, closing(own.reader()) as reader, closing(turned.reader()) as other:
        own.drive({"jawOpen": 0.1})
        assert distance(must_receive(reader)) == 1100 % 256
        with pytest.raises(ImageError):
            client.create_avatar([b"bad"], "ada", replace=True, on_preview=refuse)
        assert distance(must_receive(reader)) == 1100 % 256
        client.create_avatar([PHOTO] * 3, "ada", replace=True, on_preview=refuse)
        eventually(lambda: distance(must_receive(reader)) == 1300 % 256)
        assert distance(must_receive(other)) == 2000 % 256


def test_pictures_fade(
    previews: tuple[FlexAvatarClient, PreviewEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a session at rest: from what was shown to what is, and never back."""
    monkeypatch.setattr(session_module, "FADE_S", 1.0)
    client, engine = previews
    engine.gate.set()
    client.create_avatar([PHOTO], "ada")
    with client.start_session("ada", 64, 64, max_fps=30) as session:
        with closing(session.reader()) as reader:
            seen = [distance(must_receive(reader))]
            client.create_avatar([PHOTO] * 2, "ada", replace=True)
            while seen[-1] != 1200 % 256:
                seen.append(distance(must_receive(reader)))
    assert seen[0] == 1100 % 256
    assert seen == sorted(seen), seen
    assert len(set(seen)) > 5, seen


def test_a_copy_reaches_sessions_too(
    previews: tuple[FlexAvatarClient, PreviewEngine],
) -> None:
    """One that another server sends; a preview is not sent, since nobody would take it back."""
    client, engine = previews
    with making(client, PHOTO) as made:
        with pytest.raises(ConflictError, match="is being made"):
            client.call("FetchAvatar", pb.GetAvatarRequest(name="ada"))
        engine.gate.set()
        made.result(PATIENCE_S)
    copy = client.call("FetchAvatar", pb.GetAvatarRequest(name="ada"))
    client.create_avatar([PHOTO] * 3, "ada", replace=True)
    with client.start_session("ada", 64, 64) as session, closing(session.reader()) as reader:
        assert distance(must_receive(reader)) == 1300 % 256
        client.call("StoreAvatar", copy)
        eventually(lambda: distance(must_receive(reader)) == 1100 % 256)


def test_a_morph_goes_on_with_the_new_half(
    previews: tuple[FlexAvatarClient, PreviewEngine],
) -> None:
    client, engine = previews
    engine.gate.set()
    client.create_avatar([PHOTO], "bob")
    client.create_avatar([PHOTO], "ada")
    with client.start_session("bob", 64, 64, morph_to="ada") as session:
        with closing(session.reader()) as reader:
            must_receive(reader)
            client.create_avatar([PHOTO] * 2, "ada", replace=True)
            eventually(lambda: [p() is None for p in engine.puppets] == [True, False])
            must_receive(reader)
