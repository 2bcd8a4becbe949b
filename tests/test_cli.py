"""The command line, as a user types it: what it prints, what it leaves, how it exits."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flexavatar.cli import TERMINATED, USER_ERROR, connect, run
from flexavatar.cli.avatars import name_from_file
from flexavatar.cli.connect import ServerOptions
from flexavatar.cli.pictures import parse_expression
from flexavatar.demo import SHIPPED_PORTRAIT
from flexavatar.errors import DriveError
from plugin_server import server
from plugin_server.store import Store
from tests.service import (
    PATIENCE_S,
    PHOTO,
    TinyEngine,
    eventually,
    local_config,
    server_and_client,
)

COMMANDS = (
    *"create drive render sheet interpolate morph-sheet".split(),
    *"list show delete serve view send arkit-report bench".split(),
)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Enough of a photo for the tiny engine."""
    path = tmp_path / "Me & You.JPG"
    path.write_bytes(PHOTO)
    return path


@pytest.fixture
def where(tmp_path: Path) -> Iterator[list[str]]:
    """Options that lead to a running server with the tiny engine."""
    config = local_config(tmp_path)
    with server_and_client(config, TinyEngine()) as (_, listening):
        yield ["--store", str(config.store), "--server", listening.address]


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[tuple[list[str], TinyEngine]]:
    """A store whose server is making an avatar, which waits for the engine's gate."""
    config, engine = local_config(tmp_path), TinyEngine()
    engine.gate.clear()
    with server_and_client(config, engine) as (client, _):
        maker = threading.Thread(target=client.create_avatar, args=([PHOTO], "ada"))
        maker.start()
        eventually(lambda: engine.creating == 1)
        yield ["--store", str(config.store)], engine
        engine.gate.set()
        maker.join()


@pytest.fixture
def empty(tmp_path: Path) -> list[str]:
    """A store without avatars and without a server."""
    return ["--store", str(tmp_path / "empty")]


def test_help_names_every_command_at_once() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "flexavatar", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    for name in COMMANDS:
        assert name in done.stdout
    assert "| torch" not in done.stderr.replace("|  ", "| ")  # its import alone takes seconds


def test_create_list_show_delete_through_a_running_server(
    where: list[str], photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["create", str(photo), *where]) == 0
    created = capsys.readouterr()
    assert "me-you" in created.out
    assert "600 Gaussians" in created.out
    assert "creating me-you   0%" in created.err  # progress, as plain lines

    assert run(["list", *where]) == 0
    assert "me-you" in capsys.readouterr().out

    assert run(["show", "me-you", *where]) == 0
    assert "seed" in capsys.readouterr().out

    assert run(["create", str(photo), *where]) == USER_ERROR
    assert "exists already" in capsys.readouterr().err
    assert run(["create", str(photo), "--replace", "--quick", *where]) == 0

    assert run(["interpolate", "me-you", "me-you", "--share", "0.5", *where]) == 0
    assert "me-you-me-you" in capsys.readouterr().out
    assert run(["interpolate", "me-you", "nobody", *where]) == USER_ERROR
    assert "no avatar 'nobody'" in capsys.readouterr().err

    assert run(["delete", "me-you", *where]) == 0
    assert run(["delete", "me-you", *where]) == USER_ERROR
    assert capsys.readouterr().err.endswith("error: no avatar 'me-you'\n")


def test_commands_start_a_server_of_their_own_where_none_runs(
    empty: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["list", *empty]) == 0
    assert "no avatars" in capsys.readouterr().out
    assert run(["show", "nobody", *empty]) == USER_ERROR
    assert "no avatar 'nobody'" in capsys.readouterr().err


