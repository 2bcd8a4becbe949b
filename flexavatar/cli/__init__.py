"""The command `flexavatar`: make avatars from photos, look at them, drive them, serve them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from flexavatar.cli.avatars import Create, Delete, Interpolate, List, Show
from flexavatar.cli.drive import Drive
from flexavatar.cli.evaluate import Evaluate
from flexavatar.cli.export import Bake, Export
from flexavatar.cli.pictures import MorphSheet, Render, Sheet
from flexavatar.cli.send import Send
from flexavatar.cli.studio import Studio
from flexavatar.cli.tools import ArkitReport, Bench, Route, Serve
from flexavatar.cli.train import Train
from flexavatar.cli.view import View
from flexavatar.errors import FlexAvatarError
from plugin_server.config import environment_options

USER_ERROR = 1
INTERRUPTED, TERMINATED = 130, 143
DESCRIPTION = "Turn photos of one person into a 3D Gaussian head and drive it in real time."

Command = (
    Annotated[Create, tyro.conf.subcommand("create")]
    | Annotated[Drive, tyro.conf.subcommand("drive")]
    | Annotated[Render, tyro.conf.subcommand("render")]
    | Annotated[Sheet, tyro.conf.subcommand("sheet")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[Bake, tyro.conf.subcommand("bake")]
    | Annotated[Interpolate, tyro.conf.subcommand("interpolate")]
    | Annotated[MorphSheet, tyro.conf.subcommand("morph-sheet")]
    | Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Show, tyro.conf.subcommand("show")]
    | Annotated[Delete, tyro.conf.subcommand("delete")]
    | Annotated[Serve, tyro.conf.subcommand("serve")]
    | Annotated[Studio, tyro.conf.subcommand("studio")]
    | Annotated[Route, tyro.conf.subcommand("route")]
    | Annotated[View, tyro.conf.subcommand("view")]
    | Annotated[Send, tyro.conf.subcommand("send")]
    | Annotated[ArkitReport, tyro.conf.subcommand("arkit-report")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Bench, tyro.conf.subcommand("bench")]
)


def run(arguments: Sequence[str] | None = None) -> int:
    """Parse and carry out one command -> exit status: 0, 1 for the user's errors, 2 for usage."""
    given = [*(sys.argv[1:] if arguments is None else arguments)]
    try:  # settings that cannot be are refused while they are parsed
        if given[:1] in (["serve"], ["studio"]):
            given[1:1] = environment_options(os.environ, given)
        command = tyro.cli(Command, prog="flexavatar", description=DESCRIPTION, args=given)  # type: ignore[arg-type]
        command.run()
    except FlexAvatarError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except OSError as error:
        print(f"error: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def main() -> None:
    """Entry point of the installed command. Told to end, it ends what it has started first."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(TERMINATED))
    sys.exit(run())
