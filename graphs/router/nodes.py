"""The router's steps. A plain question costs no model call: the rules know it."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END
from langgraph.runtime import Runtime
from langgraph.types import Command, Overwrite, Send

from graphs.catalog import Agent, Ask
from graphs.context import Context
from graphs.events import AgentEvent, Answer, Cited, Token
from graphs.router.combine import combined
from graphs.router.handing import ask_for
from graphs.router.rules import choose, default
from graphs.router.state import Part, Route, Said, State, Task
from graphs.router.words import prompt
from graphs.speak import speak
from tools.errors import BudgetSpent, SutradharError

Node = Callable[..., Awaitable[Any]]

ASKED_CHARACTERS = 400
"""As much of a message as a model is shown to choose by."""


def router_of(agents: Mapping[str, Agent]) -> Node:
    """The node that chooses among these agents."""

    async def route(state: State, runtime: Runtime[Context]) -> Command[str]:
        ask, servers = state["ask"], runtime.context.bench.settings.mcp
        chosen = choose(ask.question, ask.turns, agents, servers)
        if chosen is None:
            chosen = await _asked(ask.question, agents, runtime.context)
        return Command(update={"route": chosen, "said": Overwrite([])}, goto=due(agents, ask, chosen, []))

    return route


def runner_of(agent: Agent) -> Node:
    """The node that runs an agent as a sub-graph, with checkpoints of its own under the run's."""
    graph = agent.build().compile(name=agent.name)

    async def run(task: Task, runtime: Runtime[Context]) -> State:
        context, ledger = _for(agent, runtime.context), runtime.context.ledger
        if not task["alone"]:
            context = replace(context, emit=_quiet(context.emit))
        limits: RunnableConfig = {"recursion_limit": max(ledger.budget.steps - ledger.steps, 1)}
        try:
            values = await graph.ainvoke(agent.begin(task["ask"]), limits, context=context)
        except BudgetSpent:
            raise
        except SutradharError as error:
            if task["alone"]:
                raise
            failed = Answer(text=str(error), answered=False, citations=[], agent=agent.name)
            return {"said": [Said(number=task["number"], answer=failed, failure=error.message)]}
        answer = agent.conclude(values, "") or Answer(text="", answered=False, citations=[])
        return {"said": [Said(number=task["number"], answer=answer.model_copy(update={"agent": agent.name}))]}

    return run


def combiner_of(agents: Mapping[str, Agent]) -> Node:
    """The node that sends out what waited for the parts that have ended, and in the end answers with all of them."""

    async def combine(state: State, runtime: Runtime[Context]) -> Command[str]:
        parts, said = state["route"].parts, state["said"]
        if len(said) < len(parts):
            return Command(goto=due(agents, state["ask"], state["route"], said))
        answer = combined(state["route"], said)
        if len(parts) > 1:
            for citation in answer.citations:
                runtime.context.emit(Cited(citation=citation))
        return Command(update={"answer": answer}, goto=END)

    return combine


def due(agents: Mapping[str, Agent], ask: Ask, route: Route, said: Sequence[Said]) -> list[Send]:
    """The parts that can begin now, side by side."""
    ended = {each.number for each in said}
    return [
        Send(
            part.agent,
            Task(ask=ask_for(agents[part.agent], part, ask, said), number=number, alone=len(route.parts) == 1),
        )
        for number, part in enumerate(route.parts)
        if number not in ended and (part.after is None or part.after in ended)
    ]


async def _asked(message: str, agents: Mapping[str, Agent], context: Context) -> Route:
    """The choice of a model, in one word; whatever else it says means the default."""
    options = "\n".join(f"{agent.name}: {agent.description}" for agent in agents.values())
    messages = [SystemMessage(f"{prompt('choose')}\n{options}"), HumanMessage(message[:ASKED_CHARACTERS])]
    try:
        said = await speak(context, "judge", messages, most_tokens=4)
    except BudgetSpent:
        raise
    except SutradharError:
        said = ""
    word = re.sub(r"\W.*", "", said.strip().lower(), flags=re.DOTALL)
    if word in agents:
        return Route(parts=(Part(agent=word, question=message, why="a model chose it"),), how="model")
    return Route(
        parts=(Part(agent=default(agents), question=message, why="nothing told what else is meant"),), how="default"
    )


def _for(agent: Agent, context: Context) -> Context:
    """The context of a part: its tools are those that this agent may use."""
    permit = context.bench.permit
    return replace(context, bench=replace(context.bench, permit=permit.of(agent.name))) if permit else context


def _quiet(emit: Callable[[AgentEvent], None]) -> Callable[[AgentEvent], None]:
    """Where several speak, their words would mix and their numbers clash: the answer says both at the end."""

    def pass_on(event: AgentEvent) -> None:
        if not isinstance(event, Token | Cited):
            emit(event)

    return pass_on
