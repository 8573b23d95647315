"""The model's next turn: tool calls the OpenAI way where it can, else one choice as JSON that its schema holds to."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from functools import cache
from importlib.resources import files
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel, JsonValue

from graphs.assistant.offering import named, schema_of, signature, speaks_for_itself
from graphs.assistant.state import Call, Json, Round, State
from graphs.context import Context, guess_tokens
from graphs.events import Token
from graphs.speak import IDLE_SECONDS, Cleaner, compose
from tools.catalog import Row
from tools.chat import Role
from tools.chat.roles import chat_model
from tools.errors import EngineFailed, InvalidInput, SutradharError
from tools.toolbox import Tool

Tools = Mapping[str, Tool[Any, Any]]

ROLE: Role = "reasoning"
AT_ONCE = 4
"""Calls of one turn; a model that asks for more is heard up to here."""

ARGUMENTS = 32_000
"""Characters of the arguments of one turn; a model that writes more is stopped."""

ANSWER_TOKENS = 700
CHOICE_TOKENS = 200
"""Of a small model, whose one answer or call has to be short."""

SMALL, LARGE = 700, 6_000
"""Characters of one result that a model on two cores reads, and a larger one."""


class Choice(BaseModel):
    """One turn as JSON: a tool and its arguments, or an answer."""

    tool: str = ""
    arguments: dict[str, JsonValue] = {}
    answer: str = ""


@cache
def prompt(name: str) -> str:
    return files("graphs.assistant").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8").strip()


def calls_tools(row: Row) -> bool:
    """Whether a model's server answers with tool calls."""
    return row.isolation == "remote" or "tool_call_parser" in row.options


def readable(row: Row) -> int:
    return SMALL if row.device == "cpu" and row.isolation != "remote" else LARGE


async def think(context: Context, state: State, tools: Tools) -> Round:
    """What the model says and asks for next; no calls mean that it has answered.

    Raises `EngineFailed` when it says nothing that can be used.
    """
    row = chat_model(context.bench, ROLE).row
    if calls_tools(row):
        return await _called(context, state, tools)
    first = not state["rounds"]
    if first and (meant := named(tools, state["question"])):
        tools = meant
        if len(meant) == 1 and speaks_for_itself(tool := next(iter(meant.values()))):
            return Round(said="", calls=[Call(id="0-0", tool=tool.name, arguments={})])
    messages = [SystemMessage(f"{prompt('act')}\n{_listed(tools)}"), HumanMessage(_so_far(state, readable(row)))]
    try:
        choice = await compose(context, ROLE, messages, _strict(tools, answers=not first), most_tokens=CHOICE_TOKENS)
    except InvalidInput:
        # not every server can hold a model to any schema of any tool
        choice = await compose(context, ROLE, messages, Choice, most_tokens=CHOICE_TOKENS)
    if not choice.tool:
        return Round(said=choice.answer, calls=[])
    return Round(said="", calls=[Call(id=f"{len(state['rounds'])}-0", tool=choice.tool, arguments=choice.arguments)])


def _listed(tools: Tools) -> str:
    return "\n".join(signature(each) for each in tools.values())


def _so_far(state: State, most: int) -> str:
    lines = [f"Before: {turn.question}\nAnswered: {turn.answer[:most]}" for turn in state["turns"][-1:]]
    lines += [f"Material: {state['material'][: 3 * most]}"] if state["material"] else []
    lines.append(f"Task: {state['question']}")
    for number, each in enumerate(state["rounds"], 1):
        told = {result.call: result for result in each.results}
        for call in each.calls:
            shown = json.dumps(call.arguments, ensure_ascii=False)[:300]
            lines.append(f"Result {number} of {call.tool}({shown}): {told[call.id].text[:most]}")
    return "\n".join(lines)


