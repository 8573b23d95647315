"""Runs end, whatever the graph does; everyone who may follow sees the same numbered events."""

import asyncio
import gc
import sqlite3
import sys
import textwrap
from pathlib import Path

import anyio
import ormsgpack
import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from graphs.events import Answer, Failure, Question, Step, Token
from graphs.live import KEEP
from graphs.runs import GAP, Runs
from tests.graphs.conftest import ending, heard, parrots
from tools.bench import Bench
from tools.errors import Busy, Conflict, InvalidInput, NotFound
from tools.settings import Budget, Server

pytestmark = pytest.mark.anyio


async def test_events_come_in_order(runs: Runs) -> None:
    events = await heard(runs, await runs.start("parrot", "hello"))
    assert [seq for seq, _ in events] == list(range(1, len(events) + 1))
    steps = [(e.type, getattr(e, "node", ""), getattr(e, "state", "")) for _, e in events]
    assert steps == [
        ("run.started", "", ""),
        ("step", "gather", "started"),
        ("evidence", "", ""),
        ("model", "", "ready"),
        ("step", "gather", "finished"),
        ("step", "speak", "started"),
        *[("token", "", "")] * 3,
        ("step", "speak", "finished"),
        ("answer", "", ""),
        ("run.finished", "", ""),
    ]
    done = [e for _, e in events if isinstance(e, Step) and e.state == "finished"]
    assert [e.note for e in done] == ["GATHER", "SPEAK"]
    assert all(e.ms is not None and e.ms >= 0 for e in done)
    assert (ending(events).usage.chat_calls, ending(events).usage.prompt_tokens) == (1, 10)


async def test_replay_is_exact_from_any_number(runs: Runs) -> None:
    run = await runs.start("parrot", "hello")
    live = await heard(runs, run)
    for after in (0, 1, 5, len(live)):
        assert await heard(runs, run, after) == live[after:]


async def test_events_survive_the_host(bench: Bench) -> None:
    async with parrots(bench) as first:
        run = await first.start("parrot", "hello")
        live = await heard(first, run)
    async with parrots(bench) as second:
        assert await heard(second, run) == live


async def test_slow_follower_misses_nothing_and_costs_nothing(runs: Runs) -> None:
    run = await runs.start("parrot", "endless", budget=Budget(seconds=0.4))
    live = runs._live[run]
    stream = runs.stream(run)
    seen = [await anext(stream)]
    for n in range(3 * KEEP):
        live.append(Token(text=str(n)))
    seen += [each async for each in stream]
    assert [seq for seq, _ in seen] == list(range(1, len(seen) + 1))
    assert len(seen) > 3 * KEEP


@pytest.mark.parametrize("question", ["endless", "hang", "stubborn"])
async def test_seconds_end_a_run_with_a_reason(runs: Runs, question: str) -> None:
    events = await heard(runs, await runs.start("parrot", question, budget=Budget(seconds=0.8)), seconds=8)
    assert (ending(events).status, "0.8 seconds" in ending(events).reason) == ("partial", True)
    answer = next(e for _, e in events if isinstance(e, Answer))
    assert answer.text.startswith("la" if question == "endless" else "")
    assert next(e for _, e in events if isinstance(e, Step) and e.state == "failed").node == "speak"
    # a graph that has not left yet must not be collected while it works: the event loop would report it here
    gc.collect()
    await asyncio.sleep(0.05)


async def test_steps_end_a_run_with_a_reason(runs: Runs) -> None:
    events = await heard(runs, await runs.start("parrot", "hello", budget=Budget(steps=1)))
    assert (ending(events).status, ending(events).reason) == ("partial", "The run used up its 1 steps.")


async def test_crash_ends_one_run_and_tells_no_secret(runs: Runs) -> None:
    events = await heard(runs, await runs.start("parrot", "crash"))
    assert ending(events).status == "failed"
    assert any(isinstance(e, Failure) for _, e in events)
    assert not any("secret" in e.model_dump_json() for _, e in events)
    assert ending(await heard(runs, await runs.start("parrot", "hello"))).status == "done"


