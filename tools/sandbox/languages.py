"""Snippets as programs: which file a language wants, how it is built, run and tested, and which toolchains are here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from pydantic import BaseModel, ConfigDict

from tools.sandbox import Encoded, Program, SandboxLimits, run
from tools.settings import Settings

if TYPE_CHECKING:
    from tools.bench import Bench

Language = Literal["python", "javascript", "typescript", "java", "cpp", "go", "shell"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_JAVA = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xss1m"]
_GO = {
    "GOCACHE": "/build/go-build",
    "GOPATH": "/build/go",
    "GOPROXY": "off",
    "GOTOOLCHAIN": "local",
    "GOFLAGS": "-mod=mod -p=2",
    "CGO_ENABLED": "0",
}
_LEAST_MEMORY: dict[Language, int] = {"javascript": 768 << 20, "typescript": 1 << 30, "java": 1 << 30, "go": 1 << 30}


class Recipe(BaseModel):
    """How a language is worked. `main` and `tests` name the files that code and tests go to; a command's `{main}` and
    `{tests}` stand for the same names without their suffix. Builds go to `/build`, so that only the program's own files
    come back.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    main: str
    tests: str
    run: list[str]
    test: list[str]
    build: list[str] | None = None
    test_build: list[str] | None = None
    files: dict[str, str] = {}
    environment: dict[str, str] = {}


RECIPES: dict[Language, Recipe] = {
    "python": Recipe(
        main="main.py",
        tests="test_main.py",
        run=["python", "main.py"],
        test=["python", "test_main.py"],
    ),
    "javascript": Recipe(
        main="main.js", tests="main.test.js", run=["node", "main.js"], test=["node", "--test", "main.test.js"]
    ),
    "typescript": Recipe(
        main="main.ts",
        tests="main.test.ts",
        build=["tsc", "--strict", "--target", "es2022", "--module", "commonjs", "--outDir", "/build/out", "main.ts"],
        run=["node", "/build/out/main.js"],
        test_build=["tsc", "--target", "es2022", "--module", "commonjs", "--outDir", "/build/out", "main.test.ts"],
        test=["node", "/build/out/main.test.js"],
    ),
    "java": Recipe(
        main="Main.java",
        tests="MainTest.java",
        build=["javac", "-J-XX:+UseSerialGC", "-J-XX:TieredStopAtLevel=1", "-d", "/build/out", "{main}.java"],
        run=["java", *_JAVA, "-cp", "/build/out", "{main}"],
        test_build=[
            *["javac", "-J-XX:+UseSerialGC", "-J-XX:TieredStopAtLevel=1", "-d", "/build/out"],
            *["{main}.java", "{tests}.java"],
        ],
        test=["java", *_JAVA, "-ea", "-cp", "/build/out", "{tests}"],
    ),
    "cpp": Recipe(
        main="main.cpp",
        tests="test_main.cpp",
        build=["g++", "-std=c++20", "-O1", "-Wall", "-Wextra", "-pthread", "-o", "/build/main", "main.cpp"],
        run=["/build/main"],
        test_build=["g++", "-std=c++20", "-O1", "-Wall", "-pthread", "-o", "/build/test_main", "test_main.cpp"],
        test=["/build/test_main"],
    ),
    "go": Recipe(
        main="main.go",
        tests="main_test.go",
        build=["go", "build", "-o", "/build/main", "."],
        run=["/build/main"],
        test=["go", "test", "./..."],
        files={"go.mod": "module snippet\n\ngo 1.19\n"},
        environment=_GO,
    ),
    "shell": Recipe(main="main.sh", tests="test_main.sh", run=["bash", "main.sh"], test=["bash", "test_main.sh"]),
}


