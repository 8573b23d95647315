"""Who is in memory, what keeping them is worth, and who would have to leave for another."""

import asyncio
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tools.catalog import Row
from tools.events import Emit, ModelEvent
from tools.isolation import Running

State = Literal["queued", "loading", "ready", "asleep", "leaving"]
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
    # a little slack, or sums of decimal fractions refuse what fits exactly
    return sum(each.held[device] for each in residents) + 1e-9
