"""Runs: started as background tasks, logged, followed, resumed, cancelled, forked, and ended by their budgets.

A run belongs to nobody's connection: clients come and go, and `stream` gives each of them the same numbered events.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.serde import _msgpack
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, StateSnapshot
from pydantic_core import to_jsonable_python

from graphs.catalog import Agent, Ask, agent_of, agents
from graphs.checkpoints import Checkpoints, open_checkpoints
from graphs.context import Context, Ledger
from graphs.conversation import turns_after
from graphs.drive import Drive
from graphs.events import Failure, Question, RunFinished, RunStarted
from graphs.live import Live
from graphs.log import EventLog, Numbered, Run, Thread, open_log
from graphs.record import RunRecord
from tools.bench import Bench
from tools.capability import Part
from tools.errors import Busy, Conflict, InvalidInput, NotFound, SutradharError
from tools.policy import Permit, decisions
from tools.settings import Budget

TRIES = 3
"""Hosts that may die under a run before it is given up."""

GAP = 100_000
"""A resumed run's numbers start so far above the last written one, past any that a client saw unwritten."""

Compiled = CompiledStateGraph[Any, Context, Any, Any]

RUNS: "Part[Runs]" = Part("runs")


@dataclass(frozen=True)
class Snapshot:
    """A thread's state at one checkpoint. `next` are the nodes that would run from it; `values` is JSON; `within` is
    the node whose own state it is, where that is a sub-graph."""

    checkpoint: str
    parent: str | None
    run: str
    step: int
    next: tuple[str, ...]
    created: str | None
    values: dict[str, Any]
    within: str = ""


