"""The engine that the server runs on: flexavatar itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from flexavatar.avatar import (
    Animator,
    Avatar,
    CreateConfig,
    create_avatar,
    load_avatar,
    save_avatar,
)
from flexavatar.head.arkit import arkit_to_flame, load_arkit_basis
from flexavatar.head.open_head import load_open_head
from flexavatar.render.rasterize import rasterize, rasterize_rgba8
from flexavatar.types import Camera, FlameCodes, Gaussians, to_device
from plugin_server.engine import Progress
