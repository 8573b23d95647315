"""Drive one run of a graph to its end: join its events, hold it to its budget, end it with an answer or a reason."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphRecursionError
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StateSnapshot

from graphs.catalog import INSIDE, Agent
from graphs.context import Context
from graphs.events import AgentEvent, Failure, Question, RunFinished, Step
from graphs.live import Live
from graphs.log import Status
from tools.errors import BudgetSpent, SutradharError
from tools.events import Event

LEAVE_SECONDS = 2.0
"""How long a run's end waits for its cancelled graph to leave."""

_log = logging.getLogger(__name__)


@dataclass
class _Ending:
    status: Status
    reason: str = ""


@dataclass
class _Steps:
    """The node tasks in progress: their names and when they started."""

    live: Live
    agent: Agent
    open: dict[str, tuple[str, float]] = field(default_factory=dict)
    questions: dict[str, Question] = field(default_factory=dict)

    def task(self, namespace: tuple[str, ...], data: Mapping[str, Any]) -> None:
        """A task's start or end, as LangGraph's `tasks` stream tells it."""
        if "result" not in data and "error" not in data:
            path = "/".join((*(each.split(":")[0] for each in namespace), data["name"]))
            self.open[data["id"]] = (path, time.perf_counter())
            self.live.append(Step(node=path, state="started"))
            return
        for interrupt in data["interrupts"]:
            self.questions.setdefault(interrupt["id"], _question(interrupt["id"], interrupt["value"]))
        update = data["result"] if isinstance(data["result"], Mapping) else {}
        error = data["error"]
        note = _reason(error) if error else self.agent.within(namespace).note(data["name"], update)
        self._close(data["id"], note, failed=bool(error))

    def fail_open(self, reason: str) -> None:
        for id in list(self.open):
            self._close(id, reason, failed=True)

    def _close(self, id: str, note: str, *, failed: bool) -> None:
        if id in self.open:
            node, started = self.open.pop(id)
            ms = round((time.perf_counter() - started) * 1000, 1)
            self.live.append(Step(node=node, state="failed" if failed else "finished", ms=ms, note=note))


def _reason(error: object) -> str:
    # only errors that are written for users are shown to them
    return error.message if isinstance(error, SutradharError) else type(error).__name__


def _question(id: str, value: Any) -> Question:
    if isinstance(value, Mapping):
        options = tuple(map(str, value.get("options", ())))
        return Question(id=id, text=str(value.get("text", "")), options=options, approves=value.get("approves", ""))
    return Question(id=id, text=str(value))


@dataclass(frozen=True)
class Drive:
    """One graph, about to run: compiled, with its input, its thread's configuration and its context.

    `leaving` takes the tasks that did not leave when they were told to: one that nobody holds would be collected in the
    middle of its work.
    """

    live: Live
    agent: Agent
    graph: CompiledStateGraph[Any, Context, Any, Any]
    input: Any
    config: RunnableConfig
    context: Context
    leaving: set[asyncio.Task[Any]] = field(default_factory=set)

    async def to_its_end(self, room: Callable[[], Awaitable[None]]) -> RunFinished:
        """Run the graph until it ends, asks, is stopped or has spent its budget; returns the run's last event.

        `room` waits while listeners or the log cannot take more. Cancelled itself (the host stops), this leaves the run
        unfinished.
        """
        live, seconds = self.live, self.live.ledger.budget.seconds
        steps = _Steps(live, self.agent)
        pump = asyncio.create_task(self._pump(steps, room), name=f"graph-{live.run.run}")
        stopped = asyncio.create_task(live.stop.wait())
        try:
            await asyncio.wait({pump, stopped}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if live.stop.is_set():
                ending = _Ending("cancelled", "The run was cancelled.")
            elif pump.done():
                ending = await pump
            else:
                ending = _Ending("partial", f"The run used up its {seconds:g} seconds.")
        finally:
            stopped.cancel()
            await _leave(pump, self.leaving)
        steps.fail_open(ending.reason)
        if ending.status == "waiting":
            for question in steps.questions.values():
                live.append(question)
        else:
            await self._conclude()
        return RunFinished(run=live.run.run, status=ending.status, reason=ending.reason, usage=live.ledger.usage)

    async def _pump(self, steps: "_Steps", room: Callable[[], Awaitable[None]]) -> "_Ending":
        live = self.live
        try:
            async for part in self.graph.astream(
                self.input,
                self.config,
                context=self.context,
                stream_mode=["tasks", "custom"],
                subgraphs=True,
                version="v2",
                durability="async",
            ):
                if part["type"] == "tasks":
                    steps.task(part["ns"], part["data"])
                elif part["type"] == "custom" and isinstance(part["data"], Event):
                    live.append(cast("AgentEvent", part["data"]))
                await room()
        except GraphRecursionError:
            return _Ending("partial", f"The run used up its {live.ledger.budget.steps} steps.")
        except BudgetSpent as error:
            return _Ending("partial", error.message)
        except SutradharError as error:
            live.append(Failure(message=error.message, remedy=error.remedy, code=error.code))
            return _Ending("failed", error.message)
        except Exception as error:  # noqa: BLE001 - the edge: whatever a graph raises ends this run and no other
            _log.exception("run %s of %s", live.run.run, live.run.graph)
            reason = f"{type(error).__name__} in the {live.run.graph} graph."
            live.append(Failure(message=reason, remedy="The host's log has the details."))
            return _Ending("failed", reason)
        return _Ending("waiting") if steps.questions else _Ending("done")

    async def _conclude(self) -> None:
        """Say the answer of the state that was reached, whatever ended the run."""
        live = self.live
        latest: RunnableConfig = {"configurable": {"thread_id": self.config["configurable"]["thread_id"]}}
        try:
            state = await asyncio.wait_for(self.graph.aget_state(latest, subgraphs=True), 10)
        except (TimeoutError, SutradharError) as error:
            _log.warning("run %s: its state could not be read: %s", live.run.run, error)
            return
        reached = (state.metadata or {}).get("run") == live.run.run
        inside = [(task.name, task.state.values) for task in state.tasks if isinstance(task.state, StateSnapshot)]
        values = {**state.values, INSIDE: inside} if reached else {}
        answer = self.agent.conclude(values, "".join(live.spoken))
        if answer is not None:
            live.append(answer)


async def _leave(task: asyncio.Task[_Ending], leaving: set[asyncio.Task[Any]]) -> None:
    """Cancel a task and wait a little; one that will not leave is left alone."""
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=LEAVE_SECONDS)
    if not done:
        _log.warning("%s did not stop when it was cancelled", task.get_name())
        leaving.add(task)
        task.add_done_callback(leaving.discard)
    elif not task.cancelled() and task.exception() is not None:
        _log.warning("%s ended with %r", task.get_name(), task.exception())
