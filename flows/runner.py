"""The flow runner: takes due runs of our deployments and runs them in this warm process.

Prefect's own runner starts an interpreter per run, which costs seconds before the first stage; our flows only
orchestrate (models live at the host, decoding in limited children), so one process is enough. It is the only one of its
home, therefore a run that is `Running` when it starts was cut off, and goes on as the same run.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect import Flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.exceptions import Abort, PrefectHTTPStatusError
from prefect.flow_engine import run_flow_async
from prefect.logging import get_logger
from prefect.states import Cancelled, Crashed, Pending, Scheduled
from prefect.utilities.callables import parameter_schema
from prefect.utilities.engine import propose_state

from tools.errors import Conflict

POLL_SECONDS = 0.5
_STARTS = 4
_UNFINISHED = {"any_": [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]}


OnLost = Callable[[FlowRun, str], Awaitable[None]]


async def _unheard(run: FlowRun, why: str) -> None:
    """The listener of a caller who does not listen."""


@dataclass(frozen=True)
class Deployment:
    """A flow that is served under its own name; `every` makes it scheduled, `slots` bounds runs at once."""

    flow: Flow[..., Any]
    every: timedelta | None = None
    slots: int = 2
    parameters: Mapping[str, Any] | None = None


@asynccontextmanager
async def only_runner(folder: Path) -> AsyncIterator[None]:
    """Hold the home's runner lock; raises `Conflict` when another runner has it."""
    with (folder / "runner.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(f"Another flow runner serves {folder}.", remedy="Stop it first.") from error
        yield


class Runner:
    """Runs in flight, by their id."""

    def __init__(self, client: PrefectClient, deployments: Mapping[UUID, Deployment], lost: OnLost) -> None:
        self._client = client
        self._lost = lost
        self._deployments = deployments
        self._running: dict[UUID, tuple[UUID, asyncio.Task[None]]] = {}
        self._log = get_logger("sutradhar.runner")

    async def recover(self) -> None:
        """Schedule the runs again that a dead process left unfinished."""
        for run in await self._unfinished():
            if run.state_type == StateType.CANCELLING:
                await self._client.set_flow_run_state(run.id, Cancelled(), force=True)
            elif run.run_count >= _STARTS:
                message = f"Its process died {run.run_count} times."
                await self._client.set_flow_run_state(run.id, Crashed(message=message), force=True)
                await self._lost(run, message)
            else:
                await self._again(run.id, "The flow runner was interrupted; finished stages are kept.")

    async def _again(self, run: UUID, why: str) -> None:
        state: State[Any] = Scheduled(name="Resuming", message=why, scheduled_time=datetime.now(UTC))
        await self._client.set_flow_run_state(run, state, force=True)

    async def _unfinished(self) -> list[FlowRun]:
        wanted = FlowRunFilter.model_validate(
            {"deployment_id": {"any_": list(self._deployments)}, "state": {"type": _UNFINISHED}}
        )
        return await self._client.read_flow_runs(flow_run_filter=wanted, limit=200)

    async def serve(self, stop: asyncio.Event) -> None:
        """Take due runs until `stop` is set; then leave those in flight to be resumed."""
        pause = POLL_SECONDS
        while not stop.is_set():
            try:
                await self._poll()
                pause = POLL_SECONDS
            except (httpx.HTTPError, PrefectHTTPStatusError, OSError) as error:
                self._log.warning("Prefect does not answer (%s); trying again in %g s.", error, pause)
                pause = min(pause * 2, 30.0)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
        for run in list(self._running):
            if await self._end(run):
                await self._again(run, "The flow runner was stopped; finished stages are kept.")

    async def _poll(self) -> None:
        if self._running:
            for run in await self._unfinished():
                if run.state_type == StateType.CANCELLING and run.id in self._running:
                    await self._end(run.id)
                    await self._client.set_flow_run_state(run.id, Cancelled(message="Cancelled by a user."), force=True)
        due = await self._client.get_scheduled_flow_runs_for_deployments(
            list(self._deployments), scheduled_before=datetime.now(UTC)
        )
        for run in sorted(due, key=lambda run: (run.next_scheduled_start_time or run.created, run.id)):
            deployment = run.deployment_id
            if deployment is None or run.id in self._running:
                continue
            busy = sum(1 for taken, _ in self._running.values() if taken == deployment)
            if busy < self._deployments[deployment].slots:
                task = asyncio.create_task(self._run(run, self._deployments[deployment].flow), name=run.name)
                self._running[run.id] = (deployment, task)

    async def _run(self, run: FlowRun, flow: Flow[..., Any]) -> None:
        try:
            state = await propose_state(self._client, Pending(), flow_run_id=run.id)
            if state.is_pending():
                await self._client.update_flow_run(run.id, infrastructure_pid=str(os.getpid()))
                await run_flow_async(flow, flow_run=run, parameters=run.parameters, return_type="state")
        except Abort:
            self._log.info("Run %s was taken back before it started.", run.name)
        except Exception:  # the edge: one run's failure must not end the others  # noqa: BLE001
            self._log.exception("Run %s failed outside of its flow.", run.name)
        finally:
            self._running.pop(run.id, None)

    async def _end(self, run: UUID) -> bool:
        """Cut a run off; false when it came to its own end just before."""
        _, task = self._running[run]
        task.cancel()
        await asyncio.wait([task], timeout=20.0)
        return not task.done() or task.cancelled()


async def deploy(client: PrefectClient, deployments: Sequence[Deployment]) -> dict[UUID, Deployment]:
    """Register the flows with the server; the same name is updated."""
    served: dict[UUID, Deployment] = {}
    for each in deployments:
        flow_id = await client.create_flow(each.flow)
        schedules = [IntervalSchedule(interval=each.every)] if each.every else []
        deployment = await client.create_deployment(
            flow_id,
            name=each.flow.name,
            schedules=[DeploymentScheduleCreate(schedule=interval, active=True) for interval in schedules],
            parameters=dict(each.parameters or {}),
            description=each.flow.description,
            tags=["sutradhar"],
            entrypoint=f"{each.flow.fn.__module__}.{each.flow.fn.__name__}",
            parameter_openapi_schema=parameter_schema(each.flow.fn).model_dump_for_openapi(),
        )
        served[deployment] = each
    return served


@asynccontextmanager
async def open_runner(deployments: Sequence[Deployment], *, lost: OnLost = _unheard) -> AsyncIterator[Runner]:
    """A runner whose deployments are registered and whose interrupted runs are due again.

    `lost` hears of runs that are given up because they killed their process again and again.
    """
    async with get_client() as client:
        runner = Runner(client, await deploy(client, deployments), lost)
        await runner.recover()
        yield runner
