"""Compiles C# in a process that hosts .NET: `python roslyn.py plan.json`, see dotnet.py."""

# What is imported here comes with the fetched tools, or is .NET's.
# pyright: reportMissingImports=false

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def host(plan: Mapping[str, Any]) -> None:
    """Load .NET and Roslyn into this process."""
    from clr_loader import get_coreclr
    from pythonnet import set_runtime

    root = Path(plan["framework"]).parents[2]
    config = Path(plan["folder"]) / "compiler.runtimeconfig.json"
    set_runtime(get_coreclr(runtime_config=str(config), dotnet_root=str(root)))
    import clr

    sys.path.append(plan["roslyn"])
    clr.AddReference("Microsoft.CodeAnalysis")
    clr.AddReference("Microsoft.CodeAnalysis.CSharp")


def compile_one(plan: Mapping[str, Any], assembly: Mapping[str, Any]) -> Sequence[str]:
    """One assembly into the plan's folder; what is wrong with it."""
    from Microsoft.CodeAnalysis import (
        DiagnosticSeverity,
        MetadataReference,
        OutputKind,
        SyntaxTree,
    )
    from Microsoft.CodeAnalysis.CSharp import (
        CSharpCompilation,
        CSharpCompilationOptions,
        CSharpParseOptions,
        CSharpSyntaxTree,
        LanguageVersion,
    )
    from System import Array, String
    from System.IO import File

    folder = Path(plan["folder"])
    parsing = CSharpParseOptions(LanguageVersion.CSharp9).WithPreprocessorSymbols(
        Array[String](list(assembly["defines"]))
    )
    trees = [
        CSharpSyntaxTree.ParseText(Path(file).read_text(), parsing, file)
        for file in assembly["sources"]
    ]
    framework = Path(plan["framework"]).glob("*.dll")
    own = [Path(r) if r.endswith(".dll") else folder / f"{r}.dll" for r in assembly["references"]]
    references = [MetadataReference.CreateFromFile(str(file)) for file in (*framework, *own)]
    kind = (
        OutputKind.ConsoleApplication if assembly["runs"] else OutputKind.DynamicallyLinkedLibrary
    )
    options = CSharpCompilationOptions(kind).WithWarningLevel(4)
    compilation = CSharpCompilation.Create(
        assembly["name"],
        Array[SyntaxTree](trees),
        Array[MetadataReference](references),
        options,
    )
    output = File.Create(str(folder / f"{assembly['name']}.dll"))
    result = compilation.Emit(output)
    output.Dispose()
    severe = (DiagnosticSeverity.Warning, DiagnosticSeverity.Error)
    return [str(d) for d in result.Diagnostics if d.Severity in severe]


def main(plan_file: str) -> int:
    """Compile everything; 1 if something is wrong, which is printed."""
    plan = json.loads(Path(plan_file).read_text())
    host(plan)
    for assembly in plan["assemblies"]:
        if problems := compile_one(plan, assembly):
            print(*problems, sep="\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
