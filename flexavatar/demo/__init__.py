"""The main job from end to end: a photo becomes a living head on a client's screen."""

from importlib import resources
from pathlib import Path

SHIPPED_PORTRAIT = Path(str(resources.files("flexavatar") / "assets/portrait/astronaut.png"))
"""The photo that comes with the package: Eileen Collins, official NASA portrait."""
