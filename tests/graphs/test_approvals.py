"""An agent's writes wait for a person, happen once, and stay done when the host is killed."""

import asyncio
import sys
import textwrap
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypedDict

import anyio
import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import BaseModel

from graphs.asking import agent_tool
from graphs.catalog import Agent, Ask
from graphs.context import Context
from graphs.events import Answer, Failure, Question
from graphs.router.graph import router_over
from graphs.runs import Runs, open_runs
from tests.graphs.conftest import ending, heard
from tools.bench import Bench
from tools.errors import Conflict
from tools.settings import Policy
from tools.toolbox import tool

pytestmark = pytest.mark.anyio


class Line(BaseModel):
    text: str


@tool(title="Append", effect="write")
async def append(input: Line, bench: Bench) -> Line:
    """Append a line to a file; a line «slow» is written long before the call ends."""
    path = bench.settings.home / "lines"
    with path.open("a") as file:
        file.write(f"{input.text}\n")
    if input.text.startswith("slow"):
        await asyncio.sleep(3)
    return Line(text=f"did {input.text}")


class State(TypedDict, total=False):
    lines: list[str]
    said: list[str]


async def work(state: State, runtime: Runtime[Context]) -> State:
    """One line after the other; those after «together» all at once."""
    bench, lines = runtime.context.bench, state["lines"]
    if lines[0] == "together":
        return {"said": [each.text for each in await asyncio.gather(*(_append(bench, line) for line in lines[1:]))]}
    return {"said": [(await _append(bench, line)).text for line in lines]}


async def _append(bench: Bench, line: str) -> Line:
    return await bench.call(append, Line(text=line))


async def last(state: State) -> State:
    if "wait" in state["lines"]:
        await asyncio.sleep(3)
    return {}


def _build() -> StateGraph[State, Context, State, State]:
    graph = StateGraph(State, context_schema=Context).add_node(work).add_node(last)
    return graph.add_edge(START, "work").add_edge("work", "last").add_edge("last", END)


def _conclude(state: Mapping[str, Any], spoken: str) -> Answer:
    return Answer(text="; ".join(state.get("said") or []), answered=True, citations=[])


def _begin(ask: Ask) -> dict[str, Any]:
    return {"lines": ask.question.split(", "), "said": []}


WRITER = Agent("writer", "Writer", "Appends lines.", _build, _begin, lambda node, update: "", _conclude)


@asynccontextmanager
async def writers(bench: Bench, **policy: Any) -> AsyncIterator[Runs]:
    settings = bench.settings.model_copy(update={"policy": Policy(**policy)})
    ready = Bench(settings, bench.catalog, bench.models, bench.media)
    async with open_runs(ready, among={"writer": WRITER, "router": router_over([WRITER])}) as runs:
        yield runs


def written(bench: Bench) -> list[str]:
    path = bench.settings.home / "lines"
    return path.read_text().split() if path.exists() else []


async def step(runs: Runs, run: str, after: int) -> tuple[int, str, str]:
    """Until the run waits or ends: its last number, its status, and what it asks."""
    events = await heard(runs, run, after)
    asked = [event.text for _, event in events if isinstance(event, Question)]
    return events[-1][0], ending(events).status, asked[-1] if asked else ""


@pytest.mark.parametrize("graph", ["writer", "router"])
async def test_each_write_waits_for_its_own_yes(bench: Bench, graph: str) -> None:
    async with writers(bench) as runs:
        run, after = await runs.start(graph, "one, two, one"), 0
        for line in ("one", "two"):
            after, status, asked = await step(runs, run, after)
            assert (status, f'"{line}"' in asked) == ("waiting", True)
            assert line not in written(bench)
            await runs.resume(run, "yes")
        events = await heard(runs, run, after)
        assert ending(events).status == "done"
    assert written(bench) == ["one", "two"]
    assert [event.text for _, event in events if isinstance(event, Answer)] == ["did one; did two; did one"]


