"""The command line, as a user types it: what it prints, what it leaves, how it exits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flexavatar.cli import USER_ERROR, run
from flexavatar.cli.avatars import name_of
from flexavatar.cli.pictures import parse_expression
from flexavatar.demo import SHIPPED_PORTRAIT
from flexavatar.errors import DriveError
from tests.service import PHOTO, TinyEngine, local_config, server_and_client

COMMANDS = "create drive render sheet list show delete serve arkit-report bench".split()


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
        (["drive", "nobody"], "no avatar 'nobody'"),
        (["drive", "nobody", "--from", "absent.csv"], "cannot read absent.csv"),
        (["drive", "nobody", "--from", str(SHIPPED_PORTRAIT)], "expected a Live Link Face CSV"),
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
    assert name_of(Path(file)) == name
