"""An agent as a tool: from its one declaration come its MCP tool, its HTTP tool and the way other agents ask it."""

from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, create_model

from graphs.catalog import Agent, Ask
from graphs.events import Answer, Failure, Question, RunFinished, Step, Token, Usage
from graphs.runs import RUNS
from tools.bench import Bench
from tools.errors import Conflict, EngineFailed, Forbidden, from_body
from tools.events import ModelEvent, ToolEvent
from tools.toolbox import Tool

DEPTH = 2
"""How deep agents may ask agents that ask agents."""


class Asked(BaseModel):
    """What every agent takes beside its own options; without `thread` a new one begins."""

    model_config = ConfigDict(extra="forbid")

    knowledge_bases: list[str] = Field([], max_length=100)
    media: list[str] = Field([], max_length=100, description="Only these media, by their sha256.")
    thread: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]{1,64}$")


class Told(BaseModel):
    """How a run ended: `status` is `done`, or `partial` with the reason."""

    run: str
    thread: str
    answer: Answer
    status: str
    reason: str = ""
    usage: Usage = Usage()


def asked_model(agent: Agent, question: str) -> type[BaseModel]:
    """The input of an agent whose question is called `question`: the question, its options, and where to look."""
    fields: dict[str, Any] = {question: (str, Field(min_length=1, max_length=100_000))}
    fields |= {name: (field.annotation, field) for name, field in agent.options.model_fields.items()}
    return create_model(f"{agent.name.title()}Asked", __base__=Asked, **fields)


def ask_of(agent: Agent, question: str, given: BaseModel) -> Ask:
    """What was given, as an ask."""
    values = given.model_dump(mode="json", exclude_unset=True)
    options = {name: values[name] for name in agent.options.model_fields if name in values}
    asked = cast("Asked", given)
    return Ask(
        question=getattr(given, question),
        knowledge_bases=asked.knowledge_bases,
        sources=asked.media,
        options=options,
    )


def agent_tool(agent: Agent) -> Tool[Any, Told]:
    """The tool `{name}_agent`; it ends when the run does, and a caller who goes away cancels the run."""
    question = agent.door.asks if agent.door else "question"

    async def ask(input: BaseModel, bench: Bench) -> Told:
        runs = bench.part(RUNS)
        thread = cast("Asked", input).thread
        depth = bench.permit.depth + 1 if bench.permit else 0
        if depth > DEPTH:
            raise Forbidden(f"Agents may ask agents {DEPTH} deep, no deeper.", remedy="Answer without asking another.")
        asked = ask_of(agent, question, input).model_copy(update={"depth": depth})
        run = await runs.start(agent.name, asked, thread=thread, tenant=bench.tenant)
        try:
            return await follow(run, bench)
        finally:
            await runs.cancel(run, tenant=bench.tenant)

    return Tool(
        name=f"{agent.name}_agent",
        title=agent.title,
        description=agent.description,
        effect="read",
        input=asked_model(agent, question),
        output=Told,
        function=ask,
    )


async def follow(run: str, bench: Bench) -> Told:
    """Wait for a run's end, telling the bench's listener of its steps; raises the failure that ended it."""
    runs = bench.part(RUNS)
    answer: Answer | None = None
    failure: Failure | None = None
    async for _, event in runs.stream(run, tenant=bench.tenant):
        match event:
            case ToolEvent() | ModelEvent():
                bench.emit(event)
            case Step(state="finished"):
                bench.progress(note=f"{event.node}: {event.note}" if event.note else event.node)
            case Token():
                bench.progress(data={"token": event.text})
            case Answer():
                answer = event
            case Failure():
                failure = event
            case Question():
                raise Conflict(
                    f"Run {run!r} asks: {event.text}", remedy=f"Ask in a chat, or POST /api/v1/runs/{run}/resume."
                )
            case RunFinished():
                return await _told(run, bench, event, answer, failure)
            case _:
                pass
    raise EngineFailed(f"Run {run!r} ended without saying how.", remedy="Ask again.")


async def _told(run: str, bench: Bench, end: RunFinished, answer: Answer | None, failure: Failure | None) -> Told:
    if end.status == "failed" and failure is not None:
        raise from_body({"error": failure.model_dump()})
    if answer is None:
        raise EngineFailed(f"Run {run!r} ended without an answer: {end.reason or end.status}.", remedy="Ask again.")
    row = await bench.part(RUNS).run(run, tenant=bench.tenant)
    return Told(run=run, thread=row.thread, answer=answer, status=end.status, reason=end.reason, usage=end.usage)
