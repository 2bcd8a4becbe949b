"""The messages' description: what is generated from it, and what engines' generators can read."""

from __future__ import annotations

import re
from pathlib import Path

from plugin_server import generate
from plugin_server.pb import flexavatar_pb2 as pb


def test_generated_files_are_up_to_date(tmp_path: Path) -> None:
    generate.generate(tmp_path)
    for path in (tmp_path / "plugin_server/pb").iterdir():
        committed = generate.ROOT / "plugin_server/pb" / path.name
        assert committed.read_text() == path.read_text(), "run python -m plugin_server.generate"


def test_protos_can_be_built_by_engine_plugins() -> None:
    service = pb.DESCRIPTOR.services_by_name["FlexAvatar"]
    streaming = [m.name for m in service.methods if m.client_streaming or m.server_streaming]
    unary = {m.name for m in service.methods} - {*streaming}
    assert streaming
    assert all(f"{name}Once" in unary for name in streaming)
    assert not pb.DESCRIPTOR.dependencies
    source = (generate.PROTO / "flexavatar.proto").read_text()
    assert not re.search(r"^\s*optional\b|google\.protobuf\.Any", source, re.MULTILINE)