def test_the_stores_server_is_found_while_it_makes_an_avatar(
    busy: tuple[list[str], TinyEngine], photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where, engine = busy
    assert run(["list", *where]) == 0
    assert "no avatars" in capsys.readouterr().out
    engine.gate.set()
    assert run(["create", str(photo), *where]) == 0
    assert "me-you" in capsys.readouterr().out


def test_a_holder_that_does_not_say_where_it_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(connect, "START_S", 0.2)
    with closing(Store(tmp_path)) as store:
        assert run(["list", "--store", str(tmp_path)]) == USER_ERROR
        assert "in use by a server that does not say where" in capsys.readouterr().err
        store.announce("127.0.0.1:9")
        assert run(["list", "--store", str(tmp_path)]) == USER_ERROR
        assert "in use by the server on 127.0.0.1:9, which did not" in capsys.readouterr().err


def test_a_server_of_its_own_stays_for_those_who_found_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, where = TinyEngine(), ServerOptions(tmp_path / "avatars")
    engine.gate.clear()
    monkeypatch.setattr(server, "_model_engine", lambda config: engine)

    def create_elsewhere() -> None:
        with connect.connect(where) as client:
            client.create_avatar([PHOTO], "ada")

    with connect.connect(where) as client:
        other = threading.Thread(target=create_elsewhere)
        other.start()
        eventually(lambda: engine.creating == 1)
        threading.Timer(0.3, engine.gate.set).start()
        assert list(client.list_avatars()) == []
    other.join(PATIENCE_S)
    with connect.connect(where) as client:
        assert [a.name for a in client.list_avatars()] == ["ada"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--creations-running", "0"], "creations-running: expected 1 to 64, got 0"),
        (["--max-width", "5000"], "max-width: expected 16 to 4096, got 5000"),
        (["--device", "gpu"], "device: expected auto, cpu"),
        (["--token-file", "absent"], "token: cannot read absent: No such file"),
        (["--store", "/dev/null/avatars"], "store: cannot use /dev/null"),
        (["--host", "0.0.0.0"], "beyond loopback"),
    ],
)
def test_a_server_that_cannot_start_says_why_in_a_line(
    arguments: list[str], message: str, empty: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    ports = [f"--{name}port=0" for name in ("", "http-", "frame-", "drive-")]
    assert run(["serve", *empty, *ports, *arguments]) == USER_ERROR
    answer = capsys.readouterr().err.strip()
    assert message in answer
    assert "\n" not in answer


def test_the_module_answers_as_the_command() -> None:
    command = [sys.executable, "-m", "plugin_server", "--max-photos", "17"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == USER_ERROR
    assert done.stderr == "error: max-photos: expected 1 to 16, got 17\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "absent.jpg"], "absent.jpg: expected a photo"),
        (["create"], "expected 1 to 16 files, got none"),
        (["render", "nobody"], "no avatar 'nobody'"),
        (["render", "../../etc"], "avatar name: expected"),
        (["render", "nobody", "--expression", "jawOpen"], "expected NAME=WEIGHT, got 'jawOpen'"),
        (["render", "nobody", "--out", "a.gif"], "expected a name that ends in .png"),
        (["sheet", "nobody"], "no avatar 'nobody'"),
        (["morph-sheet", "nobody", "nobody"], "no avatar 'nobody'"),
        (["drive", "nobody"], "no avatar 'nobody'"),
        (["drive", "nobody", "--from", "absent.csv"], "cannot read absent.csv"),
        (["drive", "nobody", "--from", str(SHIPPED_PORTRAIT)], "expected a Live Link Face CSV"),
        (["drive", "nobody", "--audio", "absent.wav"], "absent.wav cannot be read"),
        (["drive", "nobody", "--audio", str(SHIPPED_PORTRAIT)], "has no sound"),
        (["drive", "nobody", "--audio", "a.wav", "--intensity", "3"], "expected 0..2"),
        (["drive", "nobody", "--out", "a.avi"], "expected a name that ends in .mp4"),
        (["drive", "nobody", "--fps", "0"], "fps: expected 1..240"),
    ],
)
def test_the_users_mistakes_are_answered_in_a_line(
    arguments: list[str], message: str, empty: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments, *empty]) == USER_ERROR
    answer = capsys.readouterr().err.strip()
    assert message in answer
    assert answer.startswith("error: ")
    assert "\n" not in answer


def test_wrong_usage_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(["drvie"])
    assert stopped.value.code == 2
    assert "drvie" in capsys.readouterr().err


def test_expression_is_read_by_name() -> None:
    assert parse_expression(["jawOpen=0.5", "tongueOut=1"]) == {"jawOpen": 0.5, "tongueOut": 1.0}
    with pytest.raises(DriveError, match="got 'a=b'"):
        parse_expression(["a=b"])


@pytest.mark.parametrize(
    ("file", "name"),
    [("Me.jpg", "me"), ("été à Lyon.png", "t-lyon"), ("__x.png", "x"), ("写真.png", "avatar")],
)
def test_names_are_made_of_file_names(file: str, name: str) -> None:
    assert name_from_file(Path(file)) == name


SERVES_AND_WAITS = """
import sys, time
from pathlib import Path
import flexavatar.cli as cli
from plugin_server.client.server_process import server_process

def wait():
    with server_process(Path(sys.argv[1])) as address:
        print(address, flush=True)
        time.sleep(60)

cli.run = wait
cli.main()
"""


def test_a_command_that_is_told_to_end_ends_its_server(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVES_AND_WAITS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        host, _, port = process.stdout.readline().strip().rpartition(":")
        socket.create_connection((host, int(port)), 5).close()
        process.terminate()
        assert process.wait(30) == TERMINATED
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), 5)
