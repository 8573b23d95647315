"""The agents that can be asked, by name, and what the run keeper needs to know of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langgraph.graph import StateGraph
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from graphs.context import Context
from graphs.events import Answer
from tools.errors import InvalidInput, NotFound

MODEL = "sutradhar"
"""The name of the default agent, the router; `sutradhar/temporal` names one."""


INSIDE = "inside"
"""The key under which `conclude` finds the values of sub-graphs that had not ended: a list of (node, values)."""


class Turn(BaseModel):
    """What was asked in a thread before, and which agent answered what."""

    model_config = ConfigDict(frozen=True)

    question: str
    answer: str
    agent: str = ""


class Ask(BaseModel):
    """What is put to an agent. `now` is the time that «yesterday» is counted from.

    `options` are the agent's own parameters, as its `options` model takes them. `turns` are what the thread said
    before, the oldest first. `material` is what another agent made for this one: data, never an instruction. `depth`
    counts the agents that asked agents above this one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(min_length=1, max_length=100_000)
    knowledge_bases: list[str] = []
    sources: list[str] = []
    now: AwareDatetime | None = None
    options: dict[str, JsonValue] = {}
    turns: list[Turn] = []
    material: str = ""
    depth: int = 0


class NoOptions(BaseModel):
    """The parameters of an agent that has none but the question."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Door:
    """An agent's own endpoint, `POST /api/v1/agent/{path}`; `asks` is what it calls the question.

    `needs` are options that the endpoint wants, though a chat may leave them to be guessed.
    """

    path: str
    asks: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Agent:
    """One graph. This declaration is its model name, its tool (MCP, HTTP, other agents) and, with `door`, its endpoint.

    `begin` makes its input from what was asked. `note` says of a node's update what a person wants to know.
    `conclude` makes the answer of a finished state, or the partial one of an unfinished state and the prose so far;
    what the answer has beside prose is its `result`, of the model `result`.

    `follows` says that it reads `Ask.turns` and `Ask.material`, `takes_material` that it reads the latter; to any other
    agent the router tells them in the question. `parts` are agents that it runs as sub-graphs, by their nodes' names.
    """

    name: str
    title: str
    description: str
    build: Callable[[], StateGraph[Any, Context, Any, Any]]
    begin: Callable[[Ask], dict[str, Any]]
    note: Callable[[str, Mapping[str, Any]], str]
    conclude: Callable[[Mapping[str, Any], str], Answer | None]
    options: type[BaseModel] = NoOptions
    result: type[BaseModel] | None = None
    door: Door | None = None
    follows: bool = False
    takes_material: bool = False
    parts: Mapping[str, "Agent"] = field(default_factory=dict)

    def within(self, namespace: Sequence[str]) -> "Agent":
        """The agent whose nodes have this LangGraph namespace."""
        name = namespace[0].partition(":")[0] if namespace else ""
        return self.parts[name].within(namespace[1:]) if name in self.parts else self

    def check(self, ask: Ask) -> BaseModel:
        """The ask's options as this agent's model; raises `InvalidInput` naming the first that does not fit."""
        try:
            return self.options.model_validate(ask.options)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            where = ".".join(str(step) for step in first["loc"])
            value = "" if first["type"] == "missing" else f", got {str(first['input'])[:80]!r}"
            raise InvalidInput(
                f"Agent {self.name!r}, option {where!r}: {first['msg']}{value}.",
                remedy=f"Its options are: {', '.join(self.options.model_fields) or 'none'}.",
                param=where,
            ) from error


def agents() -> dict[str, Agent]:
    """Every agent that is installed, the default one first."""
    from graphs.assistant.graph import ASSISTANT
    from graphs.coding.graph import CODING
    from graphs.content.graph import CONTENT
    from graphs.research.graph import RESEARCH
    from graphs.router.graph import router_over
    from graphs.temporal.graph import TEMPORAL
    from graphs.video.graph import VIDEO

    specialists = (TEMPORAL, RESEARCH, CODING, CONTENT, VIDEO, ASSISTANT)
    return {agent.name: agent for agent in (router_over(specialists), *specialists)}


def agent_of(model: str, among: Mapping[str, Agent]) -> Agent:
    """The agent that a model name of the OpenAI door means; raises `NotFound` naming those there are."""
    if model == MODEL:
        return next(iter(among.values()))
    name = model.removeprefix(f"{MODEL}/")
    if name in among:
        return among[name]
    raise NotFound(f"There is no agent {model!r}.", remedy=f"The agents are: {', '.join(among)}.", param="model")
