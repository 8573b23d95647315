"""Whether the walls hold on this machine: tried out for real, once per process, before anything else may run."""

import asyncio
import json
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tools.confinement.job import Layers, Report
from tools.errors import NotInstalled
from tools.sandbox import Program, SandboxLimits
from tools.sandbox.running import work
from tools.settings import Settings

_LIMITS = SandboxLimits(
    seconds=20, cpu_seconds=20, memory=192 << 20, file_bytes=1 << 20, disk_bytes=4 << 20, processes=16
)
_NAMESPACES = (
    "Let user namespaces be made: sysctl kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu; in a container, "
    "--security-opt seccomp=unconfined --security-opt systempaths=unconfined."
)


class Proof(BaseModel):
    """`probes` are the attacks that were tried and held; `layers` is what stood, and why something did not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    probes: list[str]
    layers: dict[str, str]


async def prove(settings: Settings) -> Proof:
    """The proof for this home. Raises `NotInstalled` when a probe gets through: there is no weaker way to run."""
    kept = _kept(settings.home)
    if not kept:
        kept.append(await _try(settings))
    return kept[0]


@cache
def _kept(home: Path) -> list[Proof]:
    """Holds the proof once there is one; a failure is tried again, for what was missing may have been installed."""
    del home
    return []


async def _try(settings: Settings) -> Proof:
    if sys.platform != "linux":
        raise NotInstalled(
            "Code runs only in a sandbox, which needs Linux.", remedy="Run Sutradhar in a Linux machine."
        )
    source = Path(__file__).with_name("probes.py").read_text(encoding="utf-8")
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _bait(settings.home) as (bait, listener):
        program = Program(files={"probes.py": source}, command=["python", "probes.py"], stdin=json.dumps(bait))
        report = await work(program, settings, _LIMITS)
        reached, touched = await asyncio.to_thread(lambda: (_reached(listener), _touched(bait)))
    results = _results(report)
    results["network of the host"] = "a connection came through" if reached else ""
    results["file of the host"] = "the file was changed" if touched else results.get("file of the host", "")
    broken = [f"{name}: {what}" for name, what in results.items() if what]
    if broken:
        raise NotInstalled(f"The sandbox does not isolate on this machine ({'; '.join(broken)}).", remedy=_NAMESPACES)
    return Proof(probes=list(results), layers=_told(report["layers"]))


@contextmanager
def _bait(home: Path) -> Iterator[tuple[dict[str, str], socket.socket]]:
    """A secret file and a listening socket on the host, for the probes to reach for."""
    word, file = secrets.token_hex(16), home / f"bait-{os.getpid()}-{secrets.token_hex(4)}"
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.setblocking(False)
        file.write_text(word, encoding="utf-8")
        try:
            yield {"file": str(file), "word": word, "port": str(listener.getsockname()[1])}, listener
        finally:
            file.unlink()


def _reached(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def _touched(bait: dict[str, str]) -> bool:
    return Path(bait["file"]).read_text(encoding="utf-8") != bait["word"]


def _results(report: Report) -> dict[str, str]:
    """What each probe says: nothing when the wall held."""
    if report["failed"]:
        raise NotInstalled(f"The sandbox could not be set up: {report['failed']}.", remedy=_NAMESPACES)
    try:
        results: dict[str, str] = json.loads(report["stdout"])
    except ValueError:
        said = (report["stderr"] or report["stdout"]).strip()[-500:]
        return {"probes": f"ended with {report['ended']} {report['killed']}: {said}"}
    return results


def _told(layers: Layers) -> dict[str, str]:
    return {
        "user": "one id per run" if layers["own_user"] else "a user namespace",
        "seccomp": "on" if layers["seccomp"] else "off: no numbers for this processor",
        "landlock": f"version {layers['landlock']}" if layers["landlock"] else "off: this kernel has none",
        "cgroup": f"version {layers['cgroup']}" if layers["cgroup"] else f"off: {layers['cgroup_reason']}",
    }
