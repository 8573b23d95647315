"""A control group for one run, where this machine lets us make one: what it uses is counted whole.

Version 2 needs a group whose controllers may be handed on; version 1 a writable hierarchy. Both are optional: resource
limits and the keeper's own watch hold without them.
"""

import contextlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_PARENT = "sutradhar"
_WANTED = ("memory", "pids", "cpu")


@dataclass
class Group:
    """`folders` by controller; in version 2 they are one and the same. Empty: there is no group."""

    version: int = 0
    folders: dict[str, Path] = field(default_factory=dict)
    reason: str = ""

    def join(self) -> None:
        """Put the calling process in."""
        for folder in set(self.folders.values()):
            (folder / "cgroup.procs").write_text("0")

    def limit(self, memory: int, processes: int) -> None:
        """Bytes, files in memory included, and a few more processes than the limit that a program is told of."""
        if not self.folders:
            return
        names = {1: ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), 2: ("memory.max", "memory.swap.max")}
        bytes_name, swap_name = names[self.version]
        _set(self.folders["memory"] / bytes_name, memory)
        with contextlib.suppress(OSError):
            _set(self.folders["memory"] / swap_name, memory if self.version == 1 else 0)
        _set(self.folders["pids"] / "pids.max", processes + 8)

    def starved(self) -> bool:
        """Whether the kernel killed a process in it for memory."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        return self._entry("memory", name, "oom_kill") > 0

    def close(self) -> None:
        """Remove it; the dead may need a moment to leave."""
        for folder in set(self.folders.values()):
            for _ in range(20):
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.01)
                else:
                    break

    def _entry(self, controller: str, name: str, key: str) -> int:
        with contextlib.suppress(KeyError, OSError, ValueError):
            lines = (self.folders[controller] / name).read_text().splitlines()
            return next((int(line.split()[1]) for line in lines if line.startswith(f"{key} ")), 0)
        return 0


def open_group() -> Group:
    """A fresh group, or one without folders that says why."""
    try:
        paths = dict(_own_paths())
        return _second(paths[""]) if _unified() else _first(paths)
    except (OSError, KeyError, ValueError) as error:
        return Group(reason=f"no writable control groups ({error})")


def _unified() -> bool:
    return (_ROOT / "cgroup.controllers").exists()


def _own_paths() -> list[tuple[str, str]]:
    """This process's group by controller; version 2's controller is the empty word."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    parts = [line.split(":", 2) for line in lines]
    return [(controller, path) for _, names, path in parts for controller in names.split(",")]


def _first(paths: dict[str, str]) -> Group:
    group = Group(version=1)
    try:
        for controller in _WANTED:
            group.folders[controller] = _make(_ROOT / controller / paths[controller].strip("/"))
    except (OSError, KeyError):
        group.close()
        raise
    return group


def _second(path: str) -> Group:
    parent = _ROOT / path.strip("/")
    missing = set(_WANTED) - set((parent / "cgroup.controllers").read_text().split())
    if missing:
        raise OSError(f"{', '.join(sorted(missing))} not delegated to {path}")
    wanted = " ".join(f"+{each}" for each in _WANTED)
    (parent / "cgroup.subtree_control").write_text(wanted)
    common = parent / _PARENT
    common.mkdir(exist_ok=True)
    (common / "cgroup.subtree_control").write_text(wanted)
    return Group(2, dict.fromkeys(_WANTED, _make(parent)))


def _make(parent: Path) -> Path:
    """A group among those of all runs, which together weigh on the processor like one other process."""
    common = parent / _PARENT
    common.mkdir(exist_ok=True)
    for old in common.iterdir():
        if old.name.isdigit() and not Path("/proc", old.name).exists():
            with contextlib.suppress(OSError):
                old.rmdir()
    folder = common / str(os.getpid())
    folder.mkdir(exist_ok=True)
    return folder


def _set(file: Path, value: int) -> None:
    file.write_text(str(value))
