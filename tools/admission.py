"""Who is in memory, what keeping them is worth, and who would have to leave for another."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tools.catalog import Row
from tools.devices import Devices
from tools.errors import Busy
from tools.events import Emit, ModelEvent
from tools.isolation import Running

State = Literal["queued", "loading", "ready", "asleep", "leaving"]
CHAT = "chat"
SLACK = 1e-9
"""GB that are forgiven: sums of decimal fractions would refuse what fits exactly."""

Verdict = Literal["ready", "fits", "evicts", "waits", "never"]


class Plan(BaseModel):
    """What `use` would do now. `seconds` is the expected time to ready, without the wait for others to finish."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    device: str
    verdict: Verdict
    evicts: list[str] = []
    seconds: float = 0.0
    memory: float = 0.0
    free: float = 0.0
    note: str = ""


class ResidentInfo(BaseModel):
    """One model in memory, or on its way; `memory` is GB by device, `idle` seconds since its last use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    title: str
    device: str
    state: State
    memory: dict[str, float]
    users: int
    idle: float
    pid: int | None = None


@dataclass(eq=False)
class Resident:
    """One model that has, or waits for, a place. `held` is GB by device; `drains` keeps new users out."""

    row: Row
    memory: float
    seconds: float
    state: State = "queued"
    held: dict[str, float] = field(default_factory=dict)
    pins: int = 0
    drains: bool = False
    running: Running | None = None
    load: asyncio.Task[None] | None = None
    listeners: list[Emit] = field(default_factory=list)
    last: ModelEvent | None = None
    demand: float = 0.0
    touched: float = field(default_factory=time.monotonic)

    def touch(self, fades: float) -> None:
        """Count one use; earlier uses fade by `e` in `fades` seconds."""
        now = time.monotonic()
        self.demand = 1.0 + self.demand * math.exp((self.touched - now) / fades)
        self.touched = now

    def worth(self, fades: float) -> float:
        """Seconds that we expect to lose by letting it go: the cost of loading it again x how likely it is needed."""
        return self.seconds * self.demand * math.exp((self.touched - time.monotonic()) / fades)

    def info(self) -> ResidentInfo:
        """The same for people and programs."""
        return ResidentInfo(
            model=self.row.id,
            title=self.row.title,
            device=self.row.device,
            state=self.state,
            memory={device: round(held, 3) for device, held in self.held.items()},
            users=self.pins,
            idle=round(time.monotonic() - self.touched, 1),
            pid=self.running.pid if self.running is not None else None,
        )


def victims(candidates: Iterable[Resident], device: str, missing: float, fades: float) -> list[Resident] | None:
    """Those whose leaving frees `missing` GB at the least expected cost per GB; None when all together do not."""
    chosen: list[Resident] = []
    for each in sorted(candidates, key=lambda each: each.worth(fades) / each.held[device]):
        if _frees(chosen, device) >= missing:
            break
        chosen.append(each)
    if _frees(chosen, device) < missing:
        return None
    # a small cheap one that was taken first may be spared by a large one taken after it
    for each in sorted(chosen, key=lambda each: each.worth(fades), reverse=True):
        rest = [other for other in chosen if other is not each]
        if _frees(rest, device) >= missing:
            chosen = rest
    return chosen


def _frees(residents: Iterable[Resident], device: str) -> float:
    return sum(each.held[device] for each in residents) + SLACK


class Ledger:
    """Who holds how much of which device, and who waits for some in one line per device."""

    def __init__(self, devices: Devices, *, fades: float) -> None:
        self._devices = devices
        self._fades = fades
        self._changed = asyncio.Event()
        self.residents: dict[str, Resident] = {}
        self.lines: dict[str, deque[Resident]] = {}

    def leaving(self, device: str, missing: float, besides: Resident | None = None) -> tuple[list[Resident], bool]:
        """Who would leave to free so much, and whether they must be waited for."""
        if missing <= SLACK:
            return [], False
        there = [each for each in self.residents.values() if each.held.get(device) and each is not besides]
        idle = [each for each in there if not each.pins and each.state in {"ready", "asleep"}]
        if (free := victims(idle, device, missing, self._fades)) is not None:
            return free, False
        return victims(there, device, missing, self._fades) or [], True

    def drain(self, device: str, leaving: list[Resident]) -> None:
        """Let these take no new users, and the others on the device take them again."""
        for each in self.residents.values():
            if each.held.get(device):
                each.drains = each in leaving

    def used(self, device: str) -> float:
        """GB that are held or reserved."""
        return sum(each.held.get(device, 0.0) for each in self.residents.values())

    def free(self, device: str) -> float:
        """GB of the budget that nobody holds; 0 for a device without a budget."""
        return self._devices.budget(device) - self.used(device) if device in self._devices.names else 0.0

    def notify(self) -> None:
        """Wake all who wait for a change."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def quiet(self, device: str, most: float) -> bool:
        """Wait until no chat model of this device is in use or being loaded; False when one still is after so many
        seconds."""
        deadline, chats = time.monotonic() + most, (CHAT, device)
        while any(each.pins for each in self.residents.values() if (each.row.capability, each.row.device) == chats):
            try:
                await asyncio.wait_for(self._changed.wait(), max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                return False
        return True

    async def change(self, deadline: float, row: Row) -> None:
        """Wait until something changes; raises `Busy` after the deadline (monotonic time)."""
        try:
            await asyncio.wait_for(self._changed.wait(), max(0.0, deadline - time.monotonic()))
        except TimeoutError as error:
            raise Busy(
                f"No room for {row.title} came free on {row.device} in time.",
                remedy="Try again, or raise the device's budget.",
                retry_after=30.0,
            ) from error
