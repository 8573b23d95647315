"""Devices: how much memory the owner allows, how much is really free, and what a model really took."""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel, TypeAdapter, ValidationError

from tools.catalog import Row
from tools.errors import NotInstalled

GB = 1e9


class Cost(BaseModel):
    """What loading a row took here: seconds, and GB on its device."""

    seconds: float
    memory: float


_COSTS = TypeAdapter(dict[str, Cost])


class Costs:
    """What was measured of each row, kept over restarts; the row's own figures until then."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._costs: dict[str, Cost] = {}
        if path is not None:
            with suppress(OSError, ValidationError):
                self._costs = _COSTS.validate_json(path.read_bytes())

    def of(self, row: Row) -> Cost:
        """Seconds and GB to expect of this row."""
        return self._costs.get(f"{row.id}@{row.device}") or Cost(seconds=row.load_seconds, memory=row.memory)

    def record(self, row: Row, cost: Cost) -> None:
        """Keep a measurement; blocking."""
        self._costs[f"{row.id}@{row.device}"] = cost
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part = self._path.with_suffix(".part")
            part.write_text(json.dumps({name: each.model_dump() for name, each in self._costs.items()}), "utf-8")
            part.replace(self._path)


class Devices:
    """Memory of this machine's devices, in GB. `budgets` is what models may use of each."""

    def __init__(self, budgets: Mapping[str, float]) -> None:
        self._budgets = dict(budgets)

    @property
    def names(self) -> list[str]:
        return sorted(self._budgets)

    def budget(self, device: str) -> float:
        """What models may use; raises `NotInstalled` for a device that the profile does not have."""
        if device in self._budgets:
            return self._budgets[device]
        raise NotInstalled(
            f"There is no budget for device {device!r}; this profile has {', '.join(self.names)}.",
            remedy=f"Choose another profile, or set SUTRADHAR_DEVICES to include {device!r}.",
        )

    def used_by(self, pid: int, device: str) -> float | None:
        """What a process and its children hold on the device; None where nobody can tell. Blocking."""
        try:
            root = psutil.Process(pid)
            tree = [root, *root.children(recursive=True)]
            if device == "cpu":
                return sum(each.memory_info().rss for each in tree if each.is_running()) / GB
            return _gpu_memory(device, {each.pid for each in tree})
        except psutil.Error:
            return None

    def free(self, device: str) -> float | None:
        """What the machine itself says is free; None where nobody can tell. Blocking."""
        if device == "cpu":
            return psutil.virtual_memory().available / GB
        with _nvml(device) as gpu:
            return None if gpu is None else gpu[0].nvmlDeviceGetMemoryInfo(gpu[1]).free / GB

    async def settle(self, device: str, needed: float, seconds: float = 10.0) -> bool:
        """Wait until that much is really free; False when it is not after `seconds`."""
        limit = time.monotonic() + seconds
        while (free := await asyncio.to_thread(self.free, device)) is not None and free < needed:
            if time.monotonic() > limit:
                return False
            await asyncio.sleep(0.1)
        return True


def total(device: str) -> float | None:
    """The size of a GPU in GB; None on a machine without it. Blocking."""
    with _nvml(device) as gpu:
        return None if gpu is None else gpu[0].nvmlDeviceGetMemoryInfo(gpu[1]).total / GB


@contextmanager
def _nvml(device: str) -> Iterator[tuple[Any, Any] | None]:
    """NVIDIA's library and the device's handle, or None on a machine without them."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml, pynvml.nvmlDeviceGetHandleByIndex(int(device.partition(":")[2]))
    finally:
        pynvml.nvmlShutdown()


def _gpu_memory(device: str, pids: set[int]) -> float | None:
    with _nvml(device) as gpu:
        if gpu is None:
            return None
        used = [each.usedGpuMemory for each in gpu[0].nvmlDeviceGetComputeRunningProcesses(gpu[1]) if each.pid in pids]
        # inside a container the driver shows other process ids, or none
        return sum(used) / GB if used and None not in used else None
