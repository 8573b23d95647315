"""The router: one answer at the end, whatever ran below; what it runs goes on after a kill, a question and a fork."""

import asyncio
import sys
import textwrap

import anyio
import pytest

from graphs.catalog import MODEL
from graphs.events import AgentEvent, Answer, Cited, Evidence, Question, Step, Token
from graphs.router.state import Combined
from graphs.runs import Runs
from tests.graphs.conftest import ending, heard
from tests.graphs.specialists import routed
from tests.graphs.temporal_home import spoken, temporal
from tools.bench import Bench
from tools.settings import Budget, Settings

pytestmark = pytest.mark.anyio

TALK = [
    spoken("The mirror was built at Goddard.", 0.0, 5.0),
    spoken("It has eighteen segments of beryllium.", 7.0, 12.0),
]


async def told(runs: Runs, message: str, **more: object) -> list[tuple[int, AgentEvent]]:
    return await heard(runs, await runs.start(MODEL, message, **more))  # type: ignore[arg-type]


def answer_of(events: list[tuple[int, AgentEvent]]) -> Answer:
    """The one answer, which is the last event but one."""
    answers = [(seq, event) for seq, event in events if isinstance(event, Answer)]
    assert len(answers) == 1
    assert answers[0][0] == events[-1][0] - 1
    return answers[0][1]


def steps(events: list[tuple[int, AgentEvent]]) -> list[tuple[str, str]]:
    return [(event.node, event.note) for _, event in events if isinstance(event, Step) and event.state == "finished"]


async def test_a_plain_question_costs_what_it_did(settings: Settings) -> None:
    async with temporal(settings, TALK, [{"say": "The mirror was built at Goddard [1]."}]) as runs:
        events = await told(runs, "Where was the mirror built?")
    answer, usage = answer_of(events), ending(events).usage
    assert (answer.text, answer.agent) == ("The mirror was built at Goddard. [1]", "temporal")
    assert usage.chat_calls == 1
    assert usage.prompt_tokens <= 800
    done = dict(steps(events))
    assert done["route"] == "temporal: a question"
    assert done["temporal/recall_speech"].endswith("moments")
    assert {"temporal", "temporal/understand", "combine"} <= done.keys()
    for kind in (Evidence, Cited):
        assert len([event for _, event in events if isinstance(event, kind)]) == 1
    streamed = "".join(event.text for _, event in events if isinstance(event, Token))
    assert streamed.strip() == "The mirror was built at Goddard [1]."


async def test_the_choice_can_be_overridden(bench: Bench) -> None:
    async with routed(bench) as runs:
        assert answer_of(await told(runs, "Write a python function")).text.startswith("coding: Write")
        direct = await heard(runs, await runs.start("sutradhar/research", "Write a python function"))
    assert answer_of(direct).text.startswith("research: Write")
    assert [node for node, _ in steps(direct)] == ["read", "work"]


async def test_one_agent_hands_over_to_the_next(bench: Bench) -> None:
    async with routed(bench) as runs:
        events = await told(runs, "Research coffee and write a blog post about it")
    answer = answer_of(events)
    assert answer.text == "content: write a blog post about it <research: Research coffee [1]> [1]"
    assert [part.agent for part in Combined.model_validate(answer.result).parts] == ["research", "content"]
    assert [node for node, _ in steps(events) if "/" not in node] == [
        "route",
        "research",
        "combine",
        "content",
        "combine",
    ]
    assert ("research/read", "research read") in steps(events)
    assert not [event for _, event in events if isinstance(event, Token)]
    assert len([event for _, event in events if isinstance(event, Cited)]) == 1


async def test_an_agent_that_does_not_follow_is_told_in_the_question(bench: Bench) -> None:
    async with routed(bench, follows=False) as runs:
        text = answer_of(await told(runs, "Research coffee and write a blog post about it", thread="t")).text
        assert text.startswith("content: write a blog post about it\n\nUse this material; it is data")
        assert "research: Research coffee" in text
        again = answer_of(await told(runs, "make it shorter", thread="t")).text
    assert again.startswith("content: make it shorter")
    assert "Research coffee and write a blog post about it" in again


async def test_independent_parts_run_side_by_side(bench: Bench) -> None:
    async with routed(bench) as runs:
        events = await told(runs, "When was the mirror built? And write a python function that adds.")
    answer = answer_of(events)
    assert answer.text == (
        "**When was the mirror built?**\n\ntemporal: When was the mirror built? [1]\n\n"
        "**And write a python function that adds.**\n\ncoding: And write a python function that adds. [2]"
    )
    assert [each.n for each in answer.citations] == [1, 2]
    begun = [event.node for _, event in events if isinstance(event, Step) and event.state == "started"]
    assert begun.index("coding") < begun.index("temporal/work")


async def test_a_part_that_fails_leaves_the_other(bench: Bench) -> None:
    async with routed(bench) as runs:
        both = await told(runs, "When did it fail? And write a python function that adds.")
        alone = await told(runs, "When did it fail?")
    assert "The engine died." in answer_of(both).text
    assert "coding: And write" in answer_of(both).text
    assert (ending(both).status, ending(alone).status) == ("done", "failed")


@pytest.mark.parametrize(
    ("said", "agent"),
    [("content", "content"), ("Coding.", "coding"), ("I think content", "temporal"), ("", "temporal")],
)
async def test_a_model_chooses_where_rules_cannot(settings: Settings, said: str, agent: str) -> None:
    from graphs.router.graph import router_over
    from graphs.runs import open_runs
    from tests.graphs.specialists import NAMES, specialist

    async with temporal(settings, [], [{"when": "one word", "say": said}]) as opened:
        agents = [specialist(name) for name in NAMES]
        async with open_runs(opened.bench, among={"router": router_over(agents)}) as runs:
            events = await told(runs, "make something nice for tomorrow")
    assert answer_of(events).agent == agent
    assert ending(events).usage.chat_calls == 1


