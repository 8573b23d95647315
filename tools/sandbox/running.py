"""One run, from the program to what became of it."""

from __future__ import annotations

import base64
import signal
from typing import cast

from tools.bench import Bench
from tools.confinement.job import Bind, File, Job, Report
from tools.errors import EngineFailed, NotInstalled, TooLarge
from tools.sandbox import Encoded, Killed, Program, Ran, RanFile, SandboxLimits, Stage
from tools.sandbox.interpreter import interpreter
from tools.sandbox.packages import install
from tools.sandbox.places import place
from tools.sandbox.wardens import bubblewrap, warden
from tools.settings import Settings

_COLLECT_FILES, _COLLECT_BYTES = 200, 4 << 20
_PACKAGES = "/opt/packages"
# to put up the walls of a stage on a machine that is busy, and to bring the files back
_SETUP_SECONDS = 45.0


async def run_program(program: Program, where: Bench | Settings) -> Ran:
    """See `tools.sandbox.run`."""
    from tools.sandbox.proof import prove

    settings = where if isinstance(where, Settings) else where.settings
    await prove(settings)
    limits = _capped(program.limits, settings)
    return _ran(await work(program, settings, limits), limits)


async def work(program: Program, settings: Settings, limits: SandboxLimits) -> Report:
    """Run without asking whether isolation is proven: the proof itself is such a run."""
    program_path = bubblewrap()
    if program_path is None:
        raise NotInstalled("Code runs only in a sandbox, which needs bubblewrap.", remedy="apt-get install bubblewrap")
    job = _job(program, limits, program_path)
    job["toolchains"] = [str(each) for each in settings.sandbox.toolchains]
    job["binds"] += [Bind(host=str(each), inside=str(each)) for each in settings.sandbox.toolchains]
    if program.packages:
        folder = await install(program.packages, settings)
        job["binds"].append(Bind(host=str(folder), inside=_PACKAGES))
        job["environment"]["PYTHONPATH"] = ":".join(filter(None, [_PACKAGES, job["environment"].get("PYTHONPATH")]))
    patience = (limits.seconds + _SETUP_SECONDS) * (1 if program.build is None else 2)
    async with place(settings) as taken:
        job["user"] = taken.user
        return await warden().work(job, taken.lock, patience)


def _capped(limits: SandboxLimits, settings: Settings) -> SandboxLimits:
    most = settings.sandbox
    return SandboxLimits(**{name: min(value, getattr(most, name)) for name, value in limits.model_dump().items()})


def _job(program: Program, limits: SandboxLimits, bubblewrap: str) -> Job:
    shown = interpreter()
    files = {path: _bytes(content) for path, content in program.files.items()}
    size = sum(map(len, files.values()))
    if size > limits.disk_bytes:
        raise TooLarge(
            f"The program's files have {size} bytes; the sandbox's disk has {limits.disk_bytes}.",
            remedy="Send less, or raise `limits.disk_bytes` and SUTRADHAR_SANDBOX__DISK_BYTES.",
            param="files",
        )
    return Job(
        user=None,
        bubblewrap=bubblewrap,
        python=shown.python,
        files={path: base64.b64encode(content).decode() for path, content in files.items()},
        build=program.build,
        command=program.command,
        stdin=base64.b64encode(program.stdin.encode(errors="surrogatepass")).decode(),
        environment=dict(program.environment),
        interpreter_environment=shown.environment,
        binds=list(shown.binds),
        links=shown.links,
        masks=list(shown.masks),
        toolchains=[],
        loopback=program.loopback,
        limits={
            "seconds": limits.seconds,
            "cpu_seconds": limits.cpu_seconds,
            "memory": limits.memory,
            "file_bytes": limits.file_bytes,
            "disk_bytes": limits.disk_bytes,
            "processes": limits.processes,
            "output_bytes": limits.output_bytes,
        },
        collect_files=_COLLECT_FILES,
        collect_bytes=_COLLECT_BYTES,
    )


def _bytes(content: str | Encoded) -> bytes:
    return content.encode(errors="surrogatepass") if isinstance(content, str) else content.base64


def _ran(report: Report, limits: SandboxLimits) -> Ran:
    if report["failed"]:
        raise EngineFailed(
            f"The sandbox could not be set up: {report['failed']}", remedy="`sutradhar doctor` tells more."
        )
    code, ended = _ending(report["ended"])
    killed = report["killed"] or ("cpu" if ended == "SIGXCPU" else None)
    return Ran(
        stage=cast("Stage", report["stage"]),
        exit_code=code,
        signal=ended,
        killed=cast("Killed | None", killed),
        stdout=report["stdout"],
        stderr=report["stderr"],
        truncated=report["truncated"],
        build_output=report["build_output"],
        wall_seconds=round(report["wall_seconds"], 4),
        cpu_seconds=round(report["cpu_seconds"], 4),
        peak_memory=report["peak_memory"],
        files=[_file(each) for each in report["files"]],
        files_left_out=report["files_left_out"],
        limits=limits,
    )


def _ending(ended: int) -> tuple[int | None, str | None]:
    """Exit code or signal. bubblewrap tells a signal as a shell does, so 128 and more may also be an exit code."""
    number = -ended if ended < 0 else ended - 128
    try:
        return (ended, None) if 0 <= ended <= 128 else (None, signal.Signals(number).name)
    except ValueError:
        return ended, None


def _file(file: File) -> RanFile:
    if file["data"] is None:
        return RanFile(path=file["path"], size=file["size"])
    data = base64.b64decode(file["data"])
    try:
        return RanFile(path=file["path"], size=file["size"], text=data.decode())
    except UnicodeDecodeError:
        return RanFile(path=file["path"], size=file["size"], base64=base64.b64encode(data))
