"""Reads pickled arrays without running anything that the pickle names.

Every global of an allow-list becomes an inert record that only remembers its arguments; any other
name is refused. Arrays, sparse matrices and chumpy objects are then rebuilt from the records by
our own code, with plain numeric types only.
"""

from __future__ import annotations

import io
import pickle
from typing import Any, ClassVar

import numpy as np

from flexavatar.errors import AssetError

_NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
_ALLOWED = {
    *((module, name) for module in _NUMPY for name in ("_reconstruct", "scalar")),
    *((module, "_frombuffer") for module in _NUMERIC),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
    ("copy_reg", "_reconstructor"),
    ("copyreg", "_reconstructor"),
    ("__builtin__", "object"),
    ("builtins", "object"),
}
_SPARSE = ("csc_matrix", "csr_matrix", "csc_array", "csr_array")
_MAX_SIDE = 1 << 24


class Record:
    """Arguments and state of a global of the allow-list; it does nothing."""

    module = ""
    name = ""

    def __new__(cls, *args: Any) -> Record:
        record = super().__new__(cls)
        record.args = args
        record.state = None
        record.items = {}
        return record

    args: tuple[Any, ...]
    state: Any
    items: dict[Any, Any]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value


# The unpickler in Python, not the one in C: a forged memo index makes that one fill memory.
class _Unpickler(pickle._Unpickler):
    """Builds only plain containers and records."""

    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        known = (module, name) in _ALLOWED or module.split(".")[0] == "chumpy"
        if not known and not (module.startswith("scipy.sparse") and name in _SPARSE):
            raise AssetError(f"pickle: expected only arrays, got the global {module}.{name}")
        return type(name, (Record,), {"module": module, "name": name})

    def build(self) -> None:
        """The BUILD opcode: remember the state, call nothing."""
        state = self.stack.pop()  # type: ignore[attr-defined]
        target = self.stack[-1]  # type: ignore[attr-defined]
        if not isinstance(target, Record):
            raise AssetError(
                f"pickle: expected state for an array, got it for {type(target).__name__}"
            )
        target.state = state

    dispatch[pickle.BUILD[0]] = build  # type: ignore[assignment]


def read_pickle(data: bytes) -> Any:
    """The inert tree of a pickle: containers, numbers, strings and `Record`s.

    Raises AssetError for a global that is not on the allow-list and for damaged data.
    """
    try:
        return _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except AssetError:
        raise
    except Exception as error:  # damaged bytes fail in many ways
        raise AssetError(
            f"pickle: expected a whole pickle, got damaged data ({error!r})"
        ) from error


def as_mapping(value: Any) -> dict[str, Any]:
    """The top of a model file: a dict or an OrderedDict with names as keys."""
    if isinstance(value, Record) and value.name == "OrderedDict":
        pairs = value.args[0] if value.args else []
        value = {**dict(pairs), **value.items}
    if not isinstance(value, dict):
        raise AssetError(f"pickle: expected a dictionary of arrays, got {type(value).__name__}")
    return {str(key): item for key, item in value.items()}


def as_array(name: str, value: Any) -> np.ndarray:
    """A number, list, array, sparse matrix or chumpy object as a dense numeric array.

    Raises AssetError if it is none of these.
    """
    try:
        array = np.asarray(_rebuild(value))
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise AssetError(f"{name}: expected an array, got damaged data ({error!r})") from error
    if array.dtype.kind not in "biuf":
        raise AssetError(f"{name}: expected numbers, got {array.dtype}")
    return array


def _rebuild(value: Any) -> Any:
    if not isinstance(value, Record):
        return value
    if value.name == "_reconstruct":
        _, shape, dtype, fortran, raw = value.state
        return _array(raw, dtype, shape, "F" if fortran else "C")
    if value.name == "_frombuffer":
        raw, dtype, shape, order = value.args
        return _array(raw, dtype, shape, str(order))
    if value.name == "scalar":
        return _array(value.args[1], value.args[0], (), "C")
    if value.name == "_reconstructor":
        inner = value.args[0]()
        inner.state = value.state
        return _rebuild(inner)
    if value.module.startswith("scipy.sparse"):
        return _dense(value)
    if value.module.split(".")[0] == "chumpy":
        return _rebuild(value.state["x"] if "x" in value.state else value.state["r"])
    raise TypeError(f"{value.module}.{value.name} is no array")


def _array(raw: Any, dtype: Record, shape: tuple[int, ...], order: str) -> np.ndarray:
    if order not in ("C", "F"):
        raise ValueError(f"order {order!r}")
    return np.frombuffer(_bytes(raw), _dtype(dtype)).reshape(shape, order=order)  # type: ignore[call-overload]


def _bytes(raw: Any) -> bytes:
    text: Any = raw.args[0] if isinstance(raw, Record) and raw.name == "encode" else raw
    return text.encode("latin1") if isinstance(text, str) else bytes(memoryview(text))


def _dtype(record: Record) -> np.dtype:
    """Booleans, integers and floats; nothing with objects or fields."""
    code = record.args[0]
    code = code.decode() if isinstance(code, bytes) else code
    order = record.state[1] if record.state else "|"
    order = order.decode() if isinstance(order, bytes) else order
    if code[0] not in "biuf" or not code[1:].isdigit() or order not in ("<", ">", "|", "="):
        raise TypeError(f"dtype {order}{code}")
    return np.dtype(order + code)


def _dense(record: Record) -> np.ndarray:
    """scipy's compressed sparse rows or columns as a dense array."""
    state = record.state
    rows, columns = (int(n) for n in state.get("_shape", state.get("shape")))
    data, minor, ends = (np.asarray(_rebuild(state[k])) for k in ("data", "indices", "indptr"))
    by_row = record.name.startswith("csr")
    majors = rows if by_row else columns
    counts = np.diff(ends)
    if (
        len(ends) != majors + 1
        or (counts < 0).any()
        or counts.sum() != len(minor)
        or rows * columns > _MAX_SIDE
    ):
        raise ValueError("sparse matrix with wrong index pointers")
    if len(minor) and minor.min() < 0:
        raise ValueError("sparse matrix with negative indices")
    major = np.repeat(np.arange(majors), counts)
    dense = np.zeros((rows, columns), data.dtype)
    np.add.at(dense, (major, minor) if by_row else (minor, major), data)
    return dense