async def test_cancel(runs: Runs) -> None:
    run = await runs.start("parrot", "endless")
    await asyncio.sleep(0.1)
    await runs.cancel(run)
    events = await heard(runs, run)
    assert ending(events).status == "cancelled"
    await runs.cancel(run)


async def test_question_waits_and_is_answered(runs: Runs) -> None:
    run = await runs.start("parrot", "choose")
    asked = await heard(runs, run)
    assert ending(asked).status == "waiting"
    question = next(e for _, e in asked if isinstance(e, Question))
    assert (question.text, question.options) == ("Which?", ("left", "right"))
    with pytest.raises(InvalidInput, match="'up' is not an option"):
        await runs.resume(run, "up")
    await runs.resume(run, "left")
    rest = await heard(runs, run, asked[-1][0])
    assert [e.text for _, e in rest if isinstance(e, Answer)] == ["left"]
    assert ending(rest).status == "done"
    with pytest.raises(Conflict):
        await runs.resume(run, "left")


async def test_question_survives_the_host(bench: Bench) -> None:
    async with parrots(bench) as first:
        run = await first.start("parrot", "choose")
        asked = await heard(first, run)
    async with parrots(bench) as second:
        await second.resume(run, "right")
        rest = await heard(second, run, asked[-1][0])
    assert [e.text for _, e in rest if isinstance(e, Answer)] == ["right"]


