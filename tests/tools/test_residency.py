"""Loading on demand, sharing, room, fairness and leaving."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import Context
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest

from tests.tools.engines import Fake
from tools.catalog import Catalog, File, Row
from tools.devices import Cost, Costs, Devices
from tools.errors import Busy, Conflict, EngineFailed, InvalidInput, NotInstalled
from tools.events import Emit, ModelEvent, ToolEvent
from tools.residency import Residency
from tools.settings import Settings

pytestmark = pytest.mark.anyio


class Shelf:
    """Weights that are always there, or say what they fetch."""

    def __init__(self) -> None:
        self.absent: list[File] = []

    async def ensure(self, row: Row, emit: Emit) -> dict[str, Path]:
        if self.absent:
            emit(ModelEvent(model=row.id, device=row.device, state="fetching", fraction=0.5))
        return {}

    def missing(self, row: Row) -> list[File]:
        return self.absent


def row(
    id: str,
    memory: float = 1.0,
    isolation: Literal["thread", "process"] = "thread",
    device: str = "cpu",
    seconds: float = 1.0,
    *,
    capability: str = "fake",
    **options: Any,
) -> Row:
    return Row(
        id=id,
        title=id.title(),
        capability=capability,
        engine="tests.tools.engines:Fake",
        isolation=isolation,
        device=device,
        memory=memory,
        load_seconds=seconds,
        licence="MIT",
        commercial=True,
        options=options,
    )


@asynccontextmanager
async def opened(
    *rows: Row,
    budgets: dict[str, float] | None = None,
    wait_seconds: float = 20.0,
    idle_seconds: float = 900.0,
    costs: Costs | None = None,
    weights: Shelf | None = None,
) -> AsyncIterator[Residency]:
    residency = Residency(
        Catalog(models=list(rows), profiles={}),
        Devices(budgets or {"cpu": 4.0}),
        weights or Shelf(),
        Settings(idle_seconds=idle_seconds, _env_file=None),
        wait_seconds=wait_seconds,
        costs=costs,
    )
    try:
        async with asyncio.timeout(40):
            yield residency
    finally:
        await residency.close()


def states(residency: Residency) -> dict[str, str]:
    return {each.model: each.state for each in residency.residents()}


async def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - the thing watched has no event of its own
            await asyncio.sleep(0.005)


async def hold(residency: Residency, model: str, release: asyncio.Event) -> None:
    async with residency.use(model):
        await release.wait()


async def touch(residency: Residency, model: str) -> None:
    async with residency.use(model):
        pass


async def test_two_requests_one_load(tmp_path: Path) -> None:
    log, events = tmp_path / "log", list[ToolEvent | ModelEvent]()
    async with opened(row("a", load=0.2, log=str(log))) as residency:
        engines = set()

        async def use() -> None:
            async with residency.use("a", events.append) as lease:
                engines.add(id(lease.running))
                assert await lease.call(Fake.echo, 3) == 3

        await asyncio.gather(*(use() for _ in range(20)))
        assert len(engines) == 1
        assert log.read_text().split() == ["a"]
    kinds = [each.state for each in events]
    # each of those who waited sees what happened, whether it came first or last
    assert kinds.count("loading") == 20
    assert kinds.count("ready") == 20


async def test_a_failed_load_fails_all_who_wait_and_leaves_nothing(tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    torn.touch()
    async with opened(row("a", load=0.1, fails=str(torn))) as residency:
        results = await asyncio.gather(*(touch(residency, "a") for _ in range(5)), return_exceptions=True)
        assert all(isinstance(each, EngineFailed) for each in results)
        assert residency.residents() == []
        assert residency.budgets()["cpu"]["used"] == 0
        torn.unlink()
        await touch(residency, "a")
        assert states(residency) == {"a": "ready"}


async def test_the_cheapest_to_lose_leaves() -> None:
    async with opened(row("dear", 1, seconds=60), row("cheap", 1), row("third", 1), budgets={"cpu": 2.0}) as residency:
        await touch(residency, "cheap")
        await touch(residency, "dear")
        residency._ledger.residents["dear"].seconds = 60.0
        # cheap was used last: by recency alone dear would go
        await touch(residency, "cheap")
        assert residency.plan("third").model_dump(include={"verdict", "evicts"}) == {
            "verdict": "evicts",
            "evicts": ["cheap"],
        }
        await touch(residency, "third")
        assert set(states(residency)) == {"dear", "third"}


async def test_what_is_used_often_stays() -> None:
    async with opened(row("often"), row("once"), row("third"), budgets={"cpu": 2.0}) as residency:
        for _ in range(5):
            await touch(residency, "often")
        await touch(residency, "once")
        for each in residency._ledger.residents.values():
            each.seconds = 1.0
        await touch(residency, "third")
        assert set(states(residency)) == {"often", "third"}


async def test_no_more_than_needed_leaves() -> None:
    rows = [row("a", 1), row("b", 1), row("c", 2), row("big", 2)]
    async with opened(*rows, budgets={"cpu": 4.0}) as residency:
        for each in "abc":
            await touch(residency, each)
        for model, seconds in {"a": 0.1, "b": 9.0, "c": 2.0}.items():
            residency._ledger.residents[model].seconds = seconds
        # a and then c would be chosen by cost alone, but c by itself is enough
        assert residency.plan("big").evicts == ["c"]


async def test_pinned_models_are_waited_for() -> None:
    async with opened(row("a", 3), row("b", 3)) as residency:
        release, events = asyncio.Event(), list[ToolEvent | ModelEvent]()
        holding = asyncio.create_task(hold(residency, "a", release))
        await until(lambda: states(residency).get("a") == "ready")
        assert residency.plan("b").verdict == "waits"

        async def use_b() -> None:
            async with residency.use("b", events.append):
                assert "a" not in states(residency)

        using = asyncio.create_task(use_b())
        await until(lambda: bool(events))
        assert isinstance(events[0], ModelEvent)
        assert events[0].state == "queued"
        release.set()
        await using
        await holding
        assert [each.state for each in events] == ["queued", "evicting", "loading", "ready"]


async def test_small_models_do_not_starve_a_big_one() -> None:
    smalls = [row(f"small{n}", 1) for n in range(6)]
    async with opened(*smalls, row("big", 4)) as residency:
        stop, served = asyncio.Event(), 0

        async def stream(model: str) -> None:
            nonlocal served
            while not stop.is_set():
                async with residency.use(model):
                    await asyncio.sleep(0.01)
                served += 1

        # overlapping users: the small models are never all free at once by themselves
        users = [asyncio.create_task(stream(each.id)) for each in smalls for _ in range(3)]
        await until(lambda: served > 20)
        async with asyncio.timeout(5), residency.use("big"):
            assert states(residency)["big"] == "ready"
        before = served
        await until(lambda: served > before + 20)
        stop.set()
        await asyncio.gather(*users)


async def test_first_come_first_served() -> None:
    async with opened(row("a", 4), row("b", 4), row("c", 1)) as residency:
        release, order = asyncio.Event(), list[str]()
        holding = asyncio.create_task(hold(residency, "a", release))
        await until(lambda: states(residency).get("a") == "ready")

        async def use(model: str) -> None:
            async with residency.use(model):
                order.append(model)

        waiting = []
        for model in ("b", "c", "a"):
            waiting.append(asyncio.create_task(use(model)))
            await asyncio.sleep(0.02)
        release.set()
        await asyncio.gather(holding, *waiting)
        assert order == ["b", "c", "a"]


async def test_a_task_may_use_again_what_it_holds() -> None:
    async with opened(row("a", 3), row("b", 3), row("c", 3)) as residency, residency.use("a"):
        waiting = asyncio.create_task(touch(residency, "b"), context=Context())
        await until(lambda: states(residency).get("b") == "queued")
        await asyncio.sleep(0.02)
        await touch(residency, "a")
        with pytest.raises(Busy, match="same task"):
            await touch(residency, "c")
        waiting.cancel()


async def test_who_gives_up_waiting_is_out_of_the_line() -> None:
    async with opened(row("a", 4), row("b", 4), row("c", 2)) as residency:
        release = asyncio.Event()
        holding = asyncio.create_task(hold(residency, "a", release))
        await until(lambda: states(residency).get("a") == "ready")
        waiting = asyncio.create_task(touch(residency, "b"))
        await until(lambda: states(residency).get("b") == "queued")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        # a takes users again, nothing of b is left, and a new request for b starts over
        await touch(residency, "a")
        await until(lambda: states(residency) == {"a": "ready"})
        again = asyncio.create_task(touch(residency, "b"))
        await asyncio.sleep(0.02)
        release.set()
        await asyncio.gather(holding, again)


async def test_a_request_may_come_while_another_gives_up() -> None:
    async with opened(row("a", 4), row("b", 4)) as residency:
        release = asyncio.Event()
        holding = asyncio.create_task(hold(residency, "a", release))
        await until(lambda: states(residency).get("a") == "ready")
        first = asyncio.create_task(touch(residency, "b"))
        await until(lambda: states(residency).get("b") == "queued")
        first.cancel()
        second = asyncio.create_task(touch(residency, "b"))
        release.set()
        await second
        await holding


async def test_waiting_ends() -> None:
    async with opened(row("a", 4), row("b", 4), wait_seconds=0.2) as residency, residency.use("a"):
        with pytest.raises(Busy, match="came free") as caught:
            await asyncio.create_task(touch(residency, "b"), context=Context())
        assert caught.value.retry_after


async def test_what_never_fits_is_refused_at_once() -> None:
    async with opened(row("huge", 40), row("gpu", 1, device="gpu:0")) as residency:
        assert residency.plan("huge").verdict == "never"
        with pytest.raises(InvalidInput, match=r"40\.0 GB.*4\.0 GB"):
            await touch(residency, "huge")
        assert residency.plan("gpu").verdict == "never"
        with pytest.raises(NotInstalled, match="gpu:0"):
            await touch(residency, "gpu")


async def test_plan_and_events(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.absent = [File(name="w", sources=["pypi:a==1/w"], size=5_000_000)]
    async with opened(row("a", 3), row("b", 3), weights=shelf) as residency:
        seen: list[str] = []

        async def watch() -> None:
            async for event in residency.events():
                seen.append(f"{event.model} {event.state}")  # noqa: PERF401 - it never ends

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0)
        plan = residency.plan("a")
        assert (plan.verdict, plan.seconds, plan.free) == ("fits", 1.0, 4.0)
        assert "5 MB" in plan.note
        await touch(residency, "a")
        assert residency.plan("a").verdict == "ready"
        assert residency.plan("b").evicts == ["a"]
        await touch(residency, "b")
        await until(lambda: "b ready" in seen)
        assert seen == [
            "a fetching",
            "a loading",
            "a ready",
            "b fetching",
            "b evicting",
            "a unloaded",
            "b loading",
            "b ready",
        ]
        watching.cancel()


async def test_unload_and_idle() -> None:
    async with opened(row("a"), row("b"), idle_seconds=0.2) as residency:
        async with residency.use("a"):
            with pytest.raises(Conflict, match="in use"):
                await residency.unload("a")
            await touch(residency, "b")
            await until(lambda: states(residency) == {"a": "ready"}, 3)
            # in use is not idle
            await asyncio.sleep(0.4)
            assert states(residency) == {"a": "ready"}
        await residency.unload("a")
        assert residency.residents() == []


async def test_a_crash_stays_local_and_the_next_lease_loads_afresh() -> None:
    async with opened(row("a", 0.1, "process"), row("b", 0.1)) as residency:
        async with residency.use("b") as other, residency.use("a") as lease:
            pid = lease.running.pid
            call = asyncio.ensure_future(lease.call(Fake.wait, 60.0))
            await asyncio.sleep(0.1)
            os.kill(pid or 0, signal.SIGKILL)
            with pytest.raises(EngineFailed, match="SIGKILL"):
                await call
            assert await other.call(Fake.echo, 1) == 1
        async with residency.use("a") as lease:
            assert lease.running.pid != pid
            assert await lease.call(Fake.echo, 2) == 2


async def test_memory_is_measured_and_given_back(tmp_path: Path) -> None:
    costs = Costs(tmp_path / "costs.json")
    hog = row("hog", 0.05, "process", hog=300, seconds=9.0)
    async with opened(hog, costs=costs) as residency:
        await touch(residency, "hog")
        info = residency.residents()[0]
        assert 0.3 < info.memory["cpu"] < 0.7
        assert residency.budgets()["cpu"]["used"] == info.memory["cpu"]
        await residency.unload("hog")
        assert not psutil.pid_exists(info.pid or 0)
    # the next start of the program plans with what was measured
    async with opened(hog, costs=Costs(tmp_path / "costs.json")) as residency:
        plan = residency.plan("hog")
        assert 0.3 < plan.memory < 0.7
        assert plan.seconds < 9.0


async def test_what_grows_is_measured_again() -> None:
    async with opened(row("a", 0.05, "process"), idle_seconds=1.0) as residency, residency.use("a") as lease:
        before = residency.residents()[0].memory["cpu"]
        await lease.call(Fake.grow, 200)
        await until(lambda: residency.residents()[0].memory["cpu"] > before + 0.19)


async def test_measured_above_its_guess_it_is_let_in_alone() -> None:
    costs, big = Costs(), row("big", 3)
    costs.record(big, Cost(seconds=1, memory=5.0))
    async with opened(big, row("small", 1), costs=costs) as residency:
        await touch(residency, "small")
        assert residency.plan("big").evicts == ["small"]
        await touch(residency, "big")


async def test_close_ends_waiting_and_running() -> None:
    async with opened(row("a", 3, "process"), row("b", 4)) as residency:
        release = asyncio.Event()
        holding = asyncio.create_task(hold(residency, "a", release))
        await until(lambda: states(residency).get("a") == "ready")
        pid = residency.residents()[0].pid
        waiting = asyncio.create_task(touch(residency, "b"))
        await until(lambda: len(residency.residents()) == 2)
        await residency.close()
        with pytest.raises(EngineFailed, match="given up"):
            await waiting
        assert not psutil.pid_exists(pid or 0)
        with pytest.raises(Conflict):
            await touch(residency, "a")
        release.set()
        await holding
