"""What devices have, what was measured, and how a bench is opened."""

import asyncio
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tests.tools.test_chat import small_catalog
from tests.tools.test_residency import row
from tools import devices
from tools.devices import Cost, Costs, Devices
from tools.errors import NotInstalled
from tools.open import open_bench
from tools.residency import Residency
from tools.settings import Settings


class Nvml:
    """NVIDIA's library on a machine with one card of 32 GB, on which `used` GB by process are taken."""

    NVMLError = RuntimeError

    def __init__(self) -> None:
        self.used: dict[int, float | None] = {}

    def nvmlInit(self) -> None: ...  # noqa: N802

    def nvmlShutdown(self) -> None: ...  # noqa: N802

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetMemoryInfo(self, gpu: int) -> Any:  # noqa: N802
        taken = sum(each or 0.0 for each in self.used.values())
        return SimpleNamespace(total=int(32e9), free=int((32 - taken) * 1e9))

    def nvmlDeviceGetComputeRunningProcesses(self, gpu: int) -> list[Any]:  # noqa: N802
        return [
            SimpleNamespace(pid=pid, usedGpuMemory=None if used is None else int(used * 1e9))
            for pid, used in self.used.items()
        ]


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    fake = Nvml()
    monkeypatch.setitem(__import__("sys").modules, "pynvml", fake)
    return fake


def test_costs_are_kept_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "costs.json"
    assert Costs(path).of(row("a", 2.0)) == Cost(seconds=1.0, memory=2.0)
    Costs(path).record(row("a", 2.0), Cost(seconds=7.5, memory=1.2))
    assert Costs(path).of(row("a", 2.0)) == Cost(seconds=7.5, memory=1.2)
    # another device is another matter
    assert Costs(path).of(row("a", 2.0, device="gpu:0")).memory == 2.0
    path.write_text("{torn", encoding="utf-8")
    assert Costs(path).of(row("a", 2.0)).memory == 2.0


def test_a_device_without_a_budget_is_named() -> None:
    with pytest.raises(NotInstalled, match=r"gpu:1.*cpu"):
        Devices({"cpu": 1.0}).budget("gpu:1")


def test_gpu_memory_is_what_the_driver_says(nvml: Nvml) -> None:
    here = Devices({"gpu:0": 30.0})
    own = psutil.Process().pid
    nvml.used = {own: 6.0, 1: 4.0}
    assert here.used_by(own, "gpu:0") == 6.0
    assert here.free("gpu:0") == 22.0
    assert devices.total("gpu:0") == 32.0
    # in a container the driver tells no sizes
    nvml.used = {own: None}
    assert here.used_by(own, "gpu:0") is None


@pytest.mark.anyio
async def test_a_load_waits_until_the_memory_is_really_free(nvml: Nvml) -> None:
    nvml.used = {1: 20.0}
    here = Devices({"gpu:0": 30.0})
    assert not await here.settle("gpu:0", 16.0, seconds=0.2)
    waiting = asyncio.create_task(here.settle("gpu:0", 16.0, seconds=10))
    await asyncio.sleep(0.05)
    nvml.used = {}
    assert await waiting


@pytest.mark.anyio
async def test_a_bench_opens_over_a_private_home(settings: Settings) -> None:
    settings = settings.model_copy(update={"devices": {"gpu:1": 90.0}})
    async with open_bench(settings, catalog=small_catalog()) as bench:
        assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700
        assert isinstance(bench.models, Residency)
        budgets = bench.models.budgets()
        assert budgets["gpu:1"]["budget"] == 90.0
        # never more than the machine has, whatever the profile says
        assert budgets["cpu"]["budget"] <= min(4.0, psutil.virtual_memory().total / 1e9)
