"""Models: the catalogue, what is in memory and what it costs, what loading would do, and doing it."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header
from pydantic import BaseModel
from starlette.responses import Response

from api.deps import HostDep
from api.host import Host
from api.sse import EventStream, Frames, event_frame, work_frames
from tools.admission import Plan, ResidentInfo
from tools.catalog import Row
from tools.errors import NotInstalled
from tools.events import Emit, ModelEvent
from tools.isolation.environments import Environments
from tools.residency import Residency
from tools.settings import Settings
from tools.store import WeightStore

router = APIRouter(prefix="/api/v1/models", tags=["models"])


class Listed(BaseModel):
    """A row of the catalogue, whether its weights are here, and what serves in its place."""

    row: Row
    installed: bool
    serves_as: str | None


class Memory(BaseModel):
    """What is in memory; `devices` is GB `budget` and `used` by device."""

    residents: list[ResidentInfo]
    devices: dict[str, dict[str, float]]


def residency(host: Host) -> Residency:
    models = host.bench.models
    if isinstance(models, Residency):
        return models
    raise NotInstalled("This host keeps no models of its own.")


def listed(host: Host, row: Row) -> Listed:
    replaced = row.replaced_by if row.status != "ready" else None
    return Listed(row=row, installed=is_installed(row, host.weights, host.settings), serves_as=replaced)


def is_installed(row: Row, weights: WeightStore, settings: Settings) -> bool:
    """Whether the row could serve now: its weights are here, or for a remote one its provider's key."""
    if row.isolation == "remote":
        return str(row.options.get("provider")) in settings.api_keys
    environments = Environments(settings.cache / "environments", offline=True)
    return row.status == "ready" and not weights.missing(row) and not environments.missing(row)


@router.get("")
async def catalogue(host: HostDep) -> list[Listed]:
    """Every model of the catalogue, also those that are retired, with what replaces them and why."""
    return [listed(host, row) for row in host.bench.catalog.models]


@router.get("/residents")
async def residents(host: HostDep) -> Memory:
    """The models in memory, as measured."""
    kept = residency(host)
    return Memory(residents=kept.residents(), devices=kept.budgets())


@router.get("/events", responses={200: {"content": {"text/event-stream": {}}}})
async def events(host: HostDep) -> Response:
    """Everything that happens to any model, from now on."""
    return EventStream(_frames(residency(host).events()), host.streams)


async def _frames(happening: AsyncIterator[ModelEvent]) -> Frames:
    async for event in happening:
        yield event_frame(event)


@router.get("/{model}")
async def model(model: str, host: HostDep) -> Listed:
    """One row of the catalogue."""
    return listed(host, host.bench.catalog.row(model))


@router.get("/{model}/plan")
async def plan(model: str, host: HostDep) -> Plan:
    """What loading it would do now: fits, evicts whom, waits or never fits, and the expected seconds."""
    return residency(host).plan(model)


@router.post("/{model}/load", response_model=None)
async def load(model: str, host: HostDep, accept: Annotated[str, Header()] = "application/json") -> Response | Plan:
    """Load a model and leave it to the idle time. With `Accept: text/event-stream` the way there streams first."""
    kept, id = residency(host), host.bench.catalog.resolve(model).row.id

    async def work(emit: Emit) -> BaseModel:
        async with kept.use(id, emit):
            return kept.plan(id)

    if "text/event-stream" in accept:
        return EventStream(work_frames(work), host.streams)
    async with kept.use(id):
        return kept.plan(id)


@router.post("/{model}/unload")
async def unload(model: str, host: HostDep) -> dict[str, Any]:
    """Take a model out of memory; refused while somebody uses it."""
    kept = residency(host)
    await kept.unload(model)
    return {"model": model, "devices": kept.budgets()}