def snippet(
    language: Language,
    code: str,
    *,
    tests: str | None = None,
    files: Mapping[str, str | Encoded] | None = None,
    stdin: str = "",
    packages: Sequence[str] = (),
    loopback: bool = False,
    limits: SandboxLimits | None = None,
) -> Program:
    """A program that runs the code, or with `tests` the tests over it.

    Tests reach the code by its file: Python and JavaScript import `main`, TypeScript `./main`, Java the public class,
    C++ includes `main.cpp`, Go shares the package, a shell sources `main.sh`. Python tests run with pytest when it is
    among the packages, with unittest when they have a `TestCase`, else as a script of asserts.
    """
    recipe = RECIPES[language]
    main, test = _file(language, code, recipe.main), _file(language, tests or "", recipe.tests)
    contents: dict[str, str | Encoded] = {**recipe.files, main: code, **(files or {})}
    command, build = recipe.run, recipe.build
    if tests is not None:
        contents[test] = tests
        command, build = recipe.test, recipe.test_build
        if language == "python":
            command = python_tests(tests, test, packages)
    names = {"main": main.partition(".")[0], "tests": test.partition(".")[0]}
    return Program(
        files=contents,
        command=[each.format(**names) for each in command],
        build=None if build is None else [each.format(**names) for each in build],
        stdin=stdin,
        environment=recipe.environment,
        packages=list(packages),
        loopback=loopback,
        limits=limits or limits_for(language),
    )


def limits_for(language: Language) -> SandboxLimits:
    """The default limits, with the memory and the time that a language's own machinery needs."""
    memory = _LEAST_MEMORY.get(language)
    return SandboxLimits() if memory is None else SandboxLimits(memory=memory, seconds=30, cpu_seconds=30)


def python_tests(tests: str, file: str, packages: Sequence[str]) -> list[str]:
    """The command that runs a file of Python tests by what it is written for."""
    if any(re.match(r"pytest\b", each) for each in packages):
        return ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", file]
    if "TestCase" in tests:
        return ["python", "-m", "unittest", "-v", file.removesuffix(".py").replace("/", ".")]
    return ["python", file]


def _file(language: Language, code: str, default: str) -> str:
    """The file's name: Java wants that of its public class."""
    if language == "java" and (
        found := re.search(r"^\s*public\s+(?:\w+\s+)*?(?:class|record|enum)\s+(\w+)", code, re.MULTILINE)
    ):
        return f"{found[1]}.java"
    return default


class Toolchain(BaseModel):
    """What works a language inside the sandbox. Without a `version` it is absent, and `fix` says how to get it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    language: Language
    version: str = ""
    fix: str = ""

    @property
    def present(self) -> bool:
        return bool(self.version)


_VERSIONS: dict[Language, tuple[str, str]] = {
    "python": ("python --version", "Reinstall Sutradhar's own Python."),
    "javascript": ("node --version", "apt-get install nodejs"),
    "typescript": ("node --version >/dev/null && tsc --version", "npm install --global typescript"),
    "java": ("java --version && javac --version", "apt-get install default-jdk-headless"),
    "cpp": ("g++ --version", "apt-get install g++"),
    "go": ("go version", "apt-get install golang"),
    "shell": ("bash --version", "apt-get install bash"),
}


async def toolchains(where: Bench | Settings) -> list[Toolchain]:
    """The toolchains as the sandbox sees them, asked once; raises `NotInstalled` where there is no sandbox."""
    settings = where if isinstance(where, Settings) else where.settings
    kept = _kept(settings.home)
    if not kept:
        kept += await _ask(settings)
    return list(kept)


@cache
def _kept(home: Path) -> list[Toolchain]:
    del home
    return []


async def _ask(settings: Settings) -> list[Toolchain]:
    asked = "".join(
        f"echo; echo '== {name}'; ({asks}) </dev/null 2>/dev/null || echo absent\n"
        for name, (asks, _) in _VERSIONS.items()
    )
    limits = SandboxLimits(memory=1 << 30, seconds=30, cpu_seconds=30)
    ran = await run(Program(command=["sh", "-c", asked], environment=_GO, limits=limits), settings)
    said = dict(re.findall(r"^== (\w+)\n(.*)$", ran.stdout, re.MULTILINE))
    return [
        Toolchain(language=name, version=said[name])
        if said.get(name, "absent") not in {"absent", ""}
        else Toolchain(language=name, fix=fix)
        for name, (_, fix) in _VERSIONS.items()
    ]
