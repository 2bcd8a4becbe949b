"""The service with the model itself behind it: real heads, drawn and sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import cv2
import numpy as np
import pytest
import torch

from flexavatar.avatar.avatar import Avatar
from flexavatar.errors import FaceError, ImageError, InputError
from flexavatar.head.arkit import arkit_to_flame
from flexavatar.head.arkit_fit import load_arkit_basis
from flexavatar.head.binding import Binding, LocalSplats
from flexavatar.head.open_head import load_open_head
from flexavatar.render.rasterize import rasterize_rgba8
from flexavatar.types import Camera, FlameCodes
from plugin_server.avatar_record import AvatarRecord
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.frame_reader import FrameReader, Received
from plugin_server.config import ServerConfig
from plugin_server.model_engine import ModelEngine
from plugin_server.pb import flexavatar_pb2 as pb
from plugin_server.server import running_server
from plugin_server.store import Store
from plugin_server.wire import Kind
from tests.service import PATIENCE_S, local_config
from tests.signals import signal_of

COUNT = 4000


def plain_avatar() -> Avatar:
    """The open head itself, seeded splats all over it."""
    head = load_open_head()
    random = torch.Generator().manual_seed(0)
    faces = head.faces[torch.randint(len(head.faces), (COUNT,), generator=random)]
    bary = torch.rand(COUNT, 3, generator=random) + 0.01
    splats = LocalSplats(
        offsets=torch.zeros(COUNT, 3),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(COUNT, 1),
        scales=torch.full((COUNT, 3), 0.004),
    )
    viewmat = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    viewmat[2, 3] = 1.0
    K = torch.tensor([[1200.0, 0, 256], [0, 1200, 256], [0, 0, 1]])
    return Avatar(
        neutral=head.template,
        binding=Binding(faces, bary / bary.sum(-1, keepdim=True)),
        splats=splats,
        opacities=torch.full((COUNT,), 0.9),
        sh=torch.randn(COUNT, 1, 3, generator=random),
        camera=Camera(viewmat, K, 512, 512),
        codes=FlameCodes.zeros(len(arkit_to_flame({}, load_arkit_basis(head)).correctives)),
        lids=torch.zeros(COUNT, 2),
    )


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlexAvatarClient]:
    """A server with the real engine, and one avatar that needed no fitting."""
    config: ServerConfig = local_config(tmp_path_factory.mktemp("engine"), device="cpu")
    engine, avatar = ModelEngine("cpu"), plain_avatar()
    store = Store(config.store)
    with store.reserve("plain", replace=False):
        record = AvatarRecord("plain", COUNT, 1, 0, 0.0)
        store.write(record, lambda folder: engine.save(avatar, folder))
    store.close()
    with running_server(config) as listening, FlexAvatarClient(listening.address) as client:
        yield client


def frame_of(reader: FrameReader, pts_ns: int, kind: Kind = Kind.RGBA8) -> Received:
    while True:
        received = reader.receive(PATIENCE_S)
        assert received is not None, "nothing came"
        if received.header.pts_ns >= pts_ns and received.header.kind is kind:
            return received


def test_a_driven_head_moves_and_is_seen(client: FlexAvatarClient) -> None:
    with client.start_session("plain", 256, 256) as session, closing(session.reader()) as reader:
        pictures = []
        for number, weights in enumerate(({}, {"jawOpen": 1.0}, {}), start=1):
            session.drive(weights, pts_ns=number)
            picture = frame_of(reader, number).rgba
            assert picture is not None
            pictures.append(picture.astype(int))
        covered = (pictures[0][..., 3] > 128).mean()
        assert 0.05 < covered < 0.9  # a head in front of nothing
        assert (pictures[0][..., :3] <= pictures[0][..., 3:] + 1).mean() > 0.99  # premultiplied
        assert np.abs(pictures[1] - pictures[0]).max() > 50  # its mouth is open
        assert np.array_equal(pictures[2], pictures[0])  # and closed again, to the bit


def test_splats_on_the_wire_are_what_is_drawn(client: FlexAvatarClient) -> None:
    avatar, engine = plain_avatar(), ModelEngine("cpu")
    kinds = (pb.STREAM_KIND_SPLATS,)
    with client.start_session("plain", kinds=kinds) as session, closing(session.reader()) as reader:
        puppet = engine.puppet(avatar)
        for number, jaw in enumerate((0.2, 0.4, 0.6), start=1):
            session.drive({"jawOpen": jaw}, pts_ns=number)
            while True:
                received = reader.receive(PATIENCE_S)
                assert received is not None
                if received.header.pts_ns >= number:
                    break
            expected = puppet.animate(signal_of({"jawOpen": jaw}))
            assert received.gaussians is not None
            # a step of float16 below 0.25 m is 2^-13 m, and rounding errs by half of it
            torch.testing.assert_close(
                received.gaussians.means, expected.means, rtol=0, atol=2**-13
            )


def test_depth_is_the_distance(client: FlexAvatarClient) -> None:
    kinds = (pb.STREAM_KIND_DEPTH,)
    with client.start_session("plain", 128, 128, kinds) as session:
        with closing(session.reader()) as reader:
            session.drive({}, pts_ns=1)
            depth = frame_of(reader, 1, Kind.DEPTH).depth
            assert depth is not None
            seen = depth[depth > 0]
            assert len(seen) > 500
            assert 0.7 < seen.min() < seen.max() < 1.3  # the head is about one metre away


def test_photos_that_cannot_be_used(client: FlexAvatarClient) -> None:
    grey = cv2.imencode(".png", np.full((256, 256, 3), 128, np.uint8))[1].tobytes()
    with pytest.raises(FaceError):
        client.create_avatar([grey], "grey", quick=True)
    with pytest.raises(ImageError):
        client.create_avatar([grey[:-100]], "grey", quick=True)
    with pytest.raises(ImageError):
        client.create_avatar([b"no picture"], "grey", quick=True)
    assert [a.name for a in client.list_avatars()] == ["plain"]


@pytest.mark.cuda
def test_a_gpu_draws_the_same(client: FlexAvatarClient) -> None:
    """One puppet on the CPU and one on the GPU agree to what their renderers may differ by."""
    avatar, pictures = plain_avatar(), []
    for device in ("cpu", "cuda"):
        engine = ModelEngine(device)
        puppet = engine.puppet(avatar)
        picture = np.empty((512, 512, 4), np.uint8)
        rasterize_rgba8(puppet.animate(signal_of({"jawOpen": 0.5})), puppet.camera, picture)
        pictures.append(picture.astype(int))
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.5  # grey levels


@pytest.mark.parametrize("device", ["gpu", "", "cuda:99", "meta", "mps"])
def test_a_device_that_is_not_there(device: str) -> None:
    with pytest.raises(InputError, match=f"device: expected auto, cpu.*, got {device!r}"):
        ModelEngine(device)
