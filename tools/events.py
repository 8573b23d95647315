"""What tools and models tell whoever waits for them. `graphs/events.py` joins these into the one event union."""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Event(BaseModel):
    """Base of every streamed event; `type` is the discriminator and the SSE event name."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64")


class ToolEvent(Event):
    """A tool call. `fraction` is 0..1 where the tool knows it, `data` a partial result where the tool has one."""

    type: Literal["tool"] = "tool"
    tool: str
    call: str
    state: Literal["started", "progress", "finished", "failed"]
    note: str = ""
    fraction: float | None = None
    ms: float | None = None
    data: dict[str, Any] | None = None


class ModelEvent(Event):
    """Where a model is on its way into memory. `seconds` is the expected wait for `queued` and `loading`."""

    type: Literal["model"] = "model"
    model: str
    device: str
    state: Literal["fetching", "queued", "evicting", "loading", "ready", "unloaded", "failed"]
    note: str = ""
    fraction: float | None = None
    seconds: float | None = None


Emit = Callable[[ToolEvent | ModelEvent], None]
"""Takes an event and returns at once; safe to call from any task of the event loop."""


def ignore(event: ToolEvent | ModelEvent) -> None:
    """The emitter of a caller who does not listen."""
