"""One run, from outside: lay out its folders, run its stages behind the walls, tell what was seen."""

import os
import socket

from tools.confinement import seccomp
from tools.confinement.bubblewrap import arguments
from tools.confinement.cgroups import Group, open_group
from tools.confinement.job import Job, Layers, Report
from tools.confinement.stage import Stage
from tools.confinement.workspace import Workspace, collect, lay_out


def keep(job: Job, host: socket.socket) -> Report:
    """Work the job off; raises `Abandoned` when the host leaves, `OSError` when the walls cannot be put up."""
    user, group = (os.geteuid(), os.getegid()) if job["user"] is None else (job["user"], job["user"])
    workspace = lay_out(job, user, group)
    limits = job["limits"]
    control = open_group(limits["memory"] + limits["disk_bytes"], limits["processes"])
    try:
        return _stages(job, workspace, control, host)
    finally:
        control.close()


def _stages(job: Job, workspace: Workspace, control: Group, host: socket.socket) -> Report:
    said = ""
    stages = [(name, command) for name, command in (("build", job["build"]), ("run", job["command"])) if command]
    for name, command in stages:
        stage = _run(job, workspace, control, command, host)
        if not stage.walls or stage.ended or stage.killed:
            break
        if name == "build":
            said = stage.output("stdout") + stage.output("stderr")
    files, left_out = collect(workspace, job["collect_files"], job["collect_bytes"])
    return Report(
        failed="" if stage.walls else stage.output("stderr").strip()[-2000:] or "bubblewrap did not say why",
        stage=name,
        ended=stage.ended,
        killed=stage.killed or ("memory" if control.starved() else ""),
        stdout=stage.output("stdout"),
        stderr=stage.output("stderr"),
        truncated=stage.truncated,
        build_output=said if name == "run" else "",
        wall_seconds=stage.wall_seconds,
        cpu_seconds=stage.cpu_seconds,
        peak_memory=stage.peak_memory,
        files=files,
        files_left_out=left_out,
        layers=Layers(
            own_user=job["user"] is not None,
            seccomp=seccomp.supported(os.uname().machine),
            landlock=int(stage.walls or 0),
            cgroup=control.version if control.folders else 0,
            cgroup_reason=control.reason,
        ),
    )


def _run(job: Job, workspace: Workspace, control: Group, command: list[str], host: socket.socket) -> Stage:
    machine = os.uname().machine
    filter = _memory(seccomp.program(machine, loopback=job["loopback"])) if seccomp.supported(machine) else None
    stdin = _memory(job["stdin"].encode(errors="replace"))
    stage = Stage(job["limits"], control, host)
    try:
        stage.start(arguments(job, workspace, command, filtered=filter is not None), job["user"], stdin, filter)
        stage.watch()
    finally:
        stage.close()
        os.close(stdin)
        if filter is not None:
            os.close(filter)
    return stage


def _memory(data: bytes) -> int:
    """A file in memory that is read from its start."""
    opened = os.memfd_create("sutradhar")
    with os.fdopen(os.dup(opened), "wb") as file:
        file.write(data)
    os.lseek(opened, 0, os.SEEK_SET)
    return opened
