"""What documents name: commands, options, files, modules, extras, calls; and whether it exists."""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import re
import shlex
import subprocess
import sys
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

import tyro
from google.protobuf import json_format
from google.protobuf.message_factory import GetMessageClass

from flexavatar.cli import Command
from plugin_server.connect_http import SERVICE
from tests.conftest import ROOT

TOPS = ".ci deploy docs flexavatar plugin_server proto tests unity_bridge unreal_bridge".split()
TREE = [
    path.relative_to(ROOT).as_posix()
    for paths in (ROOT.glob("*"), *((ROOT / top).rglob("*") for top in TOPS))
    for path in paths
]
"""Every file and folder of the repository, and what is built beside them."""
CODE = (".py", ".cpp", ".h", ".hlsl", ".ush", ".cs", ".proto", ".md", ".toml")
"""Files whose names, in backticks, are of this repository. Pictures and data may be the user's."""


# ---- what a document consists of


def blocks(text: str, language: str) -> list[str]:
    """Fenced blocks of a language; "" for those that name none."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def spans(text: str) -> list[str]:
    """What stands in backticks, outside fenced blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.M))


def shell_lines(text: str) -> list[str]:
    """Lines of indented blocks."""
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


def commands(text: str, program: str) -> list[str]:
    """Lines and spans in which a program is called, without comments."""
    called = (*shell_lines(text), *spans(text))
    return [line for line in called if re.match(rf"{re.escape(program)}( |$)", line)]


# ---- what there is

USAGE = "usage: flexavatar"


def output_of(arguments: list[str]) -> tuple[int, str]:
    """Exit status and output of `flexavatar ARGUMENTS`, parsed and not run."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            tyro.cli(Command, prog="flexavatar", args=arguments)  # type: ignore[arg-type]
        except SystemExit as end:
            return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


@lru_cache
def help_of(path: tuple[str, ...]) -> str:
    """What `flexavatar PATH --help` says."""
    return output_of([*path, "--help"])[1]


def below(path: tuple[str, ...]) -> list[str]:
    """Names of a command's own commands."""
    named = re.match(r"usage: [^{\n]*\{([^}]*)\}", help_of(path))
    names = named[1].split(",") if named else []  # a command's, or an argument's choices
    return [n for n in names if help_of((*path, n)).startswith(" ".join((USAGE, *path, n, "")))]


def flags_in(text: str) -> set[str]:
    """Long options that a text names."""
    return set(re.findall(r"(?<![\w-])--[a-z][\w.-]*\w", text))


@lru_cache
def all_flags(path: tuple[str, ...] = ()) -> frozenset[str]:
    """Of a command and all below it."""
    deeper = (all_flags((*path, name)) for name in below(path))
    return frozenset(flags_in(help_of(path))).union(*deeper)


@lru_cache
def module_help(module: str) -> str:
    """What `python -m MODULE --help` says."""
    command = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    return done.stdout


