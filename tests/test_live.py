"""Sessions with sources: what drives a face that lives by itself, and what stays as it was."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flexavatar.cli import USER_ERROR, run
from flexavatar.errors import ConflictError, DriveError, InputError, SessionNotFoundError
from flexavatar.head.arkit import ARKIT_INDEX
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.frame_reader import FrameReader
from plugin_server.client.session import ClientSession
from plugin_server.pb import flexavatar_pb2 as pb
from tests.live import TellingEngine, live_server, seen_of, sending_udp, watching
from tests.packets import VMC
from tests.service import PATIENCE_S, PHOTO, local_config, must_receive, server_and_client


def jaw_of(session: ClientSession, reader: FrameReader, pts_ns: int) -> float:
    """The jaw of the first frame at a time or later."""
    while (seen := seen_of(must_receive(reader))).pts_ns < pts_ns:
        pass
    return float(seen.told[0])


# ---- Drive


def test_drive_alone_shows_exactly_what_was_asked(tmp_path: Path) -> None:
    with live_server(tmp_path, vmc=0) as (client, _):
        with client.start_session("ada", 64, 48, name="mine") as session:
            with watching(client, "mine") as reader:
                for number, jaw in enumerate((1.0, 0.0, 0.6), start=1):
                    session.drive({"jawOpen": jaw}, pts_ns=number)
                    assert jaw_of(session, reader, number) == pytest.approx(jaw, abs=1 / 255)
                before = seen_of(must_receive(reader))
                time.sleep(1.2)  # and it stays
                assert np.array_equal(seen_of(must_receive(reader)).told, before.told)


def test_drive_as_a_source_is_smoothed_and_followed_by_idling(tmp_path: Path) -> None:
    with live_server(tmp_path, vmc=0) as (client, _):
        sources = [pb.Source(name="drive", gains={"jawOpen": 0.5})]
        with client.start_session("ada", 64, 48, name="mine", sources=sources) as session:
            with watching(client, "mine") as reader:
                driven, number = seen_of(must_receive(reader)), 0
                while driven.pts_ns < 30 or number < 40:
                    number += 1
                    pose = pb.HeadPose(neck_pose=[0, 0.5, 0])
                    session.drive({"jawOpen": 0.8}, pts_ns=number, head=pose)
                    time.sleep(1 / 60)
                    driven = seen_of(must_receive(reader))
                assert driven.told[0] == pytest.approx(0.4, abs=0.02)
                assert driven.yaw == pytest.approx(0.5, abs=0.03)
                began = time.monotonic()
                while seen_of(must_receive(reader)).told[0] > 0.02:
                    assert time.monotonic() - began < 1.5


def test_what_a_session_with_sources_does_not_take(tmp_path: Path) -> None:
    with live_server(tmp_path, vmc=0) as (client, _):
        with client.start_session("ada", sources=["vmc"]) as session:
            with pytest.raises(DriveError, match="expected 'drive' among this session's, got vmc"):
                session.drive_once({"jawOpen": 0.5})
            session.drive_once(camera=pb.Camera(orbit=pb.Orbit(yaw_deg=20)))  # this it does
        with client.start_session("ada", sources=["drive"]) as session:
            refused: list[dict[str, Any]] = [
                {"flame": pb.FlameCodes(jaw_pose=[0.1, 0, 0])},
                {"weights": {}, "head": pb.HeadPose(transl=[0, 0, 0.1])},
                {"weights": {}, "head": pb.HeadPose(neck_pose=[0, 1])},
                {"weights": {"jawOpen": 1.2}},
                {"weights": {"jawopen": 0.2}},
            ]
            for parts in refused:
                with pytest.raises(DriveError):
                    session.drive_once(**parts)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (pb.Source(name="ifacialmocap"), r"expected some of \['drive', 'webcam', 'audio', 'vmc'\]"),
        (pb.Source(name=""), "expected some of"),
        (pb.Source(name="vmc", shares={"nose": 1}), "shares: not known"),
        (pb.Source(name="vmc", gains={"jawOpen": 9}), "gains: expected 0..4"),
    ],
)
def test_sources_that_are_refused(tmp_path: Path, source: pb.Source, message: str) -> None:
    with live_server(tmp_path, vmc=0) as (client, _):
        before = client.info().sessions
        with pytest.raises(InputError, match=message):
            client.start_session("ada", sources=[source])
        with pytest.raises(DriveError, match="each once"):
            client.start_session("ada", sources=["vmc", "vmc"])
        assert client.info().sessions == before


def test_shares_let_drive_and_a_phone_work_together(tmp_path: Path) -> None:
    """The mouth from Drive, as an engine's lip sync would have it; lids and head from the phone."""
    with live_server(tmp_path, vmc=0) as (client, addresses):
        sources = [pb.Source(name="drive", shares={"eyes": 0, "head": 0}), pb.Source(name="vmc")]
        with (
            client.start_session("ada", 64, 48, name="mine", sources=sources) as session,
            watching(client, "mine") as reader,
            sending_udp(addresses["vmc"]) as send,
        ):
            until = time.monotonic() + PATIENCE_S
            while True:
                session.drive_once({"jawOpen": 0.2}, head=pb.HeadPose(neck_pose=[0, -0.5, 0]))
                send(VMC)  # jaw 0.5, left lid 1, head 45 degrees to the left
                seen = seen_of(must_receive(reader))
                if abs(seen.told[0] - 0.2) < 0.02 and seen.told[1] > 0.98 and seen.yaw > 0.75:
                    break
                assert time.monotonic() < until