class Runs:
    """All runs of one home, opened by `open_runs`. `bench` has them as `RUNS`, for tools that ask agents."""

    def __init__(self, bench: Bench, log: EventLog, saver: Checkpoints, among: Mapping[str, Agent]) -> None:
        self.agents = dict(among)
        self.bench = replace(bench, parts={**bench.parts, RUNS.name: self})
        self._log = log
        self._saver = saver
        self._graphs: dict[str, Compiled] = {
            name: agent.build().compile(checkpointer=saver, name=name) for name, agent in among.items()
        }
        self._live: dict[str, Live] = {}
        self._leaving: set[asyncio.Task[Any]] = set()

    async def start(
        self,
        graph: str,
        question: str | Ask,
        *,
        thread: str | None = None,
        tenant: str = "local",
        budget: Budget | None = None,
    ) -> str:
        """Start a run in the background and return its id; without a `thread` it begins one.

        Raises `NotFound` for another tenant's thread, `Conflict` while the thread has a run in progress, `Busy` when as
        many runs as allowed are in progress.
        """
        agent = agent_of(graph, self.agents)
        ask = Ask(question=question) if isinstance(question, str) else question
        agent.check(ask)
        if thread is not None and await self._log.owner(thread) not in (None, tenant):
            raise NotFound(f"There is no thread {thread!r}.", param="thread")
        if thread is not None and not ask.turns and (before := await self._log.runs(thread, tenant)):
            ask = ask.model_copy(update={"turns": await turns_after(before[-1], self._log)})
        run = Run(
            run=uuid4().hex,
            tenant=tenant,
            thread=thread or uuid4().hex,
            graph=agent.name,
            ask=ask.model_dump_json(),
            budget=(budget or self.bench.settings.budget).model_dump_json(),
            tries=1,
            created=time.time(),
        )
        self._admit(run)
        return await self._begin(run, agent.begin(ask))

    async def stream(self, run: str, after: int = 0, *, tenant: str = "local") -> AsyncIterator[Numbered]:
        """The run's events with a number above `after`: first what was said, then what is being said."""
        await self._log.run(run, tenant)
        live = self._live.get(run)
        if live is not None:
            async for numbered in live.follow(after):
                yield numbered
            return
        while page := await self._log.events(run, after):
            for numbered in page:
                yield numbered
            after = page[-1][0]

    async def resume(self, run: str, value: Any, *, tenant: str = "local") -> None:
        """Answer the question that a run waits with; it goes on as the same run."""
        row = await self._log.run(run, tenant)
        if row.status != "waiting":
            raise Conflict(f"Run {run!r} is {row.status}, not waiting.", remedy="Only a waiting run can be resumed.")
        asked = await self._asked(run)
        if asked.options and value not in asked.options:
            raise InvalidInput(f"{value!r} is not an option.", remedy=f"Choose one of: {', '.join(asked.options)}.")
        self._admit(row)
        if asked.approves:
            await self._log.decide(run, decisions(asked.approves, value))
        # by its id: agents side by side may each have asked, and the others ask again
        await self._begin(row, Command(resume={asked.id: value}), known=True)

    async def cancel(self, run: str, *, tenant: str = "local") -> None:
        """Stop a run; it ends as `cancelled` with what it has. A run that has ended stays as it is."""
        await self._log.run(run, tenant)
        live = self._live.get(run)
        if live is not None and live.task is not None:
            live.stop.set()
            await asyncio.wait({live.task})

    async def cancel_on(self, source: str, *, tenant: str = "local") -> None:
        """Stop the tenant's runs in progress that were asked of this source."""
        asked = [live.run for live in self._live.values() if live.run.tenant == tenant]
        for run in asked:
            if source in Ask.model_validate_json(run.ask).sources:
                await self.cancel(run.run, tenant=tenant)

    async def history(self, thread: str, *, tenant: str = "local", limit: int = 50) -> list[Snapshot]:
        """A thread's checkpoints, the latest first."""
        latest = {row.graph: row for row in await self.runs(thread, tenant=tenant) if row.graph in self._graphs}
        found = [
            _snapshot(state, namespace)
            for row in latest.values()
            for namespace in await self._saver.namespaces(_thread_id(row), limit)
            async for state in self._graphs[row.graph].aget_state_history(_place(row, namespace), limit=limit)
        ]
        return sorted(found, key=lambda each: each.created or "", reverse=True)[:limit]

    async def fork(self, thread: str, checkpoint: str, *, tenant: str = "local", budget: Budget | None = None) -> str:
        """Run again from an earlier checkpoint of a thread, which from then on goes on from there.

        From a checkpoint within an agent it is a run of this agent.
        """
        states = {state.checkpoint: state for state in await self.history(thread, tenant=tenant, limit=1_000)}
        if checkpoint not in states:
            raise NotFound(f"Thread {thread!r} has no checkpoint {checkpoint!r}.", param="checkpoint")
        if not states[checkpoint].next:
            raise Conflict(f"Nothing is left to run from checkpoint {checkpoint!r}.", remedy="Choose an earlier one.")
        rows = {row.run: row for row in await self._log.runs(thread, tenant)}
        origin = rows.get(states[checkpoint].run) or list(rows.values())[-1]
        limits = budget.model_dump_json() if budget else origin.budget
        graph = states[checkpoint].within or origin.graph
        if graph != origin.graph and graph not in self.agents[origin.graph].parts:
            raise Conflict(f"Checkpoint {checkpoint!r} is inside a step of {graph!r}.", remedy="Choose an earlier one.")
        run = Run(uuid4().hex, tenant, thread, graph, origin.ask, limits, checkpoint, tries=1, created=time.time())
        self._admit(run)
        if graph != origin.graph:
            await self._saver.lift(_thread_id(origin), checkpoint, _thread_id(run))
        return await self._begin(run, None, checkpoint=checkpoint)

    async def run(self, run: str, *, tenant: str = "local") -> Run:
        """What is known of a run; raises `NotFound`."""
        return await self._log.run(run, tenant)

    async def runs(self, thread: str, *, tenant: str = "local") -> list[Run]:
        """A thread's runs, oldest first; raises `NotFound` for a thread that the tenant does not have."""
        await self._latest(thread, tenant)
        return await self._log.runs(thread, tenant)

    async def threads(self, *, tenant: str = "local", limit: int = 100) -> list[Thread]:
        """A tenant's threads, the latest first."""
        return await self._log.threads(tenant, limit)

    async def forget(self, thread: str, *, tenant: str = "local") -> None:
        """Delete a thread with its runs and checkpoints."""
        row = await self._latest(thread, tenant)
        self._admit(row)
        for each in {_thread_id(each) for each in await self._log.runs(thread, tenant)}:
            await self._saver.adelete_thread(each)
        await self._log.forget(thread, tenant)

    def draw(self, graph: str) -> str:
        """A graph as Mermaid text; its node names are those of the `step` events."""
        return self._graphs[agent_of(graph, self.agents).name].get_graph(xray=True).draw_mermaid()

    async def continue_unfinished(self) -> None:
        """Take up the runs that a stopped host left behind, and give up those that several hosts died under."""
        for row in await self._log.unfinished():
            if row.tries < TRIES and row.graph in self.agents:
                await self._log.mark(row.run, "running", row.tries + 1)
                await self._take_up(row)
            else:
                await self._give_up(row)

    async def close(self) -> None:
        """Stop working; runs in progress stay unfinished in the log and are taken up at the next start."""
        tasks = [*(live.task for live in self._live.values() if live.task is not None), *self._leaving]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=10)

    async def _take_up(self, row: Run) -> None:
        state = await self._graphs[row.graph].aget_state(self._config(row))
        if (state.metadata or {}).get("run") == row.run:
            await self._begin(row, None, known=True, gap=GAP)
        else:
            fresh = None if row.fork else self.agents[row.graph].begin(Ask.model_validate_json(row.ask))
            await self._begin(row, fresh, known=True, gap=GAP, checkpoint=row.fork)

    async def _give_up(self, row: Run) -> None:
        last = await self._log.last(row.run) + GAP
        reason = f"The host stopped {row.tries} times while this ran."
        self._log.append(row.run, last, Failure(message=reason, remedy="Ask again.", code="engine_failed"))
        await self._log.finish(last + 1, RunFinished(run=row.run, status="failed", reason=reason))

    def _admit(self, run: Run) -> None:
        if any(live.run.thread == run.thread and live.run.tenant == run.tenant for live in self._live.values()):
            raise Conflict(
                f"Thread {run.thread!r} has a run in progress.", remedy="Wait for it, cancel it, or use another thread."
            )
        if len(self._live) >= self.bench.settings.server.streams:
            raise Busy(f"{len(self._live)} runs are in progress.", remedy="Try again.", retry_after=5)

    async def _begin(
        self, run: Run, input: Any, *, known: bool = False, gap: int = 0, checkpoint: str | None = None
    ) -> str:
        """Log the run and drive it in a task of its own. `known` runs are in the log already."""
        ledger = Ledger(Budget.model_validate_json(run.budget))
        live = self._live[run.run] = Live(run, ledger, self._log)
        try:
            if known:
                await self._log.flush()
                live.number_from(await self._log.last(run.run) + gap + 1)
                await self._log.mark(run.run, "running")
            else:
                await self._log.add(run)
        except BaseException:
            del self._live[run.run]
            raise
        live.append(RunStarted(run=run.run, thread=run.thread, graph=run.graph))
        live.task = asyncio.create_task(self._run(live, input, checkpoint), name=f"run-{run.run}")
        return run.run

    async def _run(self, live: Live, input: Any, checkpoint: str | None) -> None:
        row = live.run
        permit = Permit(
            agent=row.graph,
            rules=self.bench.settings.policy,
            record=RunRecord(row.run, self._log),
            depth=Ask.model_validate_json(row.ask).depth,
        )
        bench = replace(self.bench, tenant=row.tenant, emit=live.append, permit=permit)
        context = Context(bench=bench, ledger=live.ledger, emit=live.append)
        try:
            graph, config = self._graphs[row.graph], self._config(row, checkpoint)
            driving = Drive(live, self.agents[row.graph], graph, input, config, context, self._leaving)
            ending = await driving.to_its_end(self._log.room)
            await live.finish(await self._kept(live, ending))
        finally:
            live.end()
            del self._live[row.run]

    async def _kept(self, live: Live, ending: RunFinished) -> RunFinished:
        """The end of a run once its last step is on the disk."""
        try:
            await self._saver.flush()
        except SutradharError as error:
            live.append(Failure(message=error.message, remedy=error.remedy, code=error.code))
            return ending.model_copy(update={"status": "failed", "reason": error.message})
        return ending

    def _config(self, run: Run, checkpoint: str | None = None) -> RunnableConfig:
        configurable = {"thread_id": _thread_id(run)}
        if checkpoint is not None:
            configurable["checkpoint_id"] = checkpoint
        steps = Budget.model_validate_json(run.budget).steps
        return {"configurable": configurable, "metadata": {"run": run.run}, "recursion_limit": steps}

    async def _latest(self, thread: str, tenant: str) -> Run:
        rows = await self._log.runs(thread, tenant)
        if not rows:
            raise NotFound(f"There is no thread {thread!r}.", param="thread")
        return rows[-1]

    async def _asked(self, run: str) -> Question:
        """The last question of a run that waits."""
        asked: Question | None = None
        after = 0
        while page := await self._log.events(run, after):
            after = page[-1][0]
            asked = next((event for _, event in reversed(page) if isinstance(event, Question)), asked)
        if asked is None:
            raise Conflict(f"Run {run!r} asks nothing.", remedy="Ask again.")
        return asked


