"""Models by name, as the library and users call them, and by number, as in messages."""

from __future__ import annotations

from collections.abc import Mapping

from flexavatar.errors import InputError
from plugin_server.pb import flexavatar_pb2 as pb

MODEL_NUMBERS: Mapping[str, pb.Model] = {
    "": pb.MODEL_UNSPECIFIED,
    "query_lrm": pb.MODEL_QUERY_LRM,
    "bias_sink": pb.MODEL_BIAS_SINK,
    "fit": pb.MODEL_FIT,
}


def model_number(name: str) -> pb.Model:
    """The number of a name; "" is the server's choice. Raises InputError for another."""
    if name not in MODEL_NUMBERS:
        known = ", ".join(filter(None, MODEL_NUMBERS))
        raise InputError(f"model: expected one of {known}, got {name!r}")
    return MODEL_NUMBERS[name]


def model_name(number: int) -> str:
    """The name of a number. Raises InputError for one that is no model's."""
    for name, own in MODEL_NUMBERS.items():
        if own == number:
            return name
    raise InputError(f"model: expected one of {pb.Model.keys()}, got {number}")
