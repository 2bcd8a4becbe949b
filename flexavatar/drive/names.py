"""The names that capture apps give to ARKit's shapes.

Apple writes `jawOpen` and `eyeBlinkLeft`. Live Link Face, VTube Studio and some VMC senders write
`JawOpen`, iFacialMocap and MeowFace `eyeBlink_L`; the case of the first letter differs even within
one app. Always by name: the order differs between apps.
"""

from __future__ import annotations

from collections.abc import Mapping

from flexavatar.head.arkit import ARKIT_NAMES


def pascal_case(name: str) -> str:
    """ARKit's `jawOpen` as Live Link Face writes it: `JawOpen`."""
    return name[0].upper() + name[1:]


def snake_side(name: str) -> str:
    """ARKit's `eyeBlinkLeft` as iFacialMocap writes it: `eyeBlink_L`. `mouthLeft` stays."""
    stem = name.removesuffix("Left").removesuffix("Right")
    return name if stem in ("jaw", "mouth", name) else f"{stem}_{name[len(stem)]}"


SPELLINGS: Mapping[str, str] = {
    spelling.lower(): name for name in ARKIT_NAMES for spelling in (name, snake_side(name))
}
"""Lower case, as any app writes it -> ARKit's own."""


def arkit_name(sent: str) -> str | None:
    """ARKit's name of a shape in whatever spelling, None if it is none of the 52."""
    return SPELLINGS.get(sent.lower())
