"""Where models live and when they leave.

A model is loaded once for all who ask, stays while anyone uses it, and leaves when another needs its room or nobody has
needed it for long. Whoever does not fit waits in one line per device, first come first served: the models that must
go for the first in line take no new users, so that a stream of small requests cannot starve a big one.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from tools.admission import SLACK, Ledger, Plan, Resident, ResidentInfo
from tools.announcements import Announcements
from tools.capability import Endpoint
from tools.catalog import Catalog, File, Row
from tools.devices import Cost, Costs, Devices
from tools.errors import Busy, Conflict, EngineFailed, InvalidInput
from tools.events import Emit, ModelEvent, ignore
from tools.isolation import Running, process, remote, server, thread
from tools.isolation.environments import Environments, confinement, variables
from tools.patience import Patient
from tools.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

_ASLEEP_GB = 1.0
_HELD: ContextVar[tuple[str, ...]] = ContextVar("models held by this task", default=())


class Weights(Protocol):
    """Where weight files come from; `tools.store.WeightStore` in life."""

    async def ensure(self, row: Row, emit: Emit) -> dict[str, Path]: ...

    def missing(self, row: Row) -> list[File]: ...


@dataclass(frozen=True)
class EngineLease:
    """The right to use a loaded engine until the block ends."""

    row: Row
    running: Running

    @property
    def endpoint(self) -> Endpoint:
        return self.running.endpoint

    def call(self, method: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        return self.running.call(method, *args, **kwargs)

    def stream(
        self, method: Callable[Concatenate[Any, P], Iterator[R]], *args: P.args, **kwargs: P.kwargs
    ) -> AsyncIterator[R]:
        return self.running.stream(method, *args, **kwargs)


class Residency:
    """The models in memory; implements `tools.bench.Models`. Belongs to one event loop; `close` ends all engines."""

    def __init__(
        self,
        catalog: Catalog,
        devices: Devices,
        weights: Weights,
        settings: Settings,
        *,
        costs: Costs | None = None,
        environments: Environments | None = None,
        wait_seconds: float = 600.0,
    ) -> None:
        self._catalog = catalog
        self._devices = devices
        self._weights = weights
        self._environments = environments or Environments(settings.cache / "environments", offline=settings.offline)
        self._settings = settings
        self._costs = costs or Costs()
        self._wait_seconds = wait_seconds
        self._ledger = Ledger(devices, fades=settings.idle_seconds)
        self._news = Announcements()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._sweeping: asyncio.Task[None] | None = None
        self._closed = False
        self._patient = Patient(self.use, partial(self._ledger.quiet, "cpu"))

    @asynccontextmanager
    async def use(self, model: str, emit: Emit = ignore) -> AsyncIterator[EngineLease]:
        """A lease on this model's engine, loading it (and making room) when it is absent.

        Raises `NotInstalled`, `EngineFailed`, `InvalidInput` for a model that never fits, `Busy` when no room
        came free.
        """
        row = self._catalog.resolve(model).row
        if row.isolation == "remote":
            yield EngineLease(row, remote.start(row, self._settings.api_keys))
            return
        resident = await self._acquire(row, emit)
        held = _HELD.get()
        _HELD.set((*held, row.id))
        try:
            yield EngineLease(row, _running(resident))
        finally:
            _HELD.set(held)
            self._release(resident)

    def patient(self) -> Patient:
        """The same models for work that nobody waits for."""
        return self._patient

    def plan(self, model: str) -> Plan:
        """What `use` would do now, without doing it."""
        row = self._catalog.resolve(model).row
        if row.isolation == "remote":
            return Plan(model=row.id, device="remote", verdict="ready")
        if row.device not in self._devices.names:
            return Plan(model=row.id, device=row.device, verdict="never", note="the profile has no such device")
        cost, device, resident = self._expect(row), row.device, self._ledger.residents.get(row.id)
        plan = Plan(model=row.id, device=device, verdict="ready", memory=cost.memory, free=self._ledger.free(device))
        if resident is not None and resident.state in {"ready", "loading"}:
            return plan.model_copy(update={"seconds": 0.0 if resident.state == "ready" else resident.seconds})
        absent = self._weights.missing(row)
        notes = [f"{sum(each.size or 0 for each in absent) / 1e6:,.0f} MB are fetched first"] if absent else []
        notes += ["its environment is built first"] if self._environments.missing(row) else []
        plan = plan.model_copy(update={"seconds": cost.seconds, "note": "; ".join(notes)})
        if cost.memory > self._devices.budget(device) + SLACK:
            return plan.model_copy(update={"verdict": "never", "seconds": 0.0})
        leaving, waits = self._ledger.leaving(device, cost.memory - plan.free)
        line = bool(self._ledger.lines.get(device))
        verdict = "waits" if waits or line else "evicts" if leaving else "fits"
        return plan.model_copy(update={"verdict": verdict, "evicts": [each.row.id for each in leaving]})

    def residents(self) -> list[ResidentInfo]:
        """Every model in memory or on its way there."""
        return [each.info() for each in self._ledger.residents.values()]

    def budgets(self) -> dict[str, dict[str, float]]:
        """GB by device: `budget` and `used`."""
        return {
            device: {"budget": self._devices.budget(device), "used": round(self._ledger.used(device), 3)}
            for device in self._devices.names
        }

    async def unload(self, model: str) -> None:
        """Take a model out of memory now; raises `Conflict` while somebody uses it."""
        resident = self._ledger.residents.get(self._catalog.resolve(model).row.id)
        if resident is None or resident.state == "leaving":
            return
        if resident.pins or resident.state not in {"ready", "asleep"}:
            raise Conflict(f"{resident.row.title} is in use.", remedy="Wait until its runs end, or stop them.")
        resident.state = "leaving"
        await self._leave(resident, "asked to leave")

    def events(self) -> AsyncIterator[ModelEvent]:
        """Everything that happens to any model from now on; a reader that is too slow loses the oldest."""
        return self._news.events()

    async def close(self) -> None:
        """End every engine and every load."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        loads = [
            each.load for each in self._ledger.residents.values() if each.load is not None and not each.load.done()
        ]
        for load in loads:
            load.cancel()
        if loads:
            await asyncio.wait(loads)
        await asyncio.gather(*(self._leave(each, "closing") for each in list(self._ledger.residents.values())))
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _acquire(self, row: Row, emit: Emit) -> Resident:
        self._check(row)
        deadline = time.monotonic() + self._wait_seconds
        while True:
            resident = self._ledger.residents.get(row.id)
            if resident is not None and resident.state == "ready" and not _running(resident).alive:
                resident.state = "leaving"
                await self._leave(resident, "it had died")
                continue
            if resident is None or resident.state == "asleep":
                resident = self._begin(row, resident)
            elif resident.state == "leaving" or (resident.drains and row.id not in _HELD.get()):
                with self._news.listening(resident, emit):
                    await self._ledger.change(deadline, row)
                continue
            return await self._join(resident, emit)

    async def _join(self, resident: Resident, emit: Emit) -> Resident:
        """Pin it, and wait for its load where that is not done."""
        resident.pins += 1
        try:
            if resident.state != "ready" and resident.load is not None:
                with self._news.listening(resident, emit):
                    await asyncio.shield(resident.load)
        except BaseException:
            self._release(resident)
            raise
        resident.touch(self._settings.idle_seconds)
        return resident

    def _check(self, row: Row) -> None:
        """Refuse at once what can never be."""
        if self._closed:
            raise Conflict("The models are being shut down.")
        budget, cost = self._devices.budget(row.device), self._expect(row)
        if cost.memory > budget + SLACK:
            raise InvalidInput(
                f"{row.title} needs {cost.memory:.1f} GB on {row.device}; its budget is {budget:.1f} GB.",
                remedy=f"Choose a smaller model, or raise the budget of {row.device!r} in SUTRADHAR_DEVICES.",
                param="model",
            )
        mine = [each for each in map(self._ledger.residents.get, set(_HELD.get()) - {row.id}) if each is not None]
        held = sum(each.held.get(row.device, 0.0) for each in mine)
        if row.id not in self._ledger.residents and held + cost.memory > budget + SLACK:
            names = ", ".join(each.row.title for each in mine)
            raise Busy(
                f"{row.title} does not fit on {row.device} beside {names}, which the same task is using.",
                remedy="Use one after the other, or raise the device's budget.",
            )

    def _expect(self, row: Row) -> Cost:
        cost, budget = self._costs.of(row), self._devices.budget(row.device)
        # what was measured above the budget but did run is let in alone
        return Cost(seconds=cost.seconds, memory=min(cost.memory, budget) if row.memory <= budget else cost.memory)

    def _begin(self, row: Row, asleep: Resident | None) -> Resident:
        cost = self._expect(row)
        resident = asleep or Resident(row, cost.memory, cost.seconds)
        resident.state, resident.last = "queued", None
        self._ledger.residents[row.id] = resident
        resident.load = asyncio.create_task(self._bring(resident), name=f"load {row.id}")
        # read here too, because every waiter may have gone by then
        resident.load.add_done_callback(lambda load: load.cancelled() or load.exception())
        if self._sweeping is None:
            self._sweeping = asyncio.create_task(self._sweep())
        return resident

    async def _bring(self, resident: Resident) -> None:
        row = resident.row
        try:
            wakes = resident.running is not None
            python, files = (None, {}) if wakes else await self._install(resident)
            await self._make_room(resident)
            started = time.monotonic()
            await (self._wake(resident) if wakes else self._start(resident, files, python))
            resident.seconds = time.monotonic() - started
            await self._measure(resident)
        except BaseException as error:
            resident.state = "leaving"
            self._news.tell(resident, "failed", str(error) or type(error).__name__)
            await asyncio.shield(self._leave(resident, "", quiet=True))
            if isinstance(error, asyncio.CancelledError):
                # whoever still waits has not been cancelled
                raise EngineFailed(f"Loading {row.title} was given up.") from error
            raise
        resident.state = "ready"
        self._news.tell(resident, "ready", seconds=resident.seconds)
        self._ledger.notify()

    async def _install(self, resident: Resident) -> tuple[str | None, Mapping[str, Path]]:
        """Its interpreter and its files; the interpreter first, whose absence shows before gigabytes have come."""
        row, tell = resident.row, partial(self._news.spread, resident)
        return await self._environments.ensure(row, tell), await self._weights.ensure(row, tell)

    async def _start(self, resident: Resident, files: Mapping[str, Path], python: str | None) -> None:
        row = resident.row.model_copy(update={"python": python})
        self._news.tell(resident, "loading", f"about {resident.seconds:.0f} s", seconds=resident.seconds)
        if row.isolation == "thread":
            resident.running = await thread.start(row, files, row.device)
        elif row.isolation == "process":
            resident.running = await process.start(
                row.engine,
                files,
                row=row,
                device=row.device,
                limits=confinement(row),
                python=python,
                variables=variables(row, python),
            )
        else:
            resident.running = await server.start(row, files, row.device)

    async def _wake(self, resident: Resident) -> None:
        self._news.tell(resident, "loading", "waking", seconds=resident.seconds)
        running = resident.running
        if not isinstance(running, server.ServerEngine) or not running.alive:
            raise EngineFailed(f"{resident.row.title} died in its sleep.", remedy="Ask for it again.")
        await running.wake()
        resident.held = {resident.row.device: resident.memory}

    async def _measure(self, resident: Resident) -> None:
        """Replace the guess by what the device says; engines in our own process keep theirs."""
        running, row = _running(resident), resident.row
        used = None
        if running.pid is not None:
            used = await asyncio.to_thread(self._devices.used_by, running.pid, row.device)
        if resident.state != "loading" and (resident.state != "ready" or used is None or used <= resident.memory):
            # what counts later is its worst: a server grows with its first long prompt and does not shrink
            return
        if used is not None:
            resident.memory = resident.held[row.device] = used
        with suppress(OSError):
            cost = Cost(seconds=resident.seconds, memory=resident.memory)
            await asyncio.to_thread(self._costs.record, row, cost)

    async def _make_room(self, resident: Resident) -> None:
        """Wait for the first place in line and then for enough memory; on return it is reserved."""
        device, deadline = resident.row.device, time.monotonic() + self._wait_seconds
        line = self._ledger.lines.setdefault(device, deque())
        line.append(resident)
        try:
            while not (line[0] is resident and await self._clear(resident)):
                if resident.last is None or resident.last.state != "queued":
                    self._news.tell(resident, "queued", f"waiting for room on {device}", seconds=resident.seconds)
                await self._ledger.change(deadline, resident.row)
            resident.state = "loading"
            resident.held[device] = resident.memory
        finally:
            line.remove(resident)
            self._ledger.drain(device, [])
            self._ledger.notify()

    async def _clear(self, resident: Resident) -> bool:
        """Evict until it fits; False when those who must leave are in use, and take no new users from now on."""
        device, moved = resident.row.device, False
        while (missing := resident.memory - resident.held.get(device, 0.0) - self._ledger.free(device)) > SLACK:
            leaving, waits = self._ledger.leaving(device, missing, besides=resident)
            self._ledger.drain(device, leaving if waits else [])
            if waits:
                return False
            for each in leaving:
                each.state = "leaving"
            for each in leaving:
                self._news.tell(resident, "evicting", f"{each.row.title} makes room", seconds=resident.seconds)
                await self._evict(each, device)
                moved = True
        enough = await self._devices.settle(device, resident.memory if device != "cpu" else 0.0)
        if not enough:
            raise Busy(
                f"{device} has less than {resident.memory:.1f} GB really free for {resident.row.title}"
                f"{' although models left' if moved else ''}: another program holds it.",
                remedy="End that program, or lower the device's budget.",
                retry_after=30.0,
            )
        return True

    async def _evict(self, resident: Resident, device: str) -> None:
        """Put it to sleep where it can and main memory has the room, else end it."""
        running = resident.running
        roomy = device != "cpu" and "cpu" not in resident.held and self._ledger.free("cpu") >= resident.memory
        if not (isinstance(running, server.ServerEngine) and running.sleeps and running.alive and roomy):
            await self._leave(resident, "made room")
            return
        try:
            await running.sleep()
        except EngineFailed:
            await self._leave(resident, "would not sleep")
            return
        left = await asyncio.to_thread(self._devices.used_by, running.pid or 0, device)
        resident.held = {device: min(_ASLEEP_GB, resident.memory) if left is None else left, "cpu": resident.memory}
        resident.state, resident.drains = "asleep", False
        self._news.tell(resident, "unloaded", "asleep in main memory")
        self._ledger.notify()

    async def _leave(self, resident: Resident, why: str, *, quiet: bool = False) -> None:
        """End its engine and wait until the memory is back, then forget it."""
        resident.state = "leaving"
        if resident.running is not None:
            await resident.running.close()
        resident.held = {}
        if self._ledger.residents.get(resident.row.id) is resident:
            del self._ledger.residents[resident.row.id]
        if not quiet:
            self._news.tell(resident, "unloaded", why)
        self._ledger.notify()

    def _release(self, resident: Resident) -> None:
        resident.pins -= 1
        if resident.pins == 0 and resident.state == "queued" and resident.load is not None:
            # nobody waits any more, and a later request must not join a load that is being given up
            resident.state = "leaving"
            resident.load.cancel()
        elif resident.state == "ready" and not _running(resident).alive and not resident.pins:
            resident.state = "leaving"
            self._later(self._leave(resident, "it had died"))
        self._ledger.notify()

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _sweep(self) -> None:
        """Unload what nobody has needed for the idle time, and what has died."""
        idle = self._settings.idle_seconds
        while True:
            await asyncio.sleep(min(idle / 4, 15.0))
            for each in list(self._ledger.residents.values()):
                dead = each.state in {"ready", "asleep"} and not _running(each).alive
                old = time.monotonic() - each.touched > idle * (2 if each.state == "asleep" else 1)
                if not each.pins and each.state in {"ready", "asleep"} and (dead or old):
                    each.state = "leaving"
                    await self._leave(each, "it had died" if dead else f"unused for {idle:g} s")
                elif each.state == "ready" and not dead:
                    await self._measure(each)


def _running(resident: Resident) -> Running:
    if resident.running is None:
        raise EngineFailed(f"{resident.row.title} is not loaded.")
    return resident.running
