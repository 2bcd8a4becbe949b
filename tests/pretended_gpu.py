"""A GPU that is not there: tensors that say cuda and compute on the CPU.

It finds what a real one would stumble over, tensors of two devices in one operation, and counts
what it would be slow with: kernels, copies, and waits until all kernels are done.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import gsplat
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from tests.conftest import ROOT
from tests.gsplat_formulas import rasterization

CUDA = torch.device("cuda", 0)
WAITING = {
    "_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "equal",
    "_linalg_check_errors", "_linalg_det", "bincount", "repeat_interleave",
}  # fmt: skip
"""Operations that cannot end before the GPU has told the CPU something."""
NO_KERNEL = {"detach", "alias", "lift_fresh", "_unsafe_view", "_reshape_alias", "set_"}
INDEXED = {"__getitem__", "__setitem__"}
READS = {"item", "tolist", "__bool__", "__int__", "__float__", "__index__"}
FORBIDDEN = {"numpy", "__array__", "data_ptr"}


class DeviceMixError(AssertionError):
    """Tensors of two devices in one operation, or a GPU's address given to the CPU."""


class PretendedTensor(Tensor):
    """On the GPU, as it says."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore

    @property
    def is_cuda(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return True

    @property
    def device(self) -> torch.device:  # pyright: ignore[reportIncompatibleVariableOverride]
        return CUDA


def on_gpu(x: Tensor) -> Tensor:
    return x if isinstance(x, PretendedTensor) else x.as_subclass(PretendedTensor)


def on_cpu(value: Any) -> Any:
    """The same with every pretended tensor as what it is, uncounted."""
    with torch._C.DisableTorchFunction():
        return tree_map_only(PretendedTensor, lambda x: x.as_subclass(Tensor), value)


class _Kernels(TorchDispatchMode):
    """Counts operations that are kernels on a GPU, and those that wait for it."""

    def __init__(self, gpu: PretendedGpu) -> None:
        super().__init__()
        self._gpu = gpu

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func._schema.name.removeprefix("aten::")
        masks = name.startswith(("index", "_index_put")) and any(
            isinstance(x, Tensor) and x.dtype == torch.bool for x in tree_leaves(args[1])
        )
        if name in WAITING or masks:
            self._gpu.waits[f"{place()} {name}"] += 1
        if not (func.is_view or name in NO_KERNEL or "empty" in name):
            self._gpu.kernels[name] += 1
        return func(*args, **(kwargs or {}))


class PretendedGpu(TorchFunctionMode):
    """While it is entered, cuda:0 is there."""

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        """Count from here."""
        self.kernels: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.uploads: Counter[str] = Counter()
        self.downloads: Counter[str] = Counter()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        first: Any = args[0] if args else None
        if name == "__get__" or name == "__set__":
            return _like(first, func(*args, **kwargs))
        if name == "_has_compatible_shallow_copy_type":
            return False  # so that a module that moves gets new parameters
        if name in ("to", "cpu", "cuda", "pin_memory", "copy_", "type_as"):
            return self._copy(name, func, first, *args[1:], **kwargs)
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        pretended = [x for x in tensors if isinstance(x, PretendedTensor)]
        device = kwargs.get("device")
        if device is not None and torch.device(device).type == "cuda":
            return self._run(func, args, {**kwargs, "device": "cpu"})
        if not pretended:
            return func(*args, **kwargs)
        if name in FORBIDDEN:
            raise DeviceMixError(f"{name}() of a tensor on the GPU at {place()}")
        self._check_devices(name, first, tensors)
        if name in READS:
            self.waits[f"{place()} {name}"] += 1
            return func(*args, **kwargs)
        return self._run(func, args, {k: v for k, v in kwargs.items() if k != "device"})

    def _check_devices(self, name: str, first: Any, tensors: list[Tensor]) -> None:
        """Numbers and indices may come from the CPU, which a copy brings over; nothing else."""
        strangers = [x for x in tensors if not isinstance(x, PretendedTensor) and x.ndim]
        if not strangers:
            return
        if name in INDEXED and isinstance(first, PretendedTensor):
            self.uploads[f"{place()} index"] += len(strangers)
            return
        shapes = [tuple(x.shape) for x in strangers]
        raise DeviceMixError(f"{name} of the GPU's tensors and the CPU's {shapes} at {place()}")

    def _run(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        with _Kernels(self):
            result = func(*args, **kwargs)
        return tree_map_only(Tensor, on_gpu, result)

    def _copy(self, name: str, func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Between devices, counted; within one it is an operation like others."""
        here = isinstance(x, PretendedTensor)
        if name == "pin_memory":
            return x
        if name == "copy_":
            if isinstance(args[0], PretendedTensor) != here:
                self._count_copy(to_gpu=here, waits=not kwargs.get("non_blocking"))
            x.copy_(*args)
            return x
        there, dtype = here, kwargs.get("dtype")
        for given in (*args, kwargs.get("device")):
            if isinstance(given, Tensor):
                there, dtype = isinstance(given, PretendedTensor), given.dtype
            elif isinstance(given, torch.dtype):
                dtype = given
            elif isinstance(given, str | torch.device):
                there = torch.device(given).type == "cuda"
        there = there if name in ("to", "type_as") else name == "cuda"
        if here and there:
            return self._run(torch.Tensor.to, (x, dtype or x.dtype), {})
        moved = x.to(dtype or x.dtype, copy=here != there)
        if here != there:
            self._count_copy(to_gpu=there, waits=not kwargs.get("non_blocking"))
        return on_gpu(moved) if there else on_cpu(moved)

    def _count_copy(self, to_gpu: bool, waits: bool) -> None:
        (self.uploads if to_gpu else self.downloads)[place()] += 1
        if waits:
            self.waits[f"{place()} copy"] += 1


def _like(first: Any, result: Any) -> Any:
    """What an attribute of a tensor gives: on the GPU if the tensor is."""
    if isinstance(first, PretendedTensor) and isinstance(result, Tensor):
        return on_gpu(result)
    return result


def place() -> str:
    """The line of ours that is being carried out."""
    frame = sys._getframe()
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith((f"{ROOT}/flexavatar", f"{ROOT}/plugin_server")):
            return f"{name.removeprefix(f'{ROOT}/')}:{frame.f_lineno}"
        frame = frame.f_back
    return "a test"


def pretend_gsplat(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """gsplat's formulas in place of its kernels; the arguments of every call."""
    calls: list[dict[str, Any]] = []

    def draw(**arguments: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
        with torch._C.DisableTorchFunction():
            tensors = {k: v for k, v in arguments.items() if isinstance(v, Tensor)}
            on = {type(x) for x in tensors.values()}
            assert len(on) == 1, f"gsplat was given tensors of two devices: {on}"
            calls.append(arguments)
            picture, alpha, about = rasterization(**on_cpu(arguments))
            wrap = on_gpu if PretendedTensor in on else lambda x: x
            return wrap(picture), wrap(alpha), about

    monkeypatch.setattr(gsplat, "rasterization", draw)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    return calls


@contextmanager
def pretended_gpu() -> Iterator[PretendedGpu]:
    """A GPU, on which modules' parameters are replaced as they are moved."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with PretendedGpu() as gpu:
            yield gpu
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)


def values_of(gaussians: Any) -> SimpleNamespace:
    """Copies of all fields, as what they are."""
    return SimpleNamespace(**{k: on_cpu(v).clone() for k, v in vars(gaussians).items()})
