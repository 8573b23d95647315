"""The bench: what a tool finds to work with at run time. Passed to every tool, never global."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from pydantic import BaseModel

from tools.capability import Capability, Lease, Part
from tools.catalog import Catalog, Choice
from tools.errors import NotInstalled
from tools.events import Emit, ToolEvent, ignore
from tools.policy import Permit
from tools.settings import Settings

if TYPE_CHECKING:
    from tools.media.store import MediaStore
    from tools.toolbox import Tool

E = TypeVar("E")
T = TypeVar("T")
In = TypeVar("In", bound=BaseModel)
Out = TypeVar("Out", bound=BaseModel)


class Models(Protocol):
    """Where engines live; `tools.residency.Residency` is the one that loads them."""

    def use(self, model: str, emit: Emit = ignore) -> AbstractAsyncContextManager[Lease[Any]]:
        """A lease on this row's engine, loading it (and making room) when it is absent."""
        ...


class ToolHost(Protocol):
    """Another process that owns the models and the store; tools called here run there."""

    async def call(self, tool: Tool[In, Out], input: In, bench: Bench) -> Out: ...


@dataclass(frozen=True)
class Bench:
    """Models, media, settings and whatever an upper room adds, for one tenant and one listener."""

    settings: Settings
    catalog: Catalog
    models: Models
    media: MediaStore
    tenant: str = "local"
    emit: Emit = ignore
    parts: Mapping[str, object] = field(default_factory=dict)
    host: ToolHost | None = None
    running: ToolEvent | None = None
    permit: Permit | None = None
    """What the agent that works here may do; None for people and programs."""

    def progress(self, *, note: str = "", fraction: float | None = None, data: dict[str, Any] | None = None) -> None:
        """Tell the listener how far the running tool is; `data` is a part of its result. Silent outside a tool."""
        if self.running is not None:
            part = {"state": "progress", "note": note, "fraction": fraction, "data": data}
            self.emit(self.running.model_copy(update=part))

    def choose(self, capability: Capability[Any], *, model: str | None = None, language: str | None = None) -> Choice:
        """The row that serves a capability, by name or by the profile's order, language and licence.

        Raises `NotInstalled` when nothing in the profile can.
        """
        if model is not None:
            return self.catalog.resolve(model)
        profile = self.catalog.profile(self.settings.profile)
        ids = self.settings.serves.get(capability.name, profile.serves.get(capability.name, []))
        for choice in (self.catalog.resolve(id) for id in ids):
            row = choice.row
            speaks = language is None or not row.languages or language in row.languages
            if speaks and (row.commercial or not self.settings.commercial):
                return choice
        wanted = f" for language {language!r}" if language else ""
        raise NotInstalled(
            f"Nothing in profile {profile.title!r} does {capability.name}{wanted}.",
            remedy=f"Name a row under `serves` for {capability.name!r}; `sutradhar models list` shows them.",
        )

    def engine(
        self, capability: Capability[E], *, model: str | None = None, language: str | None = None
    ) -> AbstractAsyncContextManager[Lease[E]]:
        """A lease on the engine that serves a capability."""
        return self.models.use(self.choose(capability, model=model, language=language).row.id, self.emit)

    def part(self, part: Part[T]) -> T:
        """What an upper room laid on the bench under this key; raises `NotInstalled` when it is not there."""
        if part.name not in self.parts:
            raise NotInstalled(f"This process has no {part.name!r}.", remedy="Run the command against a host.")
        return cast("T", self.parts[part.name])

    async def call(self, tool: Tool[In, Out], input: In) -> Out:
        """Run a tool here, or on the host that this bench belongs to, if the agent that works here may."""

        async def work() -> Out:
            return await (tool(input, self) if self.host is None else self.host.call(tool, input, self))

        return await (work() if self.permit is None else self.permit.call(tool, input, work))

    def listening(self, emit: Emit) -> Bench:
        """The same bench with another listener."""
        return replace(self, emit=emit)

    def serving(self, tenant: str) -> Bench:
        """The same bench for another tenant."""
        return replace(self, tenant=tenant)
