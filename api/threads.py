"""Threads: what was asked, what was answered, every checkpoint, and going on from an earlier one."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from api.chat import Limits, run_stream
from api.deps import HostDep, TenantDep
from graphs.catalog import Ask
from graphs.events import Answer
from graphs.log import Thread
from graphs.runs import Snapshot

router = APIRouter(prefix="/api/v1/threads", tags=["threads"])


class Turn(BaseModel):
    """One run of a thread."""

    run: str
    graph: str
    question: str
    status: str
    created: float
    answer: Answer | None


class Fork(BaseModel):
    model_config = ConfigDict(extra="forbid")

    checkpoint: str
    budget: Limits = Limits()


@router.get("")
async def threads(
    host: HostDep, tenant: TenantDep, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
) -> list[dict[str, Any]]:
    """The caller's threads, the latest first."""
    return [_thread(each) for each in await host.runs.threads(tenant=tenant, limit=limit)]


@router.get("/{thread}")
async def turns(thread: str, host: HostDep, tenant: TenantDep) -> list[Turn]:
    """A thread's runs, oldest first, with their answers."""
    found = list[Turn]()
    for row in await host.runs.runs(thread, tenant=tenant):
        answer = None
        if row.status != "running":
            said = [event async for _, event in host.runs.stream(row.run, tenant=tenant)]
            answer = next((event for event in reversed(said) if isinstance(event, Answer)), None)
        question = Ask.model_validate_json(row.ask).question
        turn = Turn(
            run=row.run, graph=row.graph, question=question, status=row.status, created=row.created, answer=answer
        )
        found.append(turn)
    return found


@router.get("/{thread}/history")
async def history(
    thread: str, host: HostDep, tenant: TenantDep, limit: Annotated[int, Query(ge=1, le=1_000)] = 50
) -> list[Snapshot]:
    """A thread's checkpoints, the latest first, each with its state."""
    return await host.runs.history(thread, tenant=tenant, limit=limit)


@router.post("/{thread}/fork", responses={200: {"content": {"text/event-stream": {}}}})
async def fork(thread: str, asked: Fork, host: HostDep, tenant: TenantDep) -> Response:
    """Run again from an earlier checkpoint and stream the new run."""
    host.streams.admit()
    budget = asked.budget.within(host.settings.budget)
    run = await host.runs.fork(thread, asked.checkpoint, tenant=tenant, budget=budget)
    return run_stream(host, tenant, run, headers={"X-Run-Id": run, "X-Thread-Id": thread})


@router.delete("/{thread}")
async def forget(thread: str, host: HostDep, tenant: TenantDep) -> dict[str, bool]:
    """Delete a thread with its runs and checkpoints."""
    await host.runs.forget(thread, tenant=tenant)
    return {"deleted": True}


def _thread(thread: Thread) -> dict[str, Any]:
    return {
        "thread": thread.thread,
        "title": Ask.model_validate_json(thread.ask).question[:120],
        "created": thread.created,
        "updated": thread.updated,
        "runs": thread.runs,
    }