# ---- names


def test_a_session_is_found_by_its_name(tmp_path: Path) -> None:
    with live_server(tmp_path, vmc=0) as (client, _):
        shown = client.get_session("ada")
        assert (shown.width, shown.owner_token) == (32, "")
        assert [*shown.kinds] == [1, 2, 3, 4]
        with client.start_session("ada", 64, 48, name="mine") as session:
            found = client.get_session("mine")
            assert found.session_id == session.info.session_id
            assert session.info.owner_token
            with pytest.raises(ConflictError, match="'mine' is running already"):
                client.start_session("ada", name="mine")
        for name in ("mine", "", "nobody"):
            with pytest.raises(SessionNotFoundError, match="no session is named"):
                client.get_session(name)
        with pytest.raises(InputError, match="64 characters"):
            client.start_session("ada", name="x" * 65)


# ---- how long they live


def test_what_is_shown_from_the_start_stays(tmp_path: Path) -> None:
    """It lives without anybody, and without a reader."""
    config = local_config(tmp_path, idle_timeout_s=0.3)
    with live_server(tmp_path, vmc=0, config=config) as (client, _):
        mine = client.start_session("ada", 64, 48, name="mine", sources=["vmc"])
        time.sleep(1.0)
        assert client.get_session("ada").session_id
        with pytest.raises(SessionNotFoundError, match="not driven"):
            mine.drive_once()


def test_it_ends_with_its_avatar(tmp_path: Path) -> None:
    with live_server(tmp_path, vmc=0) as (client, addresses):
        client.delete_avatar("ada")
        with sending_udp(addresses["vmc"]) as send:
            for _ in range(10):
                send(VMC)
        with pytest.raises(SessionNotFoundError):
            client.get_session("ada")
        assert client.info().sessions == 0


def test_idling_differs_from_session_to_session(tmp_path: Path) -> None:
    engine = TellingEngine()

    def looks(client: FlexAvatarClient, name: str) -> np.ndarray:
        with client.start_session("ada", 64, 48, name=name, sources=["drive"]):
            with watching(client, name):
                return engine.latest.told.weights

    config = local_config(tmp_path)
    with server_and_client(config, engine) as (client, _):
        client.create_avatar([PHOTO], "ada")
        first, second = looks(client, "a"), looks(client, "b")
    assert not np.array_equal(first, second)
    assert first[ARKIT_INDEX["jawOpen"]] == 0


# ---- the window


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What a window shows; it is closed after three pictures."""
    shown: list[np.ndarray] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("cv2.namedWindow", lambda *_: None)
    monkeypatch.setattr("cv2.imshow", lambda _, picture: shown.append(picture))
    monkeypatch.setattr("cv2.waitKey", lambda _: -1)
    monkeypatch.setattr("cv2.getWindowProperty", lambda *_: float(len(shown) < 3))
    monkeypatch.setattr("cv2.destroyAllWindows", lambda: None)
    return shown


def test_view_shows_a_session_by_its_name(tmp_path: Path, screen: list[np.ndarray]) -> None:
    with live_server(tmp_path, vmc=0):
        assert run(["view", "ada", "--store", str(tmp_path / "avatars")]) == 0
        assert [picture.shape for picture in screen] == [(32, 32, 3)] * 3
        assert {picture.dtype for picture in screen} == {np.dtype(np.uint8)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody"], "no session is named 'nobody'"),
        (["ada", "--background", "green"], "background: expected RRGGBB"),
    ],
)
def test_view_refuses(
    tmp_path: Path,
    screen: list[np.ndarray],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    with live_server(tmp_path, vmc=0):
        assert run(["view", *arguments, "--store", str(tmp_path / "avatars")]) == USER_ERROR
    assert message in capsys.readouterr().err
    assert not screen


def test_view_needs_a_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert run(["view", "ada"]) == USER_ERROR
    assert "expected a screen" in capsys.readouterr().err
