"""The languages' own tools: linters, type checkers and the warnings of compilers, as findings with their lines."""

import asyncio
import json
import re
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from graphs.coding.execute import execute
from graphs.coding.pythonic import definitions, parsed
from graphs.coding.state import File, Finding, Kind, Severity
from graphs.coding.suites import BUILD_LIMITS, java_file
from tools.bench import Bench
from tools.errors import NotInstalled
from tools.sandbox import Program
from tools.sandbox.languages import Language

SECONDS = 30.0

RUFF = "F,E4,E7,E9,W6,B,S,PLE,PLW,PLR0124,PLR1704,ASYNC,PERF,SIM115,RET503,RUF006,RUF015,DTZ,C4,A001,TRY201,UP031"
_QUIET = "S101,S404,S603,S607,B904,PLW2901,PLW0603,PERF203,DTZ011"
_GCC = re.compile(r"^([^:\n]+):(\d+):(?:\d+:)? (warning|error): (.+?)(?: \[(-W[\w=+-]+)\])?$", re.MULTILINE)
_DECLARED = re.compile(r":(\d+):\d+: note: .+ (?:was )?declared here")
_JAVAC = re.compile(r"^([\w/.-]+\.java):(\d+): (?:(warning): (?:\[(\w+)\] )?|(error): )(.+)$", re.MULTILINE)
_NODE = re.compile(r"^\S*?([\w.-]+\.[cm]?js):(\d+)\n.*?\n((?:Syntax|Reference)Error: .+)$", re.MULTILINE | re.DOTALL)
_TSC = re.compile(r"^([\w/.-]+\.tsx?)\((\d+),\d+\): (error|warning) (TS\d+): (.+)$", re.MULTILINE)
_SHELL = re.compile(r"^([\w/.-]+): line (\d+): (.+)$", re.MULTILINE)

WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wshadow",
    "-Wnon-virtual-dtor",
    "-Wcast-align",
    "-Woverloaded-virtual",
    "-Wnull-dereference",
    "-Wduplicated-cond",
    "-Wduplicated-branches",
    "-Wlogical-op",
    "-Wformat=2",
    "-Wfloat-equal",
    "-Warith-conversion",
    "-Wdangling-pointer",
    "-Warray-bounds=2",
    "-Wstringop-overflow=4",
    "-Wdelete-non-virtual-dtor",
]

Linter = Callable[[list[File], Bench], Awaitable[list[Finding]]]


async def lint(files: list[File], language: Language, bench: Bench) -> tuple[list[Finding], list[str]]:
    """What the language's tools find, and a note for each that is not installed."""
    found, notes = list[Finding](), list[str]()
    for linter in LINTERS.get(language, ()):
        try:
            found += await linter(files, bench)
        except NotInstalled as error:
            notes.append(f"{error.message} {error.remedy}".strip())
    return found, notes


async def ruff(files: list[File], bench: Bench) -> list[Finding]:
    """Ruff reads text and runs nothing of it; no configuration of the given files is read."""
    program = _program("ruff")
    found = list[Finding]()
    for file in files:
        arguments = ["check", "--isolated", "--no-cache", "--preview", "--select", RUFF, "--ignore", _QUIET]
        arguments += ["--output-format", "json", "--stdin-filename", Path(file.path).name, "-"]
        told = await _said(program, arguments, file.text)
        found += [_ruff_finding(file, each) for each in json.loads(told or "[]")]
    return found


def _ruff_finding(file: File, told: dict[str, object]) -> Finding:
    code, location = str(told.get("code") or "E999"), told["location"]
    row = int(location["row"]) if isinstance(location, dict) else 1
    kind, severity = _ruff_weight(code)
    row = _end_of_function(file.text, row) if code == "RET503" else row
    return _finding(file, row, kind, severity, str(told["message"]), "ruff", code)


def _ruff_weight(code: str) -> tuple[Kind, Severity]:
    if re.match(r"S\d", code):
        return "security", "high" if code in {
            "S602",
            "S605",
            "S608",
            "S307",
            "S102",
            "S301",
            "S324",
            "S501",
        } else "medium"
    if code.startswith("PERF"):
        return "performance", "low"
    if code.startswith(("F401", "F841", "E4", "E7", "C4", "UP", "A001", "SIM", "DTZ", "RET", "F541", "TRY")):
        return ("bug", "medium") if code in {"E711", "E712", "E722", "F841", "SIM115", "RET503"} else ("style", "low")
    return "bug", "high" if code.startswith(("F", "E9", "PLE", "invalid")) else "medium"


async def pyrefly(files: list[File], bench: Bench) -> list[Finding]:
    """The type checker reads copies in a folder of their own, with our configuration; it runs nothing of them."""
    program = _program("pyrefly")
    with TemporaryDirectory() as folder:
        by_path = await asyncio.to_thread(_laid, files, Path(folder))
        (Path(folder) / "pyrefly.toml").write_text('preset = "default"\n', encoding="utf-8")
        told = await _said(program, ["check", "--output-format", "json", *by_path], "", folder)
    try:
        errors = json.loads(told[: told.rindex("}") + 1])["errors"]
    except ValueError:
        return []
    found = list[Finding]()
    for each in errors:
        file = next((by_path[path] for path in by_path if str(each["path"]).endswith(path)), None)
        missing = str(each["name"]) in {"missing-import", "missing-source", "import-error", "untyped-import"}
        if file is not None and not missing:
            message = str(each.get("concise_description") or each["description"])
            line = int(each["line"])
            line = _end_of_function(file.text, line) if "missing an explicit `return`" in message else line
            found.append(_finding(file, line, "bug", "high", message, "pyrefly", str(each["name"])))
    return found


