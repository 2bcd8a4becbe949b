"""The user's cache: kept and found again, or as if it had never been."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flexavatar.cache import cache_folder, content_key, load_arrays, save_arrays

ARRAYS = {"places": np.arange(6.0).reshape(2, 3), "names": np.array(["a", "bc"])}
KEY = content_key(1, ARRAYS["places"])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "flexavatar"


def test_kept_and_found_again(folder: Path) -> None:
    assert load_arrays("kind", KEY) is None
    save_arrays("kind", KEY, ARRAYS)
    kept = load_arrays("kind", KEY)
    assert kept is not None
    assert kept.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(kept[name], array)
    assert load_arrays("other", KEY) is None
    assert len(list(folder.iterdir())) == 1  # no draft is left


def test_the_key_tells_all_apart() -> None:
    x = np.arange(6)
    keys = [
        content_key(1, x),
        content_key(2, x),
        content_key(1, x.reshape(2, 3)),
        content_key(1, x.astype(np.int32)),
        content_key(1, x[:3], x[3:]),
        content_key(1, x[::-1]),
    ]
    assert len({*keys}) == len(keys)


def test_damaged_and_foreign_files_count_as_absent(folder: Path) -> None:
    save_arrays("kind", KEY, ARRAYS)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    for spoilt in (b"", b"no archive", whole[: len(whole) // 2], whole.replace(b"PK", b"KP")):
        path.write_bytes(spoilt)
        assert load_arrays("kind", KEY) is None
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 0xFF
    path.write_bytes(flipped)
    kept = load_arrays("kind", KEY)
    assert kept is None or all(np.array_equal(kept[n], a) for n, a in ARRAYS.items())
    save_arrays("kind", KEY[:24] + "0" * 40, ARRAYS)  # of the same name, made from something else
    assert load_arrays("kind", KEY) is None
    np.savez(path, key=np.array(KEY), places=np.array([{}], object))  # nothing is unpickled
    assert load_arrays("kind", KEY) is None
    save_arrays("kind", KEY, ARRAYS)
    assert load_arrays("kind", KEY) is not None


def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    save_arrays("kind", KEY, ARRAYS)
    assert load_arrays("kind", KEY) is None


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "not/absolute"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache_folder() == tmp_path / ".cache" / "flexavatar"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert cache_folder() == tmp_path / "elsewhere" / "flexavatar"
