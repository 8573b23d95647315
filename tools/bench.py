"""The bench: what a tool finds to work with at run time. Passed to every tool, never global."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from pydantic import BaseModel

from tools.capability import Capability, Lease, Part
from tools.catalog import Catalog, Choice
from tools.errors import InvalidInput, NotInstalled
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

    def patient(self) -> Models:
        """The same models for work that nobody waits for: on a CPU it steps aside for whoever waits for an answer."""
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
            choice = self.catalog.resolve(model)
            if choice.row.capability != capability.name:
                raise InvalidInput(f"{model!r} does {choice.row.capability}, not {capability.name}.", param="model")
            return self.catalog.of_language(choice, language)
        skipped = list[str]()
        for choice in self.candidates(capability):
            if language is None or not choice.row.languages or language in choice.row.languages:
                return choice.model_copy(update={"reason": " ".join([*skipped, choice.reason]).strip()})
            skipped.append(f"{choice.row.title} does not know {language!r}.")
        wanted = f" for language {language!r}" if language else ""
        able = [
            row.id for row in self.catalog.models if row.capability == capability.name and language in row.languages
        ]
        raise NotInstalled(
            f"Nothing in profile {self.settings.profile!r} does {capability.name}{wanted}.",
            remedy=f"Rows that know it: {', '.join(able)}; `sutradhar models list` says what each needs."
            if able
            else f"Name a row under `serves` for {capability.name!r}; `sutradhar models list` shows them.",
        )

    def candidates(self, capability: Capability[Any]) -> list[Choice]:
        """The rows that can serve a capability in the profile's order: those that are ready, else what replaces them.

        Raises `NotInstalled` when none is ready and nothing replaces one.
        """
        profile = self.catalog.profile(self.settings.profile)
        ids = self.settings.serves.get(capability.name, profile.serves.get(capability.name, []))
        ready, reasons = list[Choice](), list[str]()
        for row in map(self.catalog.row, ids):
            if row.status != "ready":
                reasons.append(f"{row.title}: {row.note}")
            elif row.commercial or not self.settings.commercial:
                ready.append(Choice(row=row, asked=row.id, reason=" ".join(reasons)))
        replaced = [] if ready else [self.catalog.resolve(id) for id in ids]
        return ready or [each for each in replaced if each.row.commercial or not self.settings.commercial]

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
