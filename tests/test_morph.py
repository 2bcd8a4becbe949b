"""Sessions in which one avatar becomes another: who is shown, how smoothly, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from flexavatar.avatar.avatar_pair import pair_avatars
from flexavatar.errors import AvatarNotFoundError, DriveError, SessionNotFoundError
from flexavatar.render.rasterize import rasterize_rgba8
from plugin_server.avatar_record import AvatarRecord
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.session import ClientSession
from plugin_server.model_engine import ModelEngine
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.server import running_server
from plugin_server.store import Store
from tests.pairs import person
from tests.service import (
    PHOTO,
    drive_until_refused,
    eventually,
    local_config,
    wait_for_pts,
)
from tests.signals import signal_of

SPLATS = pb.STREAM_KIND_SPLATS


# ---- with the tiny engine, which moves all splats aside by the share


@pytest.fixture
def morphing(client: FlexAvatarClient) -> Iterator[ClientSession]:
    """From ada to bob."""
    client.create_avatar([PHOTO], "bob")
    with client.start_session("ada", 64, 48, kinds=(SPLATS,), morph_to="bob") as session:
        yield session


def aside(session: ClientSession, pts_ns: int) -> float:
    """How far the splats are moved aside in the first frame of this signal, metres."""
    with closing(session.reader()) as reader:
        found = wait_for_pts(reader, pts_ns).gaussians
        assert found is not None
        return float(found.means[:, 0].mean())


def test_a_share_stays_until_the_next(morphing: ClientSession) -> None:
    rest = aside(morphing, 0)
    morphing.drive_once(morph=0.5, pts_ns=1)
    assert aside(morphing, 1) - rest == pytest.approx(0.5, abs=1e-3)  # float16 on the wire
    morphing.drive_once({"jawOpen": 0.1}, pts_ns=2)
    assert aside(morphing, 2) - rest == pytest.approx(0.5, abs=1e-3)
    morphing.drive(morph=0.0, pts_ns=3)  # which is not the same as not set
    assert aside(morphing, 3) == pytest.approx(rest, abs=1e-3)


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan, math.inf])
def test_shares_that_are_none(morphing: ClientSession, share: float) -> None:
    with pytest.raises(DriveError, match=f"morph: expected 0 to 1, got {share:g}"):
        morphing.drive_once(morph=share)
    with pytest.raises(DriveError, match="morph: expected 0 to 1"):
        drive_until_refused(morphing, morph=share)


def test_nobody_to_become(client: FlexAvatarClient) -> None:
    with pytest.raises(AvatarNotFoundError, match="no avatar 'nobody'"):
        client.start_session("ada", morph_to="nobody")
    assert client.info().sessions == 0


def test_deleting_either_ends_the_session(
    client: FlexAvatarClient, morphing: ClientSession
) -> None:
    client.delete_avatar("bob")
    eventually(lambda: client.info().sessions == 0)
    with pytest.raises(SessionNotFoundError, match="avatar 'bob' was deleted"):
        morphing.drive_once(morph=0.5)


# ---- with the real one


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlexAvatarClient]:
    """A server with two people who needed no fitting, and one of another model."""
    config, engine = (
        local_config(tmp_path_factory.mktemp("morph"), device="cpu"),
        ModelEngine("cpu"),
    )
    store = Store(config.store)
    for name, avatar in (("ada", person(1)), ("bob", person(2))):
        with store.reserve(name, replace=False):
            record = AvatarRecord(name, len(avatar), 1, 0, 0.0, model=avatar.model)
            store.write(record, lambda folder, a=avatar: engine.save(a, folder))
    store.close()
    with running_server(config, engine) as listening:
        with FlexAvatarClient(listening.address) as client:
            yield client


def test_one_becomes_the_other_smoothly(real: FlexAvatarClient) -> None:
    """Each step goes on from the last, none is a jump, and the last is the other one."""
    shares = np.linspace(0, 1, 9)
    with real.start_session("ada", 128, 128, morph_to="bob") as session:
        with closing(session.reader()) as reader:
            frames = []
            for number, share in enumerate(shares, start=1):
                session.drive({"jawOpen": 0.3}, morph=float(share), pts_ns=number)
                frame = wait_for_pts(reader, number).rgba
                assert frame is not None
                frames.append(frame.astype(float))
    steps = [np.abs(b - a).mean() for a, b in pairwise(frames)]
    whole = np.abs(frames[-1] - frames[0]).mean()
    assert whole > 10  # grey levels: two people
    assert max(steps) < 0.35 * whole
    assert min(steps) > 0.03 * whole
    engine = ModelEngine("cpu")
    bob, picture = engine.puppet(person(2)), np.empty((128, 128, 4), np.uint8)
    camera = engine.puppet(person(1)).camera
    small = type(camera)(camera.viewmat, camera.K * torch.tensor([[0.5], [0.5], [1]]), 128, 128)
    rasterize_rgba8(bob.animate(signal_of({"jawOpen": 0.3})), small, picture)
    assert np.abs(frames[-1] - picture).max() <= 1  # splats are sorted in another order


def test_splats_are_always_as_many(real: FlexAvatarClient) -> None:
    count = len(pair_avatars(person(1), person(2)))
    with real.start_session("ada", kinds=(SPLATS,), morph_to="bob") as session:
        assert session.info.gaussians == count
        with closing(session.reader()) as reader:
            for number, share in enumerate((0.0, 0.3, 1.0), start=1):
                session.drive(morph=share, pts_ns=number)
                received = wait_for_pts(reader, number)
                assert received.header.count == count
                assert received.gaussians is not None


def test_the_avatar_between_two_can_be_driven(real: FlexAvatarClient) -> None:
    made = real.interpolate_avatars("ada", "bob", 0.5, "eve", replace=True)
    assert made.gaussians == len(pair_avatars(person(1), person(2)))
    assert made.model == pb.MODEL_FIT
    with real.start_session("eve", 64, 64, morph_to="bob") as session:
        with closing(session.reader()) as reader:
            session.drive({"jawOpen": 1.0}, morph=0.5, pts_ns=1)
            frame = wait_for_pts(reader, 1).rgba
            assert frame is not None
            assert frame[..., 3].max() > 200


@pytest.mark.cuda
def test_a_gpu_morphs_the_same() -> None:
    """To what the renderers may differ by."""
    pictures = []
    for device in ("cpu", "cuda"):
        engine = ModelEngine(device)
        puppet = engine.puppet(person(1), person(2))
        picture = np.empty((256, 256, 4), np.uint8)
        signal = replace(signal_of({"jawOpen": 0.5}), morph=0.4)
        rasterize_rgba8(puppet.animate(signal), puppet.camera, picture)
        pictures.append(picture.astype(int))
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.5  # grey levels
