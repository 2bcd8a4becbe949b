"""The compiled library: loading it, and its functions with their types."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import warnings
from ctypes import POINTER, Structure, c_double, c_float, c_int, c_int32, c_int64, c_void_p

from flexavatar.cache import cache_folder
from flexavatar.render.build import PACKAGE, BuildError, build, is_whole, library_name


class Pinhole(Structure):
    """`Pinhole` of native/raster.h."""

    _fields_ = [
        ("view", c_float * 12),
        ("focal", c_float * 2),
        ("centre", c_float * 2),
        ("width", c_int32),
        ("height", c_int32),
    ]


class GaussianArrays(Structure):
    """`GaussianArrays` and `GradientArrays` of native/raster.h: addresses of contiguous floats."""

    _fields_ = [(name, c_void_p) for name in ("means", "quats", "scales", "opacities", "sh")]


class Image(Structure):
    """`Image` of native/raster.h."""

    _fields_ = [
        ("rgba", c_void_p),
        ("depth", c_void_p),
        ("rgba8", c_void_p),
        ("background", c_float * 4),
        ("width", c_int32),
        ("height", c_int32),
    ]


class PictureGradient(Structure):
    """`PictureGradient` of native/raster.h."""

    _fields_ = [(name, c_void_p) for name in ("rgba", "depth", "grad_rgba", "grad_depth")]


class DeformPlan(Structure):
    """`DeformPlan` of native/deform.h."""

    _fields_ = [
        *((name, c_int32) for name in ("vertices", "faces", "splats")),
        *((name, c_void_p) for name in ("corners", "inverses")),
        *((name, c_void_p) for name in ("around_start", "around_face", "around_weight")),
        *((name, c_void_p) for name in ("splat_vertices", "splat_fields")),
    ]


class DeformOutput(Structure):
    """`DeformOutput` of native/deform.h."""

    _fields_ = [
        *((name, c_void_p) for name in ("face_gradients", "vertices")),
        *((name, c_void_p) for name in ("means", "quats", "scales", "opacities", "sh")),
    ]


class ChangePlan(Structure):
    """`ChangePlan` of native/deform.h."""

    _fields_ = [(name, c_void_p) for name in ("number", "texels", "shares", "looks")]


class SamplePlan(Structure):
    """`SamplePlan` of native/deform.h."""

    _fields_ = [
        ("points", c_int32),
        *((name, c_void_p) for name in ("vertices", "shares", "rows")),
    ]


class SkinPlan(Structure):
    """`SkinPlan` of native/deform.h."""

    _fields_ = [
        *((name, c_int32) for name in ("vertices", "shapes", "joints")),
        *((name, c_void_p) for name in ("rest", "basis", "weights")),
    ]


class ProjectedMesh(Structure):
    """`ProjectedMesh` of native/mesh.h."""

    _fields_ = [("vertices", c_void_p), ("corners", c_void_p), ("faces", c_int32)]


class MeshPicture(Structure):
    """`MeshPicture` of native/mesh.h."""

    _fields_ = [
        *((name, c_void_p) for name in ("face_ids", "bary", "depth")),
        *((name, c_int32) for name in ("width", "height")),
    ]


class Layer(Structure):
    """`Layer` of native/conv.h."""

    _fields_ = [
        *((name, c_int32) for name in ("width", "height", "inputs", "outputs")),
        *((name, c_int32) for name in ("kernel", "stride", "input_width", "spread")),
        *((name, c_void_p) for name in ("input", "weights", "bias", "add", "output", "active")),
    ]


class AdamStep(Structure):
    """`AdamStep` of native/adam.h."""

    _fields_ = [
        ("count", c_int64),
        *((name, c_void_p) for name in ("value", "mean", "square", "grad", "share", "start")),
        *((name, c_float) for name in ("pull", "rate", "decay", "square_decay")),
        *((name, c_float) for name in ("root_scale", "least_root")),
    ]


class PosePlan(Structure):
    """`PosePlan` of native/pose_splats.h."""

    _fields_ = [
        *((name, c_int32) for name in ("count", "padded")),
        *((name, c_void_p) for name in ("motion", "start")),
        *((name, c_float) for name in ("shrink", "grow", "drift")),
    ]


class ViewTarget(Structure):
    """`ViewTarget` of native/view_loss.h."""

    _fields_ = [
        *((name, c_void_p) for name in ("colors", "matte", "weight")),
        ("background", c_float * 3),
        *((name, c_float) for name in ("ssim", "alpha")),
        *((name, c_int32) for name in ("width", "height")),
    ]


TILE = 32
"""Pixels: `TILE` of native/raster.h."""
SIGNATURES = {
    "flex_set_threads": (None, (c_int,)),
    "flex_get_threads": (c_int, ()),
    "flex_context_new": (c_void_p, ()),
    "flex_context_free": (None, (c_void_p,)),
    "flex_project": (c_int, (c_void_p, POINTER(Pinhole), c_int, POINTER(GaussianArrays))),
    "flex_draw": (c_int, (c_void_p, POINTER(Image), c_int, c_int)),
    "flex_draw_backward": (
        c_int,
        (c_void_p, POINTER(PictureGradient), POINTER(GaussianArrays), POINTER(GaussianArrays)),
    ),
    "flex_deform": (
        c_int,
        (POINTER(DeformPlan), c_void_p, POINTER(ChangePlan), c_void_p, POINTER(DeformOutput)),
    ),
    "flex_blend": (
        c_int,
        (c_int, *(POINTER(GaussianArrays),) * 2, c_float, POINTER(GaussianArrays)),
    ),
    "flex_lerp": (c_int, (c_void_p, c_void_p, c_float, c_int, c_void_p)),
    "flex_run_layers": (c_int, (POINTER(Layer), c_int)),
    "flex_sample": (c_int, (POINTER(SamplePlan), c_void_p, c_void_p)),
    "flex_skin": (c_int, (POINTER(SkinPlan), c_void_p, c_void_p, c_void_p)),
    "flex_adam_step": (None, (POINTER(AdamStep),)),
    "flex_pose_splats": (None, (POINTER(PosePlan), *(POINTER(GaussianArrays),) * 2)),
    "flex_pose_splats_backward": (None, (POINTER(PosePlan), *(POINTER(GaussianArrays),) * 3)),
    "flex_view_loss_scratch": (c_int64, (c_int, c_int)),
    "flex_view_loss": (
        c_int,
        (POINTER(ViewTarget), c_void_p, c_void_p, c_void_p, POINTER(c_double)),
    ),
    "flex_mesh": (c_int, (POINTER(ProjectedMesh), POINTER(MeshPicture))),
}


def available_threads() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _find_or_build() -> ctypes.CDLL:
    """The library that was compiled at install or for this user, else compiled now, for this user.

    Raises BuildError or OSError.
    """
    name, own = library_name(), cache_folder()
    if (PACKAGE / name).is_file():
        return ctypes.CDLL(str(PACKAGE / name))
    if own is not None and is_whole(own / name):
        return ctypes.CDLL(str(own / name))
    for folder in (own, PACKAGE):
        if folder is not None:
            with contextlib.suppress(OSError):  # it cannot be written to
                return ctypes.CDLL(str(build(folder)))
    raise BuildError(f"cannot write to {own} or {PACKAGE}")


@functools.cache
def library() -> ctypes.CDLL | None:
    """The library, compiled now if it must be; None, with a warning, if it cannot be had."""
    try:
        loaded = _find_or_build()
    except (BuildError, OSError) as error:
        warnings.warn(
            f"the compiled renderer is not available, a slow one is used instead: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    loaded.flex_set_threads(available_threads())
    return loaded


def set_threads(count: int) -> None:
    """How many threads the compiled code works with, the caller's included."""
    if (native := library()) is not None:
        native.flex_set_threads(count)


def get_threads() -> int:
    """How many threads the compiled code works with; 1 without it."""
    native = library()
    return 1 if native is None else native.flex_get_threads()