def _end_of_function(code: str, line: int) -> int:
    """Where a missing return would stand: the last line of the function that begins at `line`."""
    tree = parsed(code)
    ends = [node.end_lineno for _, node in definitions(tree) if node.lineno == line] if tree else []
    return ends[0] or line if ends else line


def _laid(files: list[File], folder: Path) -> dict[str, File]:
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, encoding="utf-8")
    return {file.path: file for file in files}


async def node(files: list[File], bench: Bench) -> list[Finding]:
    found = list[Finding]()
    for file in files:
        limits = BUILD_LIMITS.model_copy(update={"seconds": SECONDS})
        ran = await execute(
            Program(files={file.path: file.text}, command=["node", "--check", file.path], limits=limits), bench
        )
        match = _NODE.search(ran.stderr)
        if match:
            found.append(_finding(file, int(match[2]), "bug", "high", match[3], "node", "syntax"))
    return found


async def javac(files: list[File], bench: Bench) -> list[Finding]:
    laid = {file.path if "/" in file.path else java_file(file.text): file for file in files}
    command = ["javac", "-proc:none", "-Xlint:all,-serial,-processing", "-Xmaxwarns", "200", "-d", "/build/out", *laid]
    ran = await execute(
        Program(files={path: file.text for path, file in laid.items()}, command=command, limits=BUILD_LIMITS), bench
    )
    found = list[Finding]()
    for match in _JAVAC.finditer(ran.stderr):
        file = laid.get(match[1])
        if file is not None:
            severity: Severity = "high" if match[5] else "medium"
            found.append(_finding(file, int(match[2]), "bug", severity, match[6], "javac", match[4] or "error"))
    return found


async def gcc(files: list[File], bench: Bench) -> list[Finding]:
    """Warnings that need the optimiser's view are only given while it optimises; nothing is linked or run."""
    by_path = {file.path: file for file in files}
    sources = [path for path in by_path if not path.endswith((".h", ".hpp"))] or list(by_path)
    command = ["g++", "-std=c++20", "-O2", "-S", "-o", "/dev/null", "-I.", *WARNINGS, *sources]
    ran = await execute(
        Program(files={path: file.text for path, file in by_path.items()}, command=command, limits=BUILD_LIMITS), bench
    )
    found = list[Finding]()
    for match in _GCC.finditer(ran.stderr):
        file = by_path.get(match[1].removeprefix("./"))
        if file is None:
            continue
        style = match[5] in {"-Wunused-parameter", "-Wunused-variable", "-Wpedantic", "-Wshadow"}
        severity: Severity = "high" if match[3] == "error" else "low" if style else "medium"
        declared = _DECLARED.search(ran.stderr, match.end()) if "uninitialized" in match[4] else None
        line = int(declared[1]) if declared else int(match[2])
        found.append(_finding(file, line, "bug", severity, match[4], "g++", match[5] or "error"))
    return found


async def tsc(files: list[File], bench: Bench) -> list[Finding]:
    by_path = {file.path: file for file in files}
    command = ["tsc", "--noEmit", "--strict", "--target", "es2022", *by_path]
    ran = await execute(
        Program(files={path: file.text for path, file in by_path.items()}, command=command, limits=BUILD_LIMITS), bench
    )
    return [
        _finding(by_path[match[1]], int(match[2]), "bug", "high", match[5], "tsc", match[4])
        for match in _TSC.finditer(ran.stdout)
        if match[1] in by_path
    ]


async def shell(files: list[File], bench: Bench) -> list[Finding]:
    found = list[Finding]()
    for file in files:
        ran = await execute(Program(files={file.path: file.text}, command=["bash", "-n", file.path]), bench)
        found += [
            _finding(file, int(match[2]), "bug", "high", match[3], "bash", "syntax")
            for match in _SHELL.finditer(ran.stderr)
        ]
    return found


LINTERS: dict[Language, tuple[Linter, ...]] = {
    "python": (ruff, pyrefly),
    "javascript": (node,),
    "typescript": (tsc,),
    "java": (javac,),
    "cpp": (gcc,),
    "shell": (shell,),
}


def _finding(  # noqa: PLR0917 - the columns of a table
    file: File, line: int, kind: Kind, severity: Severity, message: str, tool: str, rule: str
) -> Finding:
    lines = file.text.splitlines()
    quote = lines[line - 1].strip()[:200] if 0 < line <= len(lines) else ""
    return Finding(
        path=file.path,
        line=max(line, 1),
        kind=kind,
        severity=severity,
        message=message.strip()[:400],
        tool=tool,
        rule=rule,
        quote=quote,
    )


def _program(name: str) -> str:
    """A tool of this environment; raises `NotInstalled`."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise NotInstalled(f"{name} is not installed.", remedy=f"Run `pip install {name}`.")
    return found


async def _said(program: str, arguments: list[str], given: str, folder: str = "/") -> str:
    """What a tool says on stdout; nothing when it takes too long."""
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "NO_COLOR": "1"},
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, _ = await process.communicate(given.encode())
    except TimeoutError:
        return ""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return out.decode(errors="replace")
