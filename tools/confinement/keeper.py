"""One run, from outside: everything that can be is prepared before it comes; then its stages run behind the walls."""

import base64
import os
import socket
from dataclasses import dataclass

from tools.confinement import seccomp
from tools.confinement.bubblewrap import arguments
from tools.confinement.cgroups import Group, open_group
from tools.confinement.job import Job, Layers, Report
from tools.confinement.stage import Orders, Stage
from tools.confinement.workspace import Workspace, collect, fill, open_workspace


@dataclass
class Prepared:
    """What every run needs, whatever it is: made while nobody waits for it."""

    workspace: Workspace
    control: Group
    stage: Stage

    def close(self) -> None:
        """A stage that cannot be closed must not leave its control group behind."""
        try:
            self.stage.close()
        finally:
            self.control.close()


def prepare() -> Prepared:
    """Raises `OSError` when the first walls cannot be put up."""
    workspace = open_workspace()
    control = open_group()
    return Prepared(workspace, control, Stage(control))


def keep(prepared: Prepared, job: Job, host: socket.socket) -> Report:
    """Work the job off; raises `Abandoned` when the host leaves, `OSError` when the walls cannot be put up."""
    limits, workspace, control = job["limits"], prepared.workspace, prepared.control
    fill(workspace, job)
    control.limit(limits["memory"] + limits["disk_bytes"], limits["processes"])
    said = ""
    stages = [(name, command) for name, command in (("build", job["build"]), ("run", job["command"])) if command]
    for number, (name, command) in enumerate(stages):
        if number:
            prepared.stage = Stage(control)
        stage = prepared.stage
        _start(stage, job, workspace, command, host)
        stage.watch()
        stage.close()
        if not stage.walls or stage.ended or stage.killed:
            break
        if name == "build":
            said = stage.output("stdout") + stage.output("stderr")
    report = _report(job, name, stage, control)
    report["build_output"] = said if name == "run" else ""
    report["files"], report["files_left_out"] = collect(workspace, job["collect_files"], job["collect_bytes"])
    return report


def _start(stage: Stage, job: Job, workspace: Workspace, command: list[str], host: socket.socket) -> None:
    machine = os.uname().machine
    filtered = seccomp.supported(machine)
    filter = seccomp.program(machine, loopback=job["loopback"]) if filtered else b""
    words = arguments(job, workspace, command, filtered=filtered)
    orders = Orders(words=words, user=job["user"], limits=job["limits"])
    stage.start(orders, base64.b64decode(job["stdin"]), filter, host)


def _report(job: Job, name: str, stage: Stage, control: Group) -> Report:
    return Report(
        failed="" if stage.walls else stage.output("stderr").strip()[-2000:] or "bubblewrap did not say why",
        stage=name,
        ended=stage.ended,
        killed=stage.killed or ("memory" if control.starved() else ""),
        stdout=stage.output("stdout"),
        stderr=stage.output("stderr"),
        truncated=stage.truncated,
        build_output="",
        wall_seconds=stage.wall_seconds,
        cpu_seconds=stage.cpu_seconds,
        peak_memory=stage.peak_memory,
        files=[],
        files_left_out=0,
        layers=Layers(
            own_user=job["user"] is not None,
            seccomp=seccomp.supported(os.uname().machine),
            landlock=int(stage.walls or 0),
            cgroup=control.version if control.folders else 0,
            cgroup_reason=control.reason,
        ),
    )
