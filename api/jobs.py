"""A run as a job: what it is doing or what came of it, for whoever does not wait on the stream."""

import asyncio
import re
from contextlib import suppress

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from api.chat import conclude
from api.deps import HostDep, TenantDep
from api.host import Host
from graphs.events import Answer, Failure, RunFinished, Usage

router = APIRouter(prefix="/api/v1", tags=["runs"])

LONGEST_WAIT = 600.0
_PREFERENCE = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,5})")


class Links(BaseModel):
    """Where to go on: `self` answers with this again, `events` streams, from `Last-Event-ID` on."""

    job: str
    events: str
    cancel: str


class Job(BaseModel):
    """A run and, once it has ended, its answer. Files of the answer are at `/api/v1/media/{media}`."""

    run: str
    thread: str
    status: str
    reason: str = ""
    answer: Answer | None = None
    usage: Usage = Usage()
    links: Links


def links(run: str) -> Links:
    return Links(job=f"/api/v1/runs/{run}", events=f"/api/v1/runs/{run}/events", cancel=f"/api/v1/runs/{run}/cancel")


def wait_of(prefer: str, usual: float) -> float:
    """The seconds that a caller prefers to wait (RFC 7240), `usual` where they do not say."""
    if "respond-async" in prefer and "wait" not in prefer:
        return 0.0
    found = _PREFERENCE.search(prefer)
    return min(float(found[1]), LONGEST_WAIT) if found else usual


async def job_of(host: Host, tenant: str, run: str) -> Job:
    """A run as it stands now; raises `NotFound`."""
    row = await host.runs.run(run, tenant=tenant)
    job = Job(run=run, thread=row.thread, status=row.status, links=links(run))
    if row.status == "running":
        return job
    answer, reason, usage = None, "", Usage()
    async for _, event in host.runs.stream(run, tenant=tenant):
        if isinstance(event, Answer):
            answer = event
        elif isinstance(event, Failure):
            reason = f"{event.message} {event.remedy}".strip()
        elif isinstance(event, RunFinished):
            reason, usage = event.reason if event.status != "failed" else reason or event.reason, event.usage
    return job.model_copy(update={"answer": answer, "reason": reason, "usage": usage})


async def answered(host: Host, tenant: str, run: str, wait: float) -> Response:
    """The run's end where it comes within so many seconds, else the job, accepted; raises what the run failed with."""
    with suppress(TimeoutError):
        async with asyncio.timeout(wait):
            done = await conclude(host, tenant, run)
            job = Job(**done.model_dump(exclude={"answer"}), answer=done.answer, links=links(run))
            return JSONResponse(job.model_dump(mode="json"))
    job = await job_of(host, tenant, run)
    headers = {"Location": job.links.job, "Retry-After": "5", "X-Run-Id": run, "X-Thread-Id": job.thread}
    return JSONResponse(job.model_dump(mode="json"), status_code=202, headers=headers)


@router.get("/runs/{run}")
async def job(run: str, host: HostDep, tenant: TenantDep) -> Job:
    """What a run is doing, or what came of it."""
    return await job_of(host, tenant, run)