def _thread_id(run: Run) -> str:
    # the tenant is part of the key, so that no mistake above this line can show one tenant another's thread; and the
    # graph, because one graph cannot read another's state
    return f"{run.tenant}/{run.thread}/{run.graph}"


def _place(run: Run, namespace: str) -> RunnableConfig:
    return {"configurable": {"thread_id": _thread_id(run), "checkpoint_ns": namespace}}


def _snapshot(state: StateSnapshot, namespace: str) -> Snapshot:
    metadata: Mapping[str, Any] = state.metadata or {}
    parent = (state.parent_config or {}).get("configurable", {}).get("checkpoint_id")
    return Snapshot(
        checkpoint=state.config["configurable"]["checkpoint_id"],
        parent=parent,
        run=str(metadata.get("run", "")),
        step=int(metadata.get("step", 0)),
        next=state.next,
        created=state.created_at,
        values=to_jsonable_python(state.values, fallback=repr),
        within="/".join(part.partition(":")[0] for part in namespace.split("|")),
    )


@asynccontextmanager
async def open_runs(
    bench: Bench, *, among: Mapping[str, Agent] | None = None, resume: bool = True
) -> AsyncIterator[Runs]:
    """The runs of the bench's home; with `resume` those that a stopped host left behind go on.

    One process at a time may resume a home's runs; a command that works beside a host opens with `resume=False`.
    """
    if not _msgpack.STRICT_MSGPACK_ENABLED:
        raise SutradharError(
            "LangGraph was imported without LANGGRAPH_STRICT_MSGPACK=true, so a crafted checkpoint could run code.",
            remedy="Set the variable, or import `graphs` before LangGraph.",
        )
    home = bench.settings.home
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with open_log(home / "runs.sqlite") as log, open_checkpoints(home / "threads.sqlite") as saver:
        runs = Runs(bench, log, saver, among or agents())
        try:
            if resume:
                await runs.continue_unfinished()
            yield runs
        finally:
            await runs.close()
