"""Who is told what happens to models."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Literal

from tools.admission import Resident
from tools.events import Emit, ModelEvent, ToolEvent

_SUBSCRIBER_EVENTS = 256


class Announcements:
    """Tells what happens to models: to those who wait for one, and to those who watch all."""

    def __init__(self) -> None:
        self._subscribers: set[asyncio.Queue[ModelEvent]] = set()

    @contextmanager
    def listening(self, resident: Resident, emit: Emit) -> Iterator[None]:
        """Let `emit` hear of this model, from its latest event on."""
        if resident.last is not None:
            emit(resident.last)
        resident.listeners.append(emit)
        try:
            yield
        finally:
            resident.listeners.remove(emit)

    def tell(
        self,
        resident: Resident,
        state: Literal["queued", "evicting", "loading", "ready", "unloaded", "failed"],
        note: str = "",
        *,
        seconds: float | None = None,
    ) -> None:
        """Announce a new state."""
        rounded = None if seconds is None else round(seconds, 1)
        row = resident.row
        self.spread(resident, ModelEvent(model=row.id, device=row.device, state=state, note=note, seconds=rounded))

    def spread(self, resident: Resident, event: ToolEvent | ModelEvent) -> None:
        """Pass an event on, such as one of the weight store."""
        if isinstance(event, ModelEvent):
            resident.last = event
            for queue in self._subscribers:
                if queue.full():
                    queue.get_nowait()
                queue.put_nowait(event)
        for emit in list(resident.listeners):
            emit(event)

    async def events(self) -> AsyncIterator[ModelEvent]:
        """Everything that happens to any model from now on; a reader that is too slow loses the oldest."""
        queue: asyncio.Queue[ModelEvent] = asyncio.Queue(_SUBSCRIBER_EVENTS)
        self._subscribers.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._subscribers.discard(queue)