async def test_other_tenants_see_nothing(runs: Runs) -> None:
    run = await runs.start("parrot", "hello", tenant="a")
    await heard(runs, run, tenant="a")
    thread = (await runs.run(run, tenant="a")).thread
    for attempt in (
        heard(runs, run, tenant="b"),
        runs.run(run, tenant="b"),
        runs.cancel(run, tenant="b"),
        runs.resume(run, 1, tenant="b"),
        runs.runs(thread, tenant="b"),
        runs.history(thread, tenant="b"),
        runs.fork(thread, "x", tenant="b"),
        runs.forget(thread, tenant="b"),
        runs.start("parrot", "hello", thread=thread, tenant="b"),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await runs.threads(tenant="b") == []
    assert [t.thread for t in await runs.threads(tenant="a")] == [thread]


async def test_one_run_at_a_time_in_a_thread(runs: Runs) -> None:
    run = await runs.start("parrot", "endless", thread="t", budget=Budget(seconds=1))
    with pytest.raises(Conflict, match="in progress"):
        await runs.start("parrot", "hello", thread="t")
    await runs.cancel(run)
    await heard(runs, await runs.start("parrot", "hello", thread="t"))


async def test_too_many_runs_are_refused(bench: Bench) -> None:
    few = bench.settings.model_copy(update={"server": Server(streams=1)})
    async with parrots(Bench(few, bench.catalog, bench.models, bench.media)) as runs:
        run = await runs.start("parrot", "endless", budget=Budget(seconds=1))
        with pytest.raises(Busy):
            await runs.start("parrot", "hello")
        await runs.cancel(run)


async def test_history_and_fork(runs: Runs) -> None:
    run = await runs.start("parrot", "hello", thread="t")
    await heard(runs, run)
    history = await runs.history("t")
    before = next(each for each in history if each.next == ("speak",))
    assert before.values["seen"] == ["hello"]
    again = await runs.fork("t", before.checkpoint)
    events = await heard(runs, again)
    assert [e.node for _, e in events if isinstance(e, Step) and e.state == "started"] == ["speak"]
    assert [e.text for _, e in events if isinstance(e, Answer)] == ["hello: all is well"]
    with pytest.raises(Conflict):
        await runs.fork("t", history[0].checkpoint)
    with pytest.raises(NotFound):
        await runs.fork("t", "nonsense")


async def test_forget(runs: Runs) -> None:
    run = await runs.start("parrot", "hello", thread="t")
    await heard(runs, run)
    await runs.forget("t")
    with pytest.raises(NotFound):
        await runs.history("t")
    with pytest.raises(NotFound):
        await heard(runs, run)


async def test_stopped_host_leaves_the_run_to_the_next(bench: Bench) -> None:
    async with parrots(bench) as first:
        run = await first.start("parrot", "hang")
        await asyncio.sleep(0.2)
    async with parrots(bench) as second:
        await asyncio.sleep(0.2)
        await second.cancel(run)
        events = await heard(second, run)
    assert ending(events).status == "cancelled"
    starts = [(seq, e.node) for seq, e in events if isinstance(e, Step) and e.state == "started"]
    assert [node for _, node in starts] == ["gather", "speak", "speak"]
    assert starts[2][0] - starts[1][0] > GAP / 2


async def test_run_is_given_up_after_several_hosts(bench: Bench) -> None:
    for _ in range(3):
        async with parrots(bench) as host:
            if not await host.threads():
                run = await host.start("parrot", "hang")
            await asyncio.sleep(0.1)
    async with parrots(bench) as last:
        events = await heard(last, run)
    assert (ending(events).status, "stopped 3 times" in ending(events).reason) == ("failed", True)


async def test_killed_host_resumes_from_its_checkpoint(bench: Bench) -> None:
    script = f"""
        import asyncio, os
        from tests.graphs.conftest import NoModels, parrots
        from pathlib import Path
        from tools.bench import Bench
        from tools.catalog import Catalog
        from tools.settings import Settings
        async def main():
            settings = Settings(home=Path({str(bench.settings.home)!r}), _env_file=None)
            async with parrots(Bench(settings, Catalog(models=[], profiles={{}}), NoModels(), None)) as runs:
                await runs.start("parrot", "endless words", thread="t")
                await asyncio.sleep(0.5)
                os.kill(os.getpid(), 9)
        asyncio.run(main())
    """
    killed = await anyio.run_process([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert killed.returncode == -9, killed.stderr
    async with parrots(bench) as runs:
        (row,) = await runs.runs("t")
        await asyncio.sleep(0.2)
        await runs.cancel(row.run)
        events = await heard(runs, row.run)
    nodes = [e.node for _, e in events if isinstance(e, Step) and e.state == "started"]
    assert nodes == ["gather", "speak", "speak"]
    assert len([e for _, e in events if isinstance(e, Token)]) > 20


async def test_fifty_chats_at_once(runs: Runs) -> None:
    started = [await runs.start("parrot", f"hello {n}") for n in range(50)]
    told = await asyncio.gather(*(heard(runs, run, seconds=60) for run in started))
    assert {ending(events).status for events in told} == {"done"}
    said = {event.text for events in told for _, event in events if isinstance(event, Answer)}
    assert said == {f"hello {n}: all is well" for n in range(50)}


async def test_log_that_cannot_be_written_does_not_hang(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    run = await runs.start("parrot", "hello")
    monkeypatch.setattr("graphs.log._write_batch", full)
    events = await heard(runs, run)
    assert ending(events).status == "done"


def test_crafted_checkpoints_run_nothing(tmp_path: Path) -> None:
    crafted = ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb(("os", "mkdir", str(tmp_path / "harm")))))
    JsonPlusSerializer().loads_typed(("msgpack", crafted))
    assert not (tmp_path / "harm").exists()


async def test_checkpoints_stay_shut_where_langgraph_is_lenient(bench: Bench) -> None:
    script = """
        import os
        os.environ.pop("LANGGRAPH_STRICT_MSGPACK", None)
        import langgraph.checkpoint.serde.jsonplus, asyncio
        from graphs.runs import open_runs
        asyncio.run(open_runs(None).__aenter__())
    """
    refused = await anyio.run_process([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert b"LANGGRAPH_STRICT_MSGPACK" in refused.stderr
    assert refused.returncode == 1


async def test_files_are_for_their_owner_only(runs: Runs, bench: Bench) -> None:
    for name in ("runs.sqlite", "threads.sqlite"):
        assert (bench.settings.home / name).stat().st_mode & 0o077 == 0
