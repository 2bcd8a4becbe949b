"""Driving and watching: newest wins, and nobody waits for anybody."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import torch
import zmq

from plugin_server import wire
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.session import ClientSession
from plugin_server.latest import Latest
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.wire import Flags, Kind
from tests.service import (
    PATIENCE_S,
    TinyAvatar,
    TinyEngine,
    TinyPuppet,
    eventually,
    must_receive,
    wait_for_pts,
)

RGBA8, JPEG = pb.STREAM_KIND_RGBA8, pb.STREAM_KIND_JPEG
DEPTH, SPLATS = pb.STREAM_KIND_DEPTH, pb.STREAM_KIND_SPLATS


# ---- the mailbox


def test_latest_keeps_the_newest() -> None:
    mailbox: Latest[int] = Latest()
    assert mailbox.take() is None
    for value in (1, 2, 3):
        mailbox.put(value)
    assert (mailbox.take(), mailbox.take()) == (3, None)
    assert (mailbox.received, mailbox.replaced) == (3, 2)


def test_latest_wakes_its_reader() -> None:
    mailbox: Latest[int] = Latest()
    threading.Timer(0.05, mailbox.put, (7,)).start()
    assert mailbox.take(PATIENCE_S) == 7


# ---- drive -> frame


def test_a_signal_becomes_its_frame(session: ClientSession) -> None:
    rest = TinyPuppet(TinyAvatar(1)).gaussians.means[0, 1]
    with closing(session.reader()) as reader:
        must_receive(reader)  # subscribed: a latecomer would see the first signal as a repetition
        for number in (1, 2, 3):
            session.drive({"jawOpen": number / 10}, pts_ns=number)
            received = wait_for_pts(reader, number)
            assert received.rgba is not None
            assert received.rgba.shape == (48, 64, 4)
            assert received.rgba[0, 0, 0] == int(1000 * (rest + torch.tensor(number / 10))) % 256
            assert received.header.flags == 0


def test_unary_twin_drives_too(session: ClientSession) -> None:
    with closing(session.reader()) as reader:
        answer = session.drive_once({"jawOpen": 0.5}, pts_ns=5)
        assert answer.received == 1
        assert wait_for_pts(reader, 5).header.pts_ns == 5
        eventually(lambda: session.drive_once(pts_ns=6).pts_ns >= 5)  # noted once it is sent


def test_every_kind_of_one_frame(client: FlexAvatarClient) -> None:
    kinds = (RGBA8, JPEG, DEPTH, SPLATS)
    with client.start_session("ada", 64, 48, kinds) as session, closing(session.reader()) as reader:
        session.drive({"jawOpen": 0.1}, pts_ns=9)
        first = wait_for_pts(reader, 9)
        found = {first.header.kind: first}
        while len(found) < 4:
            received = must_receive(reader)
            found[received.header.kind] = received
        assert found[Kind.JPEG].rgb is not None
        depth = found[Kind.DEPTH].depth
        assert depth is not None
        assert (depth[0, 0], depth[47, 63]) == (0.0, 1.0)
        splats = next(r.gaussians for k, r in found.items() if k in wire.SPLATS)
        assert splats is not None
        expected = TinyPuppet(TinyAvatar(1)).gaussians.means
        # a step of float16 below 0.25 m; the second half does not move
        torch.testing.assert_close(splats.means[300:], expected[300:], rtol=0, atol=2**-13)


def test_flame_codes_head_and_camera(session: ClientSession) -> None:
    with closing(session.reader()) as reader:
        flame = pb.FlameCodes(jaw_pose=[0.05, 0, 0], expression=[1.0] * 30, correctives=[0.0] * 4)
        session.drive(flame=flame, head=pb.HeadPose(transl=[0, 0.02, 0]), pts_ns=1)
        driven = wait_for_pts(reader, 1).rgba
        rest = TinyPuppet(TinyAvatar(1)).gaussians.means[0, 1]
        assert driven is not None
        assert driven[0, 0, 0] == int(1000 * (rest + torch.tensor(0.07))) % 256
        viewmat = [1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 0.2, 0, 0, 0, 1]
        pinhole = pb.PinholeCamera(viewmat=viewmat, K=[100, 0, 32, 0, 100, 24, 0, 0, 1])
        session.drive(camera=pb.Camera(pinhole=pinhole), pts_ns=2)  # the face stays as it was
        nearer = wait_for_pts(reader, 2).rgba
        assert nearer is not None
        assert (nearer[0, 0, 0], nearer[0, 0, 1]) == (driven[0, 0, 0], 200)


def test_an_orbit_is_what_the_session_says(client: FlexAvatarClient) -> None:
    """From straight above, the camera's forward axis points down the head's y."""
    orbit = pb.Camera(orbit=pb.Orbit(pitch_deg=90))
    with client.start_session("ada", camera=orbit) as session:
        viewmat = np.array(session.info.camera.viewmat).reshape(4, 4)
        np.testing.assert_allclose(viewmat[2, :3], (0, -1, 0), atol=1e-6)  # float32
        # a pixel in the middle stays in the middle
        assert session.info.camera.K[2] == session.info.width / 2


def test_newest_wins(client: FlexAvatarClient) -> None:
    """Far more signals than frames: frames show the newest, in order, and the last is shown."""
    with client.start_session("ada", 64, 48, max_fps=20) as session:
        with closing(session.reader()) as reader:
            must_receive(reader)
            began = time.monotonic()
            for number in range(1, 401):
                session.drive_once({"jawOpen": 0.1}, pts_ns=number)
            shown = [wait_for_pts(reader, 1).header]
            while shown[-1].pts_ns < 400:
                shown.append(must_receive(reader).header)
            elapsed = time.monotonic() - began
        fresh = [h.pts_ns for h in shown if not h.flags & Flags.REPEATED]
        assert fresh == sorted(set(fresh))
        assert len(fresh) <= 20 * elapsed + 3  # max_fps, one early, one at either end
        seqs = [h.seq for h in shown]
        assert seqs == sorted(set(seqs))
        report = session.drive_once()
        assert report.received == 401
        assert report.replaced >= 400 - len(fresh) - 1


def test_reports_come_back(session: ClientSession) -> None:
    with closing(session.reader()) as reader:
        session.drive({"jawOpen": 0.1}, pts_ns=77)
        wait_for_pts(reader, 77)
        eventually(lambda: session.report.pts_ns == 77)
        assert session.report.seq > 0
        assert session.report.frame_ms > 0


# ---- those who come late, read slowly, or not at all


def test_a_latecomer_gets_a_keyframe_at_once(client: FlexAvatarClient) -> None:
    with client.start_session("ada", kinds=(SPLATS,)) as session:
        stop = threading.Event()

        def keep_driving() -> None:
            number = 0
            while not stop.wait(0.01):
                number += 1
                session.drive({"jawOpen": number % 10 / 10})

        driver = threading.Thread(target=keep_driving)
        driver.start()
        try:
            for _ in range(3):
                with closing(session.reader()) as reader:
                    began = time.monotonic()
                    first = must_receive(reader)
                    assert time.monotonic() - began < 1.0
                    assert first.gaussians is not None
                    while must_receive(reader).header.kind is Kind.SPLATS_KEY:
                        pass  # and then deltas follow
        finally:
            stop.set()
            driver.join(PATIENCE_S)


def test_a_latecomer_sees_a_face_at_rest(session: ClientSession) -> None:
    with closing(session.reader()) as first, closing(session.reader(latest=True)) as second:
        for reader in (first, second):
            began = time.monotonic()
            assert must_receive(reader).header.flags & Flags.REPEATED
            assert time.monotonic() - began < 1.0


def test_keyframes_only_for_conflating_readers(client: FlexAvatarClient) -> None:
    with client.start_session("ada", kinds=(SPLATS,), keyframe_interval_ms=1) as session:
        with closing(session.reader(latest=True)) as reader:
            for number in range(1, 6):
                session.drive({"jawOpen": number / 10}, pts_ns=number)
                assert wait_for_pts(reader, number).header.kind is Kind.SPLATS_KEY


def test_a_reader_that_stops_reading_holds_up_nobody(client: FlexAvatarClient) -> None:
    with client.start_session("ada", 512, 512) as session:
        asleep = zmq.Context.instance().socket(zmq.SUB)
        asleep.setsockopt(zmq.SUBSCRIBE, session.info.topic)
        asleep.setsockopt(zmq.RCVHWM, 1)
        asleep.setsockopt(zmq.LINGER, 0)
        asleep.connect(session.info.frame_address)
        with closing(session.reader()) as reader:
            must_receive(reader)
            for number in range(1, 121):  # 120 MB: more than any buffer on the way holds
                session.drive_once({"jawOpen": 0.1}, pts_ns=number)
                wait_for_pts(reader, number)
        asleep.close()
        zmq.Context.instance().term()


def test_a_reader_that_pauses_reads_on(client: FlexAvatarClient) -> None:
    """For longer than any heartbeat, its queue full: then it has the newest within moments."""
    with (
        client.start_session("ada", 512, 512) as session,
        closing(session.reader(latest=True)) as reader,
    ):
        must_receive(reader)
        for number in range(1, 101):
            session.drive_once({"jawOpen": 0.1}, pts_ns=number)
            time.sleep(0.05)
        wait_for_pts(reader, 100)
        assert reader.problem == ""


def test_a_driver_that_stops_reading_reports(
    client: FlexAvatarClient, session: ClientSession
) -> None:
    """It sends for good and never reads: it is drawn all the same, and others are served."""
    stop, sent = threading.Event(), iter(range(1, 10**9))

    def signals() -> Iterator[pb.DriveRequest]:
        while not stop.is_set():
            yield pb.DriveRequest(
                session_id=session.info.session_id,
                owner_token=session.info.owner_token,
                pts_ns=next(sent),
                arkit=pb.ArkitWeights(weights={"jawOpen": 0.1}),
            )

    call = client.drive_stream(signals())
    with closing(session.reader(latest=True)) as reader:
        assert wait_for_pts(reader, 500).header.pts_ns >= 500
    with client.start_session("ada", 32, 32) as other, closing(other.reader()) as reader:
        other.drive({"jawOpen": 0.2}, pts_ns=3)
        assert wait_for_pts(reader, 3).rgba is not None
    stop.set()
    call.cancel()


def test_nothing_is_drawn_for_nobody(
    client: FlexAvatarClient, session: ClientSession, engine: TinyEngine
) -> None:
    engine.draw_error = AssertionError("drawn without a reader")
    session.drive({"jawOpen": 0.1}, pts_ns=4)
    eventually(lambda: session.report.pts_ns == 4)
    assert client.info().sessions == 1
