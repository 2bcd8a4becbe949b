"""The names that capture apps give to ARKit's shapes.

Apple writes `jawOpen` and `eyeBlinkLeft`. Live Link Face, VTube Studio and some VMC senders write
`JawOpen`, iFacialMocap and MeowFace `eyeBlink_L`; the case of the first letter differs even within
one app. Some put a prefix before it (`BlendShape.jawOpen`), or write words apart (`jaw_open`).
Always by name: the order differs between apps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from flexavatar.head.arkit import ARKIT_NAMES


def pascal_case(name: str) -> str:
    """ARKit's `jawOpen` as Live Link Face writes it: `JawOpen`."""
    return name[0].upper() + name[1:]


def snake_side(name: str) -> str:
    """ARKit's `eyeBlinkLeft` as iFacialMocap writes it: `eyeBlink_L`. `mouthLeft` stays."""
    stem = name.removesuffix("Left").removesuffix("Right")
    return name if stem in ("jaw", "mouth", name) else f"{stem}_{name[len(stem)]}"


PREFIX = re.compile(r"^.*[./:]|^(arkit|blend ?shapes?|bs|face)[ _-]+", re.IGNORECASE)
"""What apps put before a name: what it belongs to."""
APART = re.compile(r"[^a-z0-9]")


def _letters(name: str) -> str:
    return APART.sub("", name.lower())


SPELLINGS: Mapping[str, str] = {
    _letters(spelling): name for name in ARKIT_NAMES for spelling in (name, snake_side(name))
}
"""The letters alone, in lower case -> ARKit's own."""


def without_prefix(sent: str) -> str:
    """A shape's own name: `jawOpen` of `BlendShape.jawOpen`."""
    return PREFIX.sub("", sent.strip())


def arkit_name(sent: str) -> str | None:
    """ARKit's name of a shape in whatever spelling, None if it is none of the 52."""
    return SPELLINGS.get(_letters(without_prefix(sent)))
