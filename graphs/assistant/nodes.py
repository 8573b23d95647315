"""The assistant's steps: offer tools, think, act, until the model answers or the rounds are used up."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime
from langgraph.types import Command

from graphs.asking import Told
from graphs.assistant.offering import likeliest, permitted
from graphs.assistant.state import Assisted, Call, Done, Result, Round, State
from graphs.assistant.thinking import ARGUMENTS, LARGE, ROLE, clean, think
from graphs.context import Context
from graphs.events import Answer
from tools.bench import Bench
from tools.chat.roles import chat_model
from tools.errors import BudgetSpent, EngineFailed, SutradharError
from tools.toolbox import Tool

ROUNDS = 8
"""Turns of the model in which it may call tools."""


async def offer(state: State, runtime: Runtime[Context]) -> State:
    """Choose by rules which tools the model is shown."""
    bench = runtime.context.bench
    tools, missing = await permitted(bench)
    return {"offered": likeliest(tools, state["question"], chat_model(bench, ROLE).row), "missing": missing}


async def decide(state: State, runtime: Runtime[Context]) -> Command[Literal["act", "__end__"]]:
    """Let the model call tools or answer."""
    context, rounds = runtime.context, state["rounds"]
    if len(rounds) >= ROUNDS:
        raise BudgetSpent(f"The agent used up its {ROUNDS} rounds of tool calls.", remedy="Ask for less at once.")
    tools, _ = await permitted(context.bench)
    try:
        said = await think(context, state, {name: tools[name] for name in state["offered"] if name in tools})
    except EngineFailed as error:
        return Command(update={"answer": without_model(state, error.message)}, goto="__end__")
    if said.calls:
        if len(rounds) >= 2 and all(_repeats(each, state) for each in (*said.calls, *rounds[-1].calls)):
            raise BudgetSpent("The model asks for the same calls again and again.", remedy="Ask in other words.")
        return Command(update={"rounds": [*rounds, said]}, goto="act")
    text = clean(state, said.said)
    answer = answer_of(state, text) if text else without_model(state, "The model answered nothing.")
    return Command(update={"answer": answer}, goto="__end__")


async def act(state: State, runtime: Runtime[Context]) -> Command[Literal["decide"]]:
    """Make the calls of the last turn, side by side; what goes wrong is told to the model."""
    context, latest = runtime.context, state["rounds"][-1]
    bench = context.bench
    if bench.permit is not None:
        words = [state["question"], *(turn.question for turn in state["turns"])]
        bench = replace(bench, permit=bench.permit.by_model(" ".join(words)))
    tools, _ = await permitted(bench)
    known = _made(state["rounds"][:-1])
    # all are awaited before a question of one stops this step: none may go on behind its back
    told = await asyncio.gather(
        *(_result(call, known, tools, bench, context) for call in latest.calls), return_exceptions=True
    )
    for each in told:
        if isinstance(each, GraphBubbleUp):
            raise each
    for each in told:
        if isinstance(each, BaseException):
            raise each
    results = [each for each in told if isinstance(each, Result)]
    done = latest.model_copy(update={"results": results})
    return Command(update={"rounds": [*state["rounds"][:-1], done]}, goto="decide")


async def _result(
    call: Call, known: Mapping[str, Result], tools: Mapping[str, Tool[Any, Any]], bench: Bench, context: Context
) -> Result:
    if before := known.get(_key(call)):
        return Result(call=call.id, ok=before.ok, text=f"You made this call before: {before.text}")
    if call.tool not in tools:
        return Result(call=call.id, ok=False, text=f"There is no tool {call.tool[:80]!r}.")
    if len(json.dumps(call.arguments)) > ARGUMENTS:
        return Result(call=call.id, ok=False, text="The arguments are too long.")
    tool = tools[call.tool]
    try:
        output = await bench.call(tool, tool.parse(call.arguments))
    except BudgetSpent:
        raise
    except SutradharError as error:
        return Result(call=call.id, ok=False, text=str(error)[:LARGE])
    if isinstance(output, Told):
        context.ledger.enter_usage(output.usage)
        return Result(call=call.id, ok=output.answer.answered, text=output.answer.text[:LARGE])
    return Result(call=call.id, ok=True, text=output.model_dump_json(exclude_none=True)[:LARGE])


def _made(rounds: list[Round]) -> dict[str, Result]:
    """The results of earlier calls by what was called."""
    return {
        _key(call): result
        for each in rounds
        for call, result in zip(each.calls, each.results, strict=False)
        if not result.text.startswith("You made this call before")
    }


def _repeats(call: Call, state: State) -> bool:
    made = [_key(each) for done in state["rounds"] for each in done.calls]
    return made.count(_key(call)) >= 2


def _key(call: Call) -> str:
    return f"{call.tool} {json.dumps(call.arguments, sort_keys=True)}"


def answer_of(state: State, text: str) -> Answer:
    """The answer with the calls that it came from; one that no call stands behind is not counted as one."""
    calls = _calls(state)
    return Answer(
        text=text, answered=any(each.ok for each in calls.calls), citations=[], result=calls.model_dump(mode="json")
    )


def without_model(state: State, reason: str) -> Answer:
    """What was found, where the model has no answer."""
    calls = _calls(state)
    found = [f"- {each.tool}: {clean(state, each.text[:500])}" for each in calls.calls if each.ok]
    text = "\n".join([reason, *(["What the tools said:", *found] if found else [])])
    return Answer(text=text, answered=False, citations=[], result=calls.model_dump(mode="json"))


def _calls(state: State) -> Assisted:
    return Assisted(
        calls=[
            Done(tool=call.tool, arguments=call.arguments, ok=result.ok, text=result.text[:2_000])
            for each in state.get("rounds") or []
            for call, result in zip(each.calls, each.results, strict=False)
        ]
    )