@lru_cache
def extras() -> frozenset[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return frozenset(project["optional-dependencies"])


@lru_cache
def make_targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


# ---- what is wrong with a text: each gives the names that do not exist


def wrong_commands(text: str) -> list[str]:
    """`flexavatar ...`: commands and options; whole lines must be understood, values too."""
    wrong = []
    for line in commands(text, "flexavatar"):
        words = shlex.split(line, comments=True)[1:]
        path: tuple[str, ...] = ()
        while words and below(path) and words[0] in below(path):
            path, words = (*path, words[0]), words[1:]
        first = words[0] if words else "--help"
        if below(path) and not first.startswith("-"):
            wrong.append(line)
        if flags_in(" ".join(words)) - flags_in(help_of(path)):
            wrong.append(line)
    for line in shell_lines(text):
        if line.startswith("flexavatar "):
            status, said = output_of(shlex.split(line, comments=True)[1:])
            wrong += [f"{line}: {said}"] if status else []
    return wrong


def wrong_flags(text: str) -> list[str]:
    """Options alone: some command has them, or the engines' plugins speak of the server's."""
    alone = (span for span in spans(text) if span.startswith("--"))
    return [span for span in alone if flags_in(span) - all_flags()]


def wrong_modules(text: str) -> list[str]:
    """`python -m MODULE --flag`, and dotted names."""
    wrong = []
    for line in (line for line in (*shell_lines(text), *spans(text)) if "python -m " in line):
        words = shlex.split(line.split("python -m ")[1], comments=True)
        own = words[0].partition(".")[0] in ("flexavatar", "plugin_server", "tests")
        if not own and words[0] != "pytest":
            wrong.append(line)
        if own and not resolves(words[0]):
            wrong.append(line)
        elif (
            own and (asked := flags_in(" ".join(words))) and asked - flags_in(module_help(words[0]))
        ):
            wrong.append(line)
    dotted = (s for s in spans(text) if re.fullmatch(r"(flexavatar|plugin_server)(\.\w+)+", s))
    return wrong + [s for s in dotted if not s.endswith(CODE) and not resolves(s)]


def wrong_targets(text: str) -> list[str]:
    """`make TARGET`."""
    lines = (shlex.split(line, comments=True)[1:] for line in commands(text, "make"))
    targets = (word for words in lines for word in words if not re.match(r"-|\w+=", word))
    return [target for target in targets if target not in make_targets()]


def wrong_extras(text: str) -> list[str]:
    """`flexavatar[x]`, `.[x]`, extra `x`."""
    named = re.findall(r"[\"'](?:flexavatar|\.)\[([\w, -]+)\]|\bextra `([\w-]+)`", text)
    found = (name.strip() for pair in named for name in "".join(pair).split(","))
    return [name for name in found if name not in extras()]


def wrong_files(page: Path, text: str) -> list[str]:
    """Links, and files of ours in backticks: paths from the root, ends of paths, patterns."""
    plain = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "``", plain))
    wrong = [link for link in links if not _leads_somewhere(page, link)]
    for span in spans(text):
        if not re.fullmatch(r"[\w./*-]+", span) or "NAME" in span:
            continue
        from_root = "/" in span and span.partition("/")[0] in TOPS
        if from_root:
            found = any(any(base.glob(span)) for base in (ROOT, page.parent))
        else:
            found = not span.endswith(CODE) or any(f"/{n}".endswith(f"/{span}") for n in TREE)
        if not found:
            wrong.append(span)
    return wrong


def _leads_somewhere(page: Path, link: str) -> bool:
    """Whether a link's file exists, and its heading in that file; other sites are not asked."""
    if re.match(r"\w+:", link):
        return True
    target, _, heading = link.partition("#")
    path = page.parent / target if target else page
    return path.exists() and (not heading or heading in anchors(path.read_text()))


def anchors(text: str) -> set[str]:
    """Of a document's headings, as GitHub makes them."""
    plain = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", plain, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def wrong_definitions(text: str) -> list[str]:
    """`file.py` `name()` or `name`: the file defines it, or gives it to an object."""
    wrong = []
    for file, name in re.findall(r"`([\w/]+\.py)` `(\w+)(?:\(\))?`", text):
        defined = re.compile(
            rf"\b(def|class) {name}\b|^\s*(self\.)?{name}\b[^\n=]*[=:]", re.MULTILINE
        )
        files = [ROOT / path for path in TREE if f"/{path}".endswith(f"/{file}")]
        if not any(defined.search(path.read_text()) for path in files):
            wrong.append(f"{file}: {name}")
    return wrong


def wrong_calls(text: str) -> list[str]:
    """`curl`: the service has the call, and its message has the fields."""
    wrong = []
    for line in commands(text, "curl"):
        words = shlex.split(line)
        call = words[-1].rpartition("/")[2]
        if call not in SERVICE.methods_by_name or f"/{SERVICE.full_name}/" not in words[-1]:
            wrong.append(line)
            continue
        message = GetMessageClass(SERVICE.methods_by_name[call].input_type)()
        try:
            json_format.Parse(words[words.index("-d") + 1], message)
        except json_format.ParseError as error:
            wrong.append(f"{line}: {error}")
    return wrong


def wrong_snippets(text: str) -> list[str]:
    """Python that does not compile, or imports what does not exist."""
    wrong = []
    for snippet in blocks(text, "python"):
        for node in ast.walk(ast.parse(snippet)):
            if isinstance(node, ast.Import):
                wrong += [alias.name for alias in node.names if not resolves(alias.name)]
            if isinstance(node, ast.ImportFrom):
                names = (f"{node.module}.{alias.name}" for alias in node.names)
                wrong += [name for name in names if not resolves(name)]
    return wrong


CHECKS = (
    wrong_commands,
    wrong_flags,
    wrong_modules,
    wrong_targets,
    wrong_extras,
    wrong_definitions,
    wrong_calls,
    wrong_snippets,
)


def wrong_names(page: Path, text: str) -> list[str]:
    """All that a document names and that does not exist."""
    return [*wrong_files(page, text), *(wrong for check in CHECKS for wrong in check(text))]
