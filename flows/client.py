"""What the host asks of Prefect: submit an ingest, follow it, cancel it.

Over Prefect's REST API: its client library would cost the host a second of imports and a hundred megabytes.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import aiohttp
from pydantic import BaseModel, ConfigDict

from flows.server import PrefectServer
from tools.errors import Busy, EngineFailed, NotFound
from tools.media.store import Media

INGEST = "ingest/ingest"
State = Literal["waiting", "running", "done", "failed", "cancelled"]
_STATES: dict[str, State] = {
    "SCHEDULED": "waiting",
    "PENDING": "waiting",
    "RUNNING": "running",
    "CANCELLING": "running",
    "COMPLETED": "done",
    "CANCELLED": "cancelled",
}
_POLL_SECONDS = 0.5
_START_SECONDS = 60.0
# Prefect answers 503 while its SQLite is locked: nothing was done, and asking again is meant
_PASSING = {429, 503}
_BUSY_SECONDS = 20.0


class Stage(BaseModel):
    """One stage of an ingest; `fraction` is 0..1 where it is known."""

    model_config = ConfigDict(frozen=True)

    name: str
    fraction: float | None = None
    note: str = ""


class Progress(BaseModel):
    """Where a flow run is; `message` says why it failed or waits."""

    model_config = ConfigDict(frozen=True)

    run: str
    name: str
    state: State
    message: str = ""
    media: str = ""
    knowledge_base: str = ""
    stages: list[Stage] = []
    seconds: float = 0.0

    @property
    def ended(self) -> bool:
        return self.state in {"done", "failed", "cancelled"}


class Flows:
    """The flow runs of one Prefect server."""

    def __init__(self, session: aiohttp.ClientSession, server: PrefectServer) -> None:
        self._session = session
        self._server = server
        self._submitting = asyncio.Lock()

    def link(self, run: str) -> str:
        """The run's page in the Prefect UI."""
        return f"{self._server.ui}/runs/flow-run/{run}"

    async def submit(self, media: Media, *, knowledge_base: str, tenant: str) -> str:
        """Have a stored medium ingested and return the flow run; the same medium in flight is not submitted again."""
        tags = _tags(media.sha256, knowledge_base, tenant)
        async with self._submitting:
            for run in await self._unfinished(tags):
                return str(run["id"])
            deployment = await self._deployment()
            parameters = {
                "media": media.sha256,
                "name": media.name,
                "knowledge_base": knowledge_base,
                "tenant": tenant,
            }
            body = {"parameters": parameters, "tags": tags, "state": {"type": "SCHEDULED"}}
            run = await self._ask("POST", f"/deployments/{deployment}/create_flow_run", body)
            return str(run["id"])

    async def progress(self, run: str) -> Progress:
        """Where the run is now; raises `NotFound`."""
        found = await self._ask("GET", f"/flow_runs/{run}")
        artifacts = await self._ask(
            "POST",
            "/artifacts/filter",
            {
                "artifacts": {"flow_run_id": {"any_": [run]}, "type": {"any_": ["progress"]}},
                "sort": "CREATED_DESC",
            },
        )
        return _progress(found, artifacts)

    async def follow(self, run: str) -> AsyncIterator[Progress]:
        """Each change of the run's progress, until it has ended."""
        last: Progress | None = None
        while last is None or not last.ended:
            now = await self.progress(run)
            if last is None or now.model_copy(update={"seconds": last.seconds}) != last:
                yield now
            last = now
            await asyncio.sleep(_POLL_SECONDS)

    async def recent(self, *, tenant: str, limit: int = 50) -> list[Progress]:
        """The tenant's latest ingests, newest first; without their stages."""
        runs = await self._ask(
            "POST",
            "/flow_runs/filter",
            {
                "flow_runs": {"tags": {"all_": [f"tenant:{tenant}"]}},
                "sort": "EXPECTED_START_TIME_DESC",
                "limit": limit,
            },
        )
        return [_progress(run, []) for run in runs]

    async def cancel(self, run: str) -> None:
        """Ask for the run to stop; the runner ends it within about a second."""
        now = await self.progress(run)
        if not now.ended:
            kind = "CANCELLED" if now.state == "waiting" else "CANCELLING"
            await self._ask("POST", f"/flow_runs/{run}/set_state", {"state": {"type": kind}})

    async def stop(self, sha: str, *, knowledge_base: str, tenant: str) -> None:
        """Cancel the ingest of this medium, if one is in flight, and wait until it has ended."""
        for run in await self._unfinished(_tags(sha, knowledge_base, tenant)):
            await self.cancel(str(run["id"]))
            async for _ in self.follow(str(run["id"])):
                pass

    async def _unfinished(self, tags: list[str]) -> list[dict[str, Any]]:
        states = {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}}
        wanted = {"flow_runs": {"tags": {"all_": tags}, "state": states}, "limit": 1}
        runs: list[dict[str, Any]] = await self._ask("POST", "/flow_runs/filter", wanted)
        return runs

    async def _deployment(self) -> str:
        """The deployment that ingests; waits for a runner that is still starting."""
        deadline = asyncio.get_running_loop().time() + _START_SECONDS
        while True:
            try:
                return str((await self._ask("GET", f"/deployments/name/{INGEST}"))["id"])
            except NotFound as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise Busy("The flow runner has not started.", remedy="See its log.", retry_after=10.0) from error
            await asyncio.sleep(_POLL_SECONDS)

    async def _request(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, str]:
        async with self._session.request(method, self._server.url + path, json=body) as answer:
            return answer.status, await answer.text()

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        deadline = asyncio.get_running_loop().time() + _BUSY_SECONDS
        try:
            status, text = await self._request(method, path, body)
            while status in _PASSING and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(_POLL_SECONDS)
                status, text = await self._request(method, path, body)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineFailed(f"Prefect does not answer at {self._server.url}: {error}.") from error
        if status == 404:
            raise NotFound(f"Prefect knows no {path!r}.", remedy="It may have been deleted in the Prefect UI.")
        if status >= 400:
            raise EngineFailed(f"Prefect refused {path!r} with HTTP {status}: {text[:200]!r}.")
        return json.loads(text) if text else None


def _tags(sha: str, knowledge_base: str, tenant: str) -> list[str]:
    return [f"media:{sha}", f"base:{knowledge_base}", f"tenant:{tenant}"]


def _progress(run: dict[str, Any], artifacts: list[dict[str, Any]]) -> Progress:
    state = run.get("state") or {}
    stages: dict[str, Stage] = {}
    for artifact in artifacts:
        name = str(artifact["key"]).rpartition("-")[0].replace("-", "_")
        # newest first: an earlier attempt's progress does not count any more
        percent = float(artifact["data"] or 0)
        stages.setdefault(name, Stage(name=name, fraction=percent / 100, note=artifact["description"] or ""))
    parameters = run.get("parameters") or {}
    return Progress(
        run=str(run["id"]),
        name=str(parameters.get("name") or run["name"]),
        state=_STATES.get(str(run["state_type"]), "failed"),
        message=str(state.get("message") or ""),
        media=str(parameters.get("media") or ""),
        knowledge_base=str(parameters.get("knowledge_base") or ""),
        stages=list(reversed(stages.values())),
        seconds=float(run.get("estimated_run_time") or 0.0),
    )


@asynccontextmanager
async def open_flows(server: PrefectServer) -> AsyncIterator[Flows]:
    """The server's flow runs, over one connection pool."""
    auth = "Basic " + b64encode(server.auth.get_secret_value().encode()).decode()
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(headers={"Authorization": auth}, timeout=timeout) as session:
        yield Flows(session, server)
