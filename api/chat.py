"""Asking an agent: one streamed run per question, which goes on when the client leaves."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.responses import Response

from api.deps import HostDep, TenantDep
from api.host import Host
from api.sse import EventStream, Frames, event_frame
from graphs.catalog import MODEL, Ask
from graphs.events import Answer, Failure, Question, RunFinished, Usage
from graphs.log import Numbered
from tools.errors import InvalidInput, from_body
from tools.settings import Budget

router = APIRouter(prefix="/api/v1", tags=["chat"])

Names = Annotated[list[str], Field(max_length=100)]


class Limits(BaseModel):
    """What one run may use; each is capped by the host's own budget."""

    model_config = ConfigDict(extra="forbid")

    steps: Annotated[int, Field(ge=1)] | None = None
    seconds: Annotated[float, Field(gt=0)] | None = None
    tokens: Annotated[int, Field(ge=1)] | None = None

    def within(self, most: Budget) -> Budget:
        asked = self.model_dump(exclude_none=True)
        return most.model_copy(update={name: min(value, getattr(most, name)) for name, value in asked.items()})


class Asked(BaseModel):
    """A question to an agent. Without `thread` a new one begins; empty lists mean everything the tenant has.

    `options` are those of the agent that `graph` names.
    """

    model_config = ConfigDict(extra="forbid")

    question: Annotated[str, Field(min_length=1, max_length=20_000)]
    knowledge_base: Annotated[str, Field(max_length=200)] | None = None
    knowledge_bases: Names = []
    sources: Names = []
    thread: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    graph: Annotated[str, Field(max_length=100)] = MODEL
    options: dict[str, JsonValue] = {}
    budget: Limits = Limits()
    stream: bool = True


class Answered(BaseModel):
    """The end of a run, for callers who do not stream."""

    run: str
    thread: str
    answer: Answer | None
    status: str
    reason: str
    usage: Usage


class Value(BaseModel):
    """What resumes a waiting run."""

    value: Any


async def begin(host: Host, tenant: str, asked: Asked) -> str:
    """Start the run and return its id."""
    bases = [*asked.knowledge_bases, *([asked.knowledge_base] if asked.knowledge_base else [])]
    ask = Ask(question=asked.question, knowledge_bases=bases, sources=asked.sources, options=asked.options)
    budget = asked.budget.within(host.settings.budget)
    return await host.runs.start(asked.graph, ask, thread=asked.thread, tenant=tenant, budget=budget)


@router.post("/chat", response_model=Answered, responses={200: {"content": {"text/event-stream": {}}}})
async def chat(asked: Asked, host: HostDep, tenant: TenantDep) -> Response | Answered:
    """Ask. Streams the run's events (`id: <run>:<number>`), or with `"stream": false` answers at its end."""
    host.streams.admit()
    run = await begin(host, tenant, asked)
    if not asked.stream:
        return await conclude(host, tenant, run)
    row = await host.runs.run(run, tenant=tenant)
    return run_stream(host, tenant, run, headers={"X-Run-Id": run, "X-Thread-Id": row.thread})


def run_stream(host: Host, tenant: str, run: str, after: int = 0, headers: dict[str, str] | None = None) -> EventStream:
    """A run's events after a number, for as long as it lasts."""
    first = host.metrics.first_event.labels("chat").observe
    numbered = host.runs.stream(run, after, tenant=tenant)
    return EventStream(_frames(run, numbered), host.streams, headers=headers, first=first)


async def _frames(run: str, numbered: AsyncIterator[Numbered]) -> Frames:
    async for seq, event in numbered:
        yield event_frame(event, f"{run}:{seq}")


async def conclude(host: Host, tenant: str, run: str) -> Answered:
    """Wait for a run's end, or for what it asks a person; raises the failure that ended it."""
    answer, failure, asked = None, None, ""
    async for _, event in host.runs.stream(run, tenant=tenant):
        if isinstance(event, Answer):
            answer = event
        elif isinstance(event, Failure):
            failure = event
        elif isinstance(event, Question):
            asked = event.text
        elif isinstance(event, RunFinished):
            if event.status == "failed" and failure is not None:
                raise from_body({"error": failure.model_dump()})
            row = await host.runs.run(run, tenant=tenant)
            status, reason = event.status, event.reason or asked
            return Answered(run=run, thread=row.thread, answer=answer, status=status, reason=reason, usage=event.usage)
    raise from_body({"error": {"message": f"Run {run!r} ended without saying how.", "code": "engine_failed"}})


@router.get("/runs/{run}/events", responses={200: {"content": {"text/event-stream": {}}}})
async def events(
    run: str, host: HostDep, tenant: TenantDep, last_event_id: Annotated[str, Header(max_length=200)] = ""
) -> Response:
    """A run's events from its start, or from after `Last-Event-ID`; nothing is missed."""
    await host.runs.run(run, tenant=tenant)
    return run_stream(host, tenant, run, number_in(run, last_event_id))


def number_in(run: str, last_event_id: str) -> int:
    """The number in the event id `<run>:<number>`; 0 without one."""
    if not last_event_id:
        return 0
    owner, _, number = last_event_id.rpartition(":")
    if owner != run or not number.isascii() or not number.isdigit() or len(number) > 15:
        raise InvalidInput(
            f"Last-Event-ID {last_event_id!r} is not an event of run {run!r}.",
            remedy="Send the `id` of the last event that was read.",
            param="Last-Event-ID",
        )
    return int(number)


@router.post("/runs/{run}/cancel")
async def cancel(run: str, host: HostDep, tenant: TenantDep) -> dict[str, str]:
    """Stop a run; it ends with what it has. One that has ended stays as it is."""
    await host.runs.cancel(run, tenant=tenant)
    row = await host.runs.run(run, tenant=tenant)
    return {"run": run, "status": row.status}


@router.post("/runs/{run}/resume", responses={200: {"content": {"text/event-stream": {}}}})
async def resume(run: str, value: Value, host: HostDep, tenant: TenantDep) -> Response:
    """Answer the question that a run waits with and stream what follows."""
    host.streams.admit()
    seen = [seq async for seq, _ in host.runs.stream(run, tenant=tenant)]
    await host.runs.resume(run, value.value, tenant=tenant)
    return run_stream(host, tenant, run, seen[-1] if seen else 0, headers={"X-Run-Id": run})
