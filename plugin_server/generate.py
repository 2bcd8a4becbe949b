"""Generates plugin_server/pb from proto/, with grpcio-tools: `python -m plugin_server.generate`."""

from __future__ import annotations

import sys
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto" / "flexavatar" / "v1"


def generate(out: Path) -> None:
    """Write the messages, their type stubs and the gRPC stubs under `out`/plugin_server/pb.

    The virtual path makes protoc write into our package; plain -Iproto would write `flexavatar/`.
    """
    out.mkdir(parents=True, exist_ok=True)
    outputs = [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
    files = [f"plugin_server/pb/{path.name}" for path in sorted(PROTO.glob("*.proto"))]
    if code := protoc.main(["protoc", f"-Iplugin_server/pb={PROTO}", *outputs, *files]):
        raise SystemExit(code)


if __name__ == "__main__":
    generate(ROOT if len(sys.argv) < 2 else Path(sys.argv[1]))
