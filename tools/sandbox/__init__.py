"""Run code that nobody has read, away from everything that matters.

    ran = await run(snippet("python", "print(6 * 7)"), bench)
    ran.ok, ran.stdout

Every run has its own user id, namespaces, memory file system and limits, no network and no environment. A machine that
cannot isolate refuses: there is no weaker way to run. `tools.sandbox.languages` makes programs out of snippets.
"""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Base64Bytes, BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from tools.bench import Bench
    from tools.settings import Settings

Killed = Literal["timeout", "cpu", "memory", "output"]
Stage = Literal["build", "run"]

_MOST_FILES = 2_000


def _inside(path: str) -> str:
    steps = path.split("/")
    if path in {"", "."} or path != posixpath.normpath(path) or path.startswith("/") or ".." in steps or "\0" in path:
        raise ValueError(f"{path[:80]!r} is not a plain relative path such as 'src/main.py'")
    if len(path.encode()) > 1024 or any(len(step.encode()) > 255 for step in steps):
        raise ValueError(f"{path[:80]!r}... is too long for a file name")
    return path


def _word(text: str) -> str:
    # the kernel's limit for one argument is 128 KiB
    if "\0" in text or len(text.encode(errors="replace")) > 100_000:
        raise ValueError(f"{text[:80]!r} has a NUL character or is longer than 100 000 bytes")
    return text


def _name(text: str) -> str:
    if not text or "=" in text:
        raise ValueError(f"{text[:80]!r} cannot be the name of a variable")
    return text


def _apart(files: dict[str, str | Encoded]) -> dict[str, str | Encoded]:
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents}
    if both := sorted(folders & files.keys()):
        raise ValueError(f"{both[0]!r} is a file and a folder")
    return files


RelativePath = Annotated[str, AfterValidator(_inside)]
Word = Annotated[str, AfterValidator(_word)]


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SandboxLimits(_Plain):
    """What one run may use. Figures above the settings' are lowered to them; `Ran.limits` tells what held."""

    seconds: Annotated[float, Field(gt=0)] = Field(10.0, description="Wall-clock seconds of each stage.")
    cpu_seconds: Annotated[float, Field(gt=0)] = Field(10.0, description="Processor seconds of all processes.")
    memory: Annotated[int, Field(ge=1 << 24)] = Field(512 << 20, description="Bytes of memory of all processes.")
    file_bytes: Annotated[int, Field(ge=0)] = Field(16 << 20, description="Largest single file, in bytes.")
    disk_bytes: Annotated[int, Field(ge=1 << 16)] = Field(64 << 20, description="Bytes of all files together.")
    processes: Annotated[int, Field(ge=1)] = Field(64, description="Processes and threads at once.")
    output_bytes: Annotated[int, Field(ge=1)] = Field(256 << 10, description="Bytes of stdout and of stderr, each.")


class Encoded(_Plain):
    """A file that is not text."""

    base64: Base64Bytes


class Program(_Plain):
    """Files, and the commands that work on them. They lie in the working directory `/work`, the only place to write
    besides `/build` and `/tmp`; nothing outlives the run but what `Ran.files` brings back.
    """

    files: Annotated[dict[RelativePath, str | Encoded], Field(max_length=_MOST_FILES), AfterValidator(_apart)] = Field(
        default_factory=dict, description="Contents by relative path."
    )
    command: Annotated[list[Word], Field(min_length=1, max_length=1_000)] = Field(
        description="Program and arguments, without a shell. `python` is the interpreter this host runs on."
    )
    build: Annotated[list[Word], Field(min_length=1, max_length=1_000)] | None = Field(
        None, description="A command to run before; when it fails, it is the result."
    )
    stdin: str = ""
    environment: dict[Annotated[Word, AfterValidator(_name)], Word] = Field(
        default_factory=dict, description="Added to PATH, HOME, LANG and TMPDIR."
    )
    packages: list[str] = Field(default_factory=list, description="Python packages, from the settings' allow-list.")
    loopback: bool = Field(False, description="May open TCP and UDP sockets, on a loopback device of its own.")
    limits: SandboxLimits = SandboxLimits()


class RanFile(_Plain):
    """A file that the run made or changed. `text` and `base64` are absent when the file is large."""

    path: str
    size: int
    text: str | None = None
    base64: Base64Bytes | None = None


class Ran(_Plain):
    """What was seen of a run, from outside. `exit_code` is None when a signal ended it."""

    stage: Stage = Field(description="The stage that these figures are of: a failed build is never followed by a run.")
    exit_code: int | None
    signal: str | None = Field(None, description="Name of the signal that ended it, such as SIGSEGV.")
    killed: Killed | None = Field(None, description="The limit at which we ended it.")
    stdout: str = ""
    stderr: str = ""
    truncated: bool = Field(False, description="There was more output than the limit.")
    build_output: str = Field("", description="What a successful build said.")
    wall_seconds: float
    cpu_seconds: float
    peak_memory: int = Field(description="Bytes; the largest sum over its processes that was seen.")
    files: list[RanFile] = Field(default_factory=list)
    files_left_out: int = Field(0, description="Changed files beyond those listed.")
    limits: SandboxLimits

    @property
    def ok(self) -> bool:
        """It ran to its end and said that all was well."""
        return self.stage == "run" and self.exit_code == 0


async def run(program: Program, where: Bench | Settings) -> Ran:
    """Run a program and tell what became of it; cancelling the call ends it.

    Raises `NotInstalled` where isolation is not proven or a package is neither cached nor to be had, `InvalidInput` for
    a package off the allow-list, `Busy` when no place became free, `TooLarge` for files beyond the limits.
    """
    from tools.sandbox.running import run_program

    return await run_program(program, where)
