"""A run in progress: its newest events in memory, and whoever follows them."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator

from graphs.context import Ledger
from graphs.events import AgentEvent, RunFinished, Step, Token
from graphs.log import EventLog, Numbered, Run

_log = logging.getLogger(__name__)

KEEP = 2_048
"""Events of a run kept in memory at least; a follower who is further behind reads the log."""


class Live:
    """The events of one run in progress. Followers pull, so that a slow one costs the run nothing."""

    def __init__(self, run: Run, ledger: Ledger, log: EventLog) -> None:
        self.run = run
        self.ledger = ledger
        self.spoken: list[str] = []
        self.stop = asyncio.Event()
        self.ended = False
        self.task: asyncio.Task[None] | None = None
        self._log = log
        self._first = 1
        self._events: list[AgentEvent] = []
        self._changed: asyncio.Future[None] | None = None

    def append(self, event: AgentEvent) -> None:
        """Number an event, hand it to the followers and queue it for the log. Called on the event loop only."""
        if self.ended:
            return
        self._log.append(self.run.run, self._first + len(self._events), event)
        self._events.append(event)
        if isinstance(event, Token):
            self.spoken.append(event.text)
        elif isinstance(event, Step) and event.state == "finished":
            self.ledger.steps += 1
        if len(self._events) > 2 * KEEP:
            del self._events[:KEEP]
            self._first += KEEP
        self._wake()

    def number_from(self, first: int) -> None:
        """Number the first event so; only before there is one."""
        self._first = first

    async def finish(self, last: RunFinished) -> None:
        """Write the last event together with the run's status, and only then show it: who has seen it may resume."""
        try:
            await self._log.finish(self._first + len(self._events), last)
        except sqlite3.Error as error:
            _log.warning("the end of run %s is not in the log: %s", self.run.run, error)
        self._events.append(last)
        self.end()

    def end(self) -> None:
        """Accept no more events; followers leave when they have seen the last one."""
        self.ended = True
        self._wake()

    async def follow(self, after: int) -> AsyncIterator[Numbered]:
        """Every event with a number above `after`, until the run ends."""
        while True:
            if after + 1 < self._first:
                page = await self._log.events(self.run.run, after)
                if not page:
                    # what left memory is still on its way to the disk
                    await self._log.flush()
                    await asyncio.sleep(0.02)
            else:
                # a resumed run counts on from far above what a reconnecting follower saw
                start = max(after + 1 - self._first, 0)
                page = list(enumerate(self._events[start:], self._first + start))
                if not page and self.ended:
                    return
                if not page:
                    await self._change()
            for seq, event in page:
                yield seq, event
                after = seq

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._changed)

    def _wake(self) -> None:
        if self._changed is not None:
            changed, self._changed = self._changed, None
            changed.set_result(None)
