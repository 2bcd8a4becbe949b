"""What every test shares: real photos and videos, and the same seed and threads everywhere."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from flexavatar.avatar.avatar import Avatar
from flexavatar.avatar.poser import rig_with_own_lids
from flexavatar.capture.landmark_rig import load_landmark_rig
from flexavatar.capture.photo import read_photo
from flexavatar.capture.portrait import Portrait, make_portrait
from flexavatar.capture.track import track
from flexavatar.create.create import CreateConfig, create_avatar
from flexavatar.create.posed_views import PosedView, PosedViews, pose_views
from flexavatar.head.binding import surface_motion
from flexavatar.head.eyelids import eyelid_openings
from flexavatar.head.open_head import load_open_head
from flexavatar.training.pool import HELD_OUT, fill_pool
from plugin_server.client.client import FlexAvatarClient
from plugin_server.client.session import ClientSession
from plugin_server.config import ServerConfig
from tests.service import PHOTO, TinyEngine, local_config, server_and_client

ROOT = Path(__file__).resolve().parent.parent
PORTRAITS = (
    "obama.jpg obama2.jpg biden.jpg st_happy.png st_sad.png st_people_0.png grace_hopper.jpg"
)
WANTED = (
    *(f"portraits/{name}" for name in f"{PORTRAITS} lp_s22.jpg".split()),
    *(f"videos/{name}.mp4" for name in ("lp_d0", "lp_d11", "lp_d20")),
    "ict_facekit_f16.npz",
)
"""In the folder of real photos; CONTRIBUTING.md says what they show."""
SEEDS = (0, HELD_OUT, HELD_OUT + 1)
"""Of the synthetic `people`."""


def pytest_configure() -> None:
    """Workers share the cores and a cache of this checkout; the same examples in every run."""
    os.environ["XDG_CACHE_HOME"] = str(ROOT / ".pytest_cache" / "user")
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    torch.set_num_threads(max(1, min(2, os.cpu_count() or 1) // workers))
    settings.register_profile("steady", deadline=None, derandomize=True)
    settings.load_profile("steady")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests for a GPU where there is none, and say so."""
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs an NVIDIA GPU: torch.cuda.is_available() is False")
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real photos, which are not part of the repository: $FLEXAVATAR_SHARED."""
    folder = Path(os.environ.get("FLEXAVATAR_SHARED") or ROOT.parent / "shared" / "data")
    if missing := [name for name in WANTED if not (folder / name).is_file()]:
        lacking = ", ".join(missing)
        pytest.skip(f"$FLEXAVATAR_SHARED: {folder} lacks {lacking} (see CONTRIBUTING.md)")
    return folder


@pytest.fixture(scope="session")
def astronaut() -> bytes:
    """The sample portrait that ships with the package."""
    return (ROOT / "flexavatar/assets/portrait/astronaut.png").read_bytes()


@pytest.fixture(scope="session")
def portrait(astronaut: bytes) -> Portrait:
    """Of the sample."""
    return make_portrait(read_photo(astronaut))


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


MadeOnce = Callable[[str, Callable[[], Any]], Any]


@pytest.fixture(scope="session")
def made_once(run_folder: Path) -> MadeOnce:
    """Makes what takes long, by name, in one worker; the others wait for it and read it."""

    def made(name: str, make: Callable[[], Any]) -> Any:
        path = run_folder / f"{name}.pt"
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                torch.save(make(), path)
        return torch.load(path, weights_only=False)

    return made


@pytest.fixture(scope="session")
def quick_creation(astronaut: bytes, made_once: MadeOnce) -> tuple[Avatar, list[tuple[str, float]]]:
    """An avatar of the sample, made quickly, and the progress that was reported meanwhile."""

    def make() -> tuple[Avatar, list[tuple[str, float]]]:
        stages: list[tuple[str, float]] = []
        avatar = create_avatar(
            [astronaut], CreateConfig(quick=True), lambda what, share: stages.append((what, share))
        )
        assert isinstance(avatar, Avatar)
        return avatar, stages

    return made_once("quick_creation", make)


@pytest.fixture(scope="session")
def avatar(quick_creation: tuple[Avatar, list[tuple[str, float]]]) -> Avatar:
    """Of the sample, made quickly."""
    return quick_creation[0]


@pytest.fixture(scope="session")
def placed(portrait: Portrait) -> PosedViews:
    """The sample's head, in front of its camera."""
    return pose_views([portrait], track([portrait], load_landmark_rig()), load_open_head())


@pytest.fixture(scope="session")
def people(run_folder: Path, made_once: MadeOnce) -> Path:
    """Synthetic ones, one to look at and two to learn from: a folder that only is read."""
    folder = run_folder / "people"

    def make() -> list[float]:
        shares: list[float] = []
        fill_pool(folder, SEEDS, lambda what, share: shares.append(share))
        return shares

    assert made_once("people", make)[-1] == 1
    return folder


@pytest.fixture(scope="session")
def view(avatar: Avatar, portrait: Portrait) -> PosedView:
    """The sample's photo with the head where creation put it."""
    head = rig_with_own_lids(avatar.neutral, load_open_head())
    posed = head.pose(avatar.neutral, avatar.codes).vertices
    motion = surface_motion(avatar.neutral, posed, head.faces)
    return PosedView(portrait, avatar.camera, motion, eyelid_openings(head, posed))


@pytest.fixture(scope="session")
def full_avatar(shared_data: Path, made_once: MadeOnce) -> Callable[[str], Avatar]:
    """An avatar of one of the portraits, by file name, made with all steps and only once."""

    @lru_cache
    def made(name: str) -> Avatar:
        photo = (shared_data / "portraits" / name).read_bytes()
        avatar = made_once(name, lambda: create_avatar([photo]))
        assert isinstance(avatar, Avatar)
        return avatar

    return made


@pytest.fixture
def engine() -> TinyEngine:
    """A model of a few hundred splats, made in no time."""
    return TinyEngine()


@pytest.fixture
def config(tmp_path: Path) -> ServerConfig:
    """A server of its own for each test."""
    return local_config(tmp_path, max_sessions=3, max_width=2048, max_height=1024)


@pytest.fixture
def client(config: ServerConfig, engine: TinyEngine) -> Iterator[FlexAvatarClient]:
    """Connected to that server, which has one avatar."""
    with server_and_client(config, engine) as (client, _):
        client.create_avatar([PHOTO], "ada")
        yield client


@pytest.fixture
def session(client: FlexAvatarClient) -> Iterator[ClientSession]:
    """Of that avatar, small."""
    with client.start_session("ada", 64, 48) as session:
        yield session
