"""What the processes of a run use, read from outside."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """Bytes that are resident now, and processor seconds of the living and of the dead that were waited for."""

    memory: int
    cpu_seconds: float


def measure(first: int, memory_limit: int) -> Usage:
    """The sum over the process `first` and all below it.

    Resident sizes count a page once per process that shares it; only when their sum is over the limit is the exact,
    slower figure taken.
    """
    memory, ticks, members = 0, 0, _below(first)
    for process in members:
        # the fields after the name, which may itself hold spaces and brackets
        fields = _read(f"/proc/{process}/stat").rpartition(")")[2].split()
        if fields:
            ticks += sum(map(int, fields[11:15]))
            memory += int(fields[21]) * _PAGE
    if memory > memory_limit:
        memory = sum(_proportional(process) for process in members)
    return Usage(memory, ticks / _TICKS)


def first_child(process: int) -> int | None:
    """The oldest child of a single-threaded process."""
    children = _read(f"/proc/{process}/task/{process}/children").split()
    return int(children[0]) if children else None


def _below(first: int) -> list[int]:
    found, pending = list[int](), [first]
    while pending:
        process = pending.pop()
        found.append(process)
        try:
            threads = os.listdir(f"/proc/{process}/task")  # noqa: PTH208 - called twenty times a second
        except OSError:
            continue
        for thread in threads:
            pending += map(int, _read(f"/proc/{process}/task/{thread}/children").split())
    return found


def _proportional(process: int) -> int:
    """Resident bytes, shared pages divided by their sharers; plain resident bytes where that may not be read."""
    for line in _read(f"/proc/{process}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    fields = _read(f"/proc/{process}/statm").split()
    return int(fields[1]) * _PAGE if fields else 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
