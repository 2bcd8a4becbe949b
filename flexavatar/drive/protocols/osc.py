"""Open Sound Control 1.0: datagrams <-> messages.

A reader of our own, since the one on PyPI (python-osc 1.10) answers damaged packets with
UnicodeDecodeError and nested bundles with RecursionError, and we need little of it.

Source: https://opensoundcontrol.stanford.edu/spec-1_0.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flexavatar.drive.protocols.checks import Faults
from flexavatar.errors import DriveError

BUNDLE = b"#bundle\0"
AT_ONCE = struct.pack(">Q", 1)
"""The time tag that means now."""
MAX_DEPTH = 4
"""Bundles in bundles."""

Argument = str | bytes | int | float | bool | None
NUMBERS = {"i": struct.Struct(">i"), "f": struct.Struct(">f")}
NUMBERS |= {"h": struct.Struct(">q"), "d": struct.Struct(">d"), "t": struct.Struct(">Q")}
SIZE = struct.Struct(">i")
UNUSED = dict.fromkeys("crm", struct.Struct(">I"))
"""A letter, a colour, MIDI: nobody asks for them."""
NO_BRACKETS = {ord(bracket): None for bracket in "[]"}
"""Values of an array count as if they stood alone."""
CONSTANTS: dict[str, Argument] = {"T": True, "F": False, "N": None, "I": None}


@dataclass(frozen=True)
class Message:
    """One OSC message."""

    address: str
    arguments: tuple[Argument, ...]


def read_messages(packet: bytes, faults: Faults | None = None) -> list[Message]:
    """All messages of a datagram in their order. Raises DriveError.

    With `faults` a bundle's messages that cannot be read are left out, and named there.
    """
    return list(_contents(packet, 0, faults))


def _contents(packet: bytes, depth: int, faults: Faults | None) -> Iterator[Message]:
    if not packet.startswith(BUNDLE):
        attempt = faults.attempt if faults is not None and depth else lambda read: read()
        if (message := attempt(lambda: _message(packet))) is not None:
            yield message
        return
    if depth == MAX_DEPTH:
        raise DriveError(f"OSC: expected bundles at most {MAX_DEPTH} deep")
    start = len(BUNDLE) + len(AT_ONCE)
    while start < len(packet):
        element, start = _sized_element(packet, start)
        yield from _contents(element, depth + 1, faults)


def _sized_element(packet: bytes, start: int) -> tuple[bytes, int]:
    """Bytes behind their size, and where they end."""
    size = int(_unpack(SIZE, packet, start))
    start += SIZE.size
    if not 0 <= size <= len(packet) - start:
        raise DriveError(f"OSC: expected a size within the packet, got {size}")
    return packet[start : start + size], start + size


def _unpack(kind: struct.Struct, packet: bytes, start: int) -> int | float:
    if len(packet) < start + kind.size:
        raise DriveError("OSC: the packet ends in the middle of a number")
    return kind.unpack_from(packet, start)[0]


def _message(packet: bytes) -> Message:
    address, start = _text(packet, 0)
    tags, start = _text(packet, start)
    if not address.startswith("/") or not tags.startswith(","):
        raise DriveError(f"OSC: expected an address and types, got {address!r:.40} {tags!r:.20}")
    arguments = []
    for tag in tags[1:].translate(NO_BRACKETS):
        value, start = _argument(tag, packet, start)
        arguments.append(value)
    return Message(address, tuple(arguments))


def _text(packet: bytes, start: int) -> tuple[str, int]:
    """A string that ends in zeros, up to a multiple of four bytes."""
    end = packet.find(b"\0", start)
    if end < 0:
        raise DriveError("OSC: expected a string that ends")
    return packet[start:end].decode("utf-8", "replace"), _padded(end + 1)


def _padded(size: int) -> int:
    return size + -size % 4


def _argument(tag: str, packet: bytes, start: int) -> tuple[Argument, int]:
    if tag in NUMBERS:
        return _unpack(NUMBERS[tag], packet, start), start + NUMBERS[tag].size
    if tag in ("s", "S"):
        return _text(packet, start)
    if tag in UNUSED:
        _unpack(UNUSED[tag], packet, start)
        return None, start + UNUSED[tag].size
    if tag == "b":
        blob, end = _sized_element(packet, start)
        return blob, _padded(end)
    if tag in CONSTANTS:
        return CONSTANTS[tag], start
    raise DriveError(f"OSC: expected types of OSC 1.0, got {tag!r}")


def write_message(address: str, *arguments: str | int | float) -> bytes:
    """One message; ints are i, floats f, text s."""
    tags, content = ",", b""
    for argument in arguments:
        if isinstance(argument, str):
            tags, content = tags + "s", content + _terminated(argument)
        else:
            tag = "i" if isinstance(argument, int) else "f"
            tags, content = tags + tag, content + NUMBERS[tag].pack(argument)
    return _terminated(address) + _terminated(tags) + content


def _terminated(text: str) -> bytes:
    data = text.encode() + b"\0"
    return data.ljust(_padded(len(data)), b"\0")


def write_bundle(messages: Sequence[bytes]) -> bytes:
    """One bundle, to be handled at once."""
    return BUNDLE + AT_ONCE + b"".join(SIZE.pack(len(m)) + m for m in messages)