def _strict(tools: Tools, *, answers: bool) -> type[Choice]:
    """The form of a choice among these tools, each with its own arguments.

    A small model that may answer at once does so without looking, and at length.
    """
    forms: list[Json] = [
        {
            "type": "object",
            "properties": {"tool": {"const": name}, "arguments": schema_of(tool)},
            "required": ["tool", "arguments"],
        }
        for name, tool in tools.items()
    ]
    answer = {
        "type": "object",
        "properties": {"answer": {"type": "string", "maxLength": 400}},
        "required": ["answer"],
    }

    class Chosen(Choice):
        @classmethod
        def model_json_schema(cls, *_: Any, **__: Any) -> Json:
            return {"anyOf": [*forms, answer] if answers or not forms else forms}

    return Chosen


async def _called(context: Context, state: State, tools: Tools) -> Round:
    messages = _conversation(state)
    size = guess_tokens("\n".join(message.text for message in messages)) + guess_tokens(_listed(tools))
    context.ledger.admit(size)
    offered = [
        {
            "type": "function",
            "function": {"name": each.name, "description": each.description, "parameters": schema_of(each)},
        }
        for each in tools.values()
    ]
    model = chat_model(context.bench, ROLE).bind_tools(offered)
    cleaner, said, whole = Cleaner(_quotable(state)), list[str](), AIMessageChunk(content="")
    try:
        async with aclosing(cast("Any", model.astream(messages, max_tokens=ANSWER_TOKENS))) as stream:
            async for chunk in _bounded(stream):
                whole += chunk
                _say(context, cleaner.feed(chunk.text), said)
    except SutradharError:
        raise
    except Exception as error:
        raise EngineFailed(f"The chat model failed: {type(error).__name__}.", remedy="Ask again.") from error
    finally:
        _say(context, cleaner.end(), said)
        context.ledger.enter_message(whole, prompt_guess=size, completion_guess=guess_tokens(whole.text))
    asked = [*whole.tool_calls, *({**each, "args": {}} for each in whole.invalid_tool_calls)]
    number = len(state["rounds"])
    calls = [
        Call(id=f"{number}-{n}", tool=str(each["name"] or ""), arguments=cast("Json", each["args"]))
        for n, each in enumerate(asked[:AT_ONCE])
    ]
    return Round(said="".join(said).strip(), calls=calls)


def _conversation(state: State) -> list[BaseMessage]:
    """The run so far in the form of a tool-calling chat."""
    messages: list[BaseMessage] = [SystemMessage(prompt("call"))]
    for turn in state["turns"]:
        messages += [HumanMessage(turn.question), AIMessage(turn.answer)]
    material = f"\n\nMaterial:\n{state['material']}" if state["material"] else ""
    messages.append(HumanMessage(f"{state['question']}{material}"))
    for each in state["rounds"]:
        calls = [{"id": call.id, "name": call.tool, "args": call.arguments} for call in each.calls]
        messages.append(AIMessage(each.said, tool_calls=cast("Any", calls)))
        messages += [ToolMessage(result.text[:LARGE], tool_call_id=result.call) for result in each.results]
    return messages


def _quotable(state: State) -> str:
    return " ".join([state["question"], *(result.text for each in state["rounds"] for result in each.results)])


def clean(state: State, text: str) -> str:
    """A text without links that no result had."""
    cleaner = Cleaner(_quotable(state))
    return f"{cleaner.feed(text)}{cleaner.end()}".strip()


def _say(context: Context, text: str, said: list[str]) -> None:
    if text:
        said.append(text)
        context.emit(Token(text=text))


async def _bounded(stream: AsyncIterator[AIMessageChunk]) -> AsyncIterator[AIMessageChunk]:
    """The pieces of a turn until it ends or falls silent; raises `EngineFailed` when it runs on."""
    written = 0
    while True:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise EngineFailed(f"The chat model said nothing for {IDLE_SECONDS:g} s.", remedy="Ask again.") from error
        written += max(len(chunk.text), 1) + sum(len(each["args"] or "") for each in chunk.tool_call_chunks)
        if written > ARGUMENTS:
            raise EngineFailed(f"The chat model wrote more than {ARGUMENTS:,} characters in one turn.")
        yield chunk
