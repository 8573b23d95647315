"""What our runs add to LangGraph: microseconds per streamed event, milliseconds per step, and 50 chats at once."""

import asyncio
import operator
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, TypedDict, cast

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from graphs.catalog import Agent, Ask
from graphs.context import Context
from graphs.events import Answer, RunFinished, Token
from graphs.runs import Runs, open_runs
from tools.bench import Bench
from tools.catalog import Catalog, Profile
from tools.settings import Settings

STEPS = 20
CHATS = 50


class State(TypedDict, total=False):
    question: str
    seen: Annotated[list[int], operator.add]


async def step(state: State) -> State:
    return {"seen": [1]}


async def speak(state: State, runtime: Runtime[Context]) -> State:
    for n in range(int(state["question"])):
        runtime.context.emit(Token(text="word "))
        if n % 8 == 7:
            await asyncio.sleep(0)
    return {}


def chain() -> StateGraph[State, Context, State, State]:
    graph = StateGraph(State, context_schema=Context)
    names = [f"step_{n}" for n in range(STEPS)]
    for name in names:
        graph.add_node(name, step)
    return _joined(graph, names)


def _joined(
    graph: StateGraph[State, Context, State, State], names: list[str]
) -> StateGraph[State, Context, State, State]:
    for one, other in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(one, other)
    return graph


def speaker() -> StateGraph[State, Context, State, State]:
    return _joined(StateGraph(State, context_schema=Context).add_node(speak), ["speak"])


def _agent(name: str, build: Callable[[], StateGraph[Any, Context, Any, Any]]) -> Agent:
    def begin(ask: Ask) -> dict[str, Any]:
        return {"question": ask.question}

    def conclude(state: object, spoken: str) -> Answer:
        return Answer(text="done", answered=True, citations=[])

    return Agent(name, name, name, build, begin, lambda node, update: "", conclude)


@asynccontextmanager
async def _runs(home: Path) -> AsyncIterator[Runs]:
    profiles = {"embedded": Profile(title="embedded", devices={}, serves={}, roles={})}
    settings = Settings(home=home, _env_file=None)
    bench = Bench(settings, Catalog(models=[], profiles=profiles), cast("Any", None), cast("Any", None))
    async with open_runs(
        bench, among={each.name: each for each in (_agent("chain", chain), _agent("speaker", speaker))}
    ) as runs:
        yield runs


async def _events(runs: Runs, graph: str, question: str) -> int:
    count = 0
    async with aclosing(cast("Any", runs.stream(await runs.start(graph, question)))) as stream:
        async for _, event in stream:
            event.model_dump_json()
            count += 1
    assert isinstance(event, RunFinished)
    assert event.status == "done", event.reason
    return count


async def _timed(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def _chats(runs: Runs, words: int) -> tuple[int, float]:
    started = time.perf_counter()
    counts = await asyncio.gather(*[_events(runs, "speaker", str(words)) for _ in range(CHATS)])
    return sum(counts), time.perf_counter() - started


async def _steps(saver: AsyncSqliteSaver | None, thread: str) -> None:
    """The chain on LangGraph alone, with or without its checkpoints."""
    graph = chain().compile(checkpointer=saver)
    stream = graph.astream(
        {"question": ""},
        {"configurable": {"thread_id": thread}},
        context=Context(cast("Bench", None)),
        stream_mode=["tasks", "custom"],
        version="v2",
        durability="async" if saver else None,
    )
    async for _ in stream:
        pass


@asynccontextmanager
async def _saver(path: Path) -> AsyncIterator[AsyncSqliteSaver]:
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        await saver.setup()
        await saver.conn.execute("PRAGMA synchronous = NORMAL")
        yield saver


async def run(home: Path, data: Path | None, quick: bool) -> dict[str, Any]:
    """Medians of interleaved rounds: `plain` and `saved` steps are LangGraph alone, `kept` ones are our runs."""
    words, rounds = (500, 3) if quick else (4_000, 7)
    event_us, chats_us, plain_ms, saved_ms, kept_ms = (list[float]() for _ in range(5))
    with TemporaryDirectory(dir=home) as folder:
        async with _runs(Path(folder)) as runs, _saver(Path(folder) / "plain.sqlite") as saver:
            await _events(runs, "chain", "0")
            for n in range(rounds):
                plain_ms.append(await _timed(_steps(None, "")) / STEPS * 1e3)
                saved_ms.append(await _timed(_steps(saver, str(n))) / STEPS * 1e3)
                kept_ms.append(await _timed(_events(runs, "chain", "0")) / STEPS * 1e3)
                event_us.append(await _timed(_events(runs, "speaker", str(words))) / words * 1e6)
                events, seconds = await _chats(runs, words // 10)
                chats_us.append(seconds / events * 1e6)
    measured = {
        "event_us": event_us,
        "chats_event_us": chats_us,
        "plain_step_ms": plain_ms,
        "saved_step_ms": saved_ms,
        "kept_step_ms": kept_ms,
    }
    figures: dict[str, Any] = {name: round(statistics.median(values), 3) for name, values in measured.items()}
    return figures | {"steps": STEPS, "chats": CHATS, "words": words}