async def test_all_is_asked_once(bench: Bench) -> None:
    async with writers(bench) as runs:
        run = await runs.start("writer", "one, two, three")
        after, status, _ = await step(runs, run, 0)
        assert status == "waiting"
        await runs.resume(run, "all")
        assert (await step(runs, run, after))[1] == "done"
        other = await runs.start("writer", "four")
        assert (await step(runs, other, 0))[1] == "waiting"
    assert written(bench) == ["one", "two", "three"]


async def test_no_ends_it(bench: Bench) -> None:
    async with writers(bench) as runs:
        run = await runs.start("writer", "one")
        after, _, _ = await step(runs, run, 0)
        await runs.resume(run, "no")
        events = await heard(runs, run, after)
    assert ending(events).status == "failed"
    assert "said no" in next(event.message for _, event in events if isinstance(event, Failure))
    assert written(bench) == []


async def test_writes_side_by_side_are_asked_one_by_one(bench: Bench) -> None:
    async with writers(bench) as runs:
        run, after, asked = await runs.start("writer", "together, one, two, two"), 0, set[str]()
        for _ in range(2):
            after, status, question = await step(runs, run, after)
            assert status == "waiting"
            asked.add(question)
            await runs.resume(run, "yes")
        assert (await step(runs, run, after))[1] == "done"
    assert len(asked) == 2
    assert sorted(written(bench)) == ["one", "two"]


async def test_an_owner_may_forbid_a_tool(bench: Bench) -> None:
    async with writers(bench, allow={"writer": ["recall"]}) as runs:
        for graph in ("writer", "router"):
            events = await heard(runs, await runs.start(graph, "one"))
            assert "may not use the tool 'append'" in ending(events).reason


async def test_an_answer_survives_the_host(bench: Bench) -> None:
    async with writers(bench) as runs:
        run = await runs.start("writer", "one, two")
        after, _, _ = await step(runs, run, 0)
    async with writers(bench) as runs:
        await runs.resume(run, "all")
        assert (await step(runs, run, after))[1] == "done"
    assert written(bench) == ["one", "two"]


@pytest.mark.parametrize(("lines", "status"), [("one, two, wait", "done"), ("one, slow", "failed")])
async def test_a_killed_host_writes_nothing_twice(bench: Bench, lines: str, status: str) -> None:
    """Killed after the writes it goes on; killed in the middle of one it says that nobody knows how it ended."""
    script = f"""
        import asyncio, os
        from pathlib import Path
        from tests.graphs.conftest import NoModels
        from tests.graphs.test_approvals import writers
        from tools.bench import Bench
        from tools.catalog import Catalog
        from tools.settings import Settings
        async def main():
            settings = Settings(home=Path({str(bench.settings.home)!r}), _env_file=None)
            bench = Bench(settings, Catalog(models=[], profiles={{}}), NoModels(), None)
            async with writers(bench, trusted=["append"]) as runs:
                await runs.start("writer", {lines!r}, thread="t")
                await asyncio.sleep(1)
                os.kill(os.getpid(), 9)
        asyncio.run(main())
    """
    killed = await anyio.run_process([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert killed.returncode == -9, killed.stderr
    async with writers(bench, trusted=["append"]) as runs:
        (row,) = await runs.runs("t")
        events = await heard(runs, row.run)
    assert ending(events).status == status
    assert written(bench) == lines.removesuffix(", wait").split(", ") + (["wait"] if "wait" in lines else [])
    if status == "failed":
        assert "nobody knows whether it took effect" in ending(events).reason


async def test_an_agent_that_is_asked_as_a_tool_cannot_ask_a_person(bench: Bench, tmp_path: Path) -> None:
    async with writers(bench) as runs:
        asked = agent_tool(WRITER)
        with pytest.raises(Conflict, match="'append'"):
            await runs.bench.call(asked, asked.parse({"question": "one"}))