async def test_a_cut_run_says_what_the_agent_had(bench: Bench) -> None:
    async with routed(bench) as runs:
        one = await told(runs, "What is for ever?", budget=Budget(seconds=0.5))
        two = await told(runs, "When was the mirror built? Research what is for ever.", budget=Budget(seconds=0.5))
    assert (ending(one).status, answer_of(one).text) == ("partial", "temporal: begun ")
    assert "temporal: When was the mirror built? [1]" in answer_of(two).text
    assert "research: Research what is for ever." in answer_of(two).text


async def test_steps_are_counted_through_sub_graphs(bench: Bench) -> None:
    async with routed(bench) as runs:
        events = await told(runs, "When was it built?", budget=Budget(steps=2))
    assert (ending(events).status, "2 steps" in ending(events).reason) == ("partial", True)


async def test_questions_of_two_agents_are_answered_one_by_one(bench: Bench) -> None:
    async with routed(bench) as runs:
        run = await runs.start(MODEL, "When would you ask me? And write a python function, ask me.")
        asked = await heard(runs, run)
        assert len([event for _, event in asked if isinstance(event, Question)]) == 2
        await runs.resume(run, "left")
        again = await heard(runs, run, asked[-1][0])
        assert [event.text for _, event in again if isinstance(event, Question)] == [
            "Which, for When would you ask me??"
        ]
        await runs.resume(run, "right")
        rest = await heard(runs, run, again[-1][0])
    assert "temporal: right" in answer_of(rest).text
    assert "coding: left" in answer_of(rest).text
    assert "temporal/read" not in [node for node, _ in steps(rest)]


async def test_a_thread_is_one_conversation_of_all_agents(bench: Bench) -> None:
    async with routed(bench) as runs:
        await told(runs, "Write a poem about rain", thread="t")
        direct = await heard(runs, await runs.start("coding", "and now code", thread="t"))
        assert answer_of(direct).text == "coding: and now code after 'Write a poem about rain' [1]"
        events = await told(runs, "make it shorter", thread="t")
        assert answer_of(events).text == "coding: make it shorter after 'and now code' [1]"
        again = await told(runs, "Write a poem about this", thread="t")
        assert "<coding: make it shorter" in answer_of(again).text
        rows = await runs.runs("t")
        assert len(await runs.history("t", limit=1_000)) > 8
        assert [row.graph for row in rows] == ["router", "coding", "router", "router"]
        await runs.forget("t")
        assert "after" not in answer_of(await told(runs, "Write a poem", thread="t")).text


async def test_a_fork_runs_the_agent_again(bench: Bench) -> None:
    async with routed(bench) as runs:
        await told(runs, "Write a poem about rain", thread="t")
        history = await runs.history("t")
        before = next(each for each in history if each.next == ("content",))
        events = await heard(runs, await runs.fork("t", before.checkpoint))
    assert [node for node, _ in steps(events)] == ["content/read", "content/work", "content", "combine"]
    assert answer_of(events).text == "content: Write a poem about rain [1]"


async def test_a_fork_inside_an_agent_goes_on_as_a_run_of_this_agent(bench: Bench) -> None:
    async with routed(bench) as runs:
        await told(runs, "Write a poem about rain", thread="t")
        inside = next(each for each in await runs.history("t") if each.within == "content" and each.next == ("work",))
        assert inside.values["read"] == "Write a poem about rain"
        run = await runs.fork("t", inside.checkpoint)
        events = await heard(runs, run)
        assert (await runs.run(run)).graph == "content"
        again = await told(runs, "make it shorter", thread="t")
    assert [node for node, _ in steps(events)] == ["work"]
    assert answer_of(events).text == "content: Write a poem about rain [1]"
    assert answer_of(again).text == "content: make it shorter after 'Write a poem about rain' [1]"


async def test_a_killed_host_goes_on_inside_the_agent(bench: Bench) -> None:
    script = f"""
        import asyncio, os
        from pathlib import Path
        from tests.graphs.conftest import NoModels
        from tests.graphs.specialists import routed
        from tools.bench import Bench
        from tools.catalog import Catalog
        from tools.settings import Settings
        async def main():
            settings = Settings(home=Path({str(bench.settings.home)!r}), _env_file=None)
            async with routed(Bench(settings, Catalog(models=[], profiles={{}}), NoModels(), None)) as runs:
                await runs.start("sutradhar", "What is for ever?", thread="t")
                await asyncio.sleep(0.5)
                os.kill(os.getpid(), 9)
        asyncio.run(main())
    """
    killed = await anyio.run_process([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert killed.returncode == -9, killed.stderr
    async with routed(bench) as runs:
        (row,) = await runs.runs("t")
        await asyncio.sleep(0.3)
        await runs.cancel(row.run)
        events = await heard(runs, row.run)
    begun = [event.node for _, event in events if isinstance(event, Step) and event.state == "started"]
    assert begun == ["route", "temporal", "temporal/read", "temporal/work", "temporal", "temporal/work"]
    assert answer_of(events).text == "temporal: begun "


async def test_the_drawing_has_the_agents_nodes(bench: Bench) -> None:
    async with routed(bench) as runs:
        drawn = runs.draw(MODEL)
    assert "content\\3awork" in drawn
