"""The order in which the parts may import each other: each only what stands above it here."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import ROOT

ORDER: Sequence[str] = """
flexavatar.errors flexavatar.types flexavatar.progress flexavatar.easing flexavatar.cache
flexavatar.head flexavatar.render flexavatar.formats flexavatar.capture flexavatar.rigs
flexavatar.models flexavatar.avatar flexavatar.baked flexavatar.create flexavatar.drive
plugin_server.pb plugin_server.generate plugin_server.background plugin_server.latest
plugin_server.wire plugin_server.errors plugin_server.logs plugin_server.shutdown
plugin_server.avatar_record plugin_server.store plugin_server.engine plugin_server.avatar_copy
plugin_server.create_process plugin_server.model_engine plugin_server.gateways plugin_server.config
plugin_server.security plugin_server.bodies plugin_server.call_gate plugin_server.quotas
plugin_server.creation plugin_server.playout plugin_server.speech plugin_server.splats
plugin_server.subscriptions plugin_server.frame_mailbox plugin_server.publisher plugin_server.frames
plugin_server.session plugin_server.frameloop plugin_server.neutral_faces plugin_server.live
plugin_server.messages plugin_server.sessions plugin_server.drive_stream plugin_server.audio_stream
plugin_server.drive_socket plugin_server.frame_websocket plugin_server.picture_drive
plugin_server.puppets plugin_server.session_start plugin_server.service plugin_server.connect_http
plugin_server.static_pages plugin_server.http_server plugin_server.monitoring
plugin_server.grpc_server plugin_server.server plugin_server.router plugin_server.client
plugin_server.__main__ flexavatar.training flexavatar.evaluation flexavatar.demo flexavatar.bench
flexavatar.cli flexavatar.__main__
""".split()
FILES = sorted(
    path
    for package in ("flexavatar", "plugin_server")
    for path in (ROOT / package).rglob("*.py")
    if path.relative_to(ROOT).as_posix() != f"{package}/__init__.py"
)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path) for path in FILES}


def part_of(module: str) -> str:
    """The first two names: flexavatar.head.arkit belongs to flexavatar.head."""
    return ".".join(module.split(".")[:2])


def imports_of(path: Path) -> set[str]:
    """Modules of ours that a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: expected an absolute import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & MODULES or {str(node.module)}
    return {name for name in found if name.partition(".")[0] in ("flexavatar", "plugin_server")}


def test_every_part_has_its_place() -> None:
    assert len(ORDER) == len({*ORDER})
    assert {part_of(module) for module in MODULES} == {*ORDER}


def test_nothing_imports_upwards() -> None:
    upwards = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in FILES
        for name in imports_of(path)
        if ORDER.index(part_of(name)) > ORDER.index(part_of(module_of(path)))
    ]
    assert not upwards


def test_no_module_imports_itself_in_the_end() -> None:
    """Also within a part there is no circle."""
    below = {module_of(path): imports_of(path) & MODULES for path in FILES}
    while free := {name for name, others in below.items() if not others & {*below}}:
        below = {name: others for name, others in below.items() if name not in free}
    assert not below


def test_the_document_shows_this_order() -> None:
    section = (ROOT / "docs/architecture.md").read_text().partition("\n## Import order\n")[2]
    assert section.split("```")[1].split() == ORDER
