"""The agents that can be asked, by name, and what the run keeper needs to know of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from langgraph.graph import StateGraph
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from graphs.context import Context
from graphs.events import Answer
from tools.errors import NotFound

MODEL = "sutradhar"
"""The name under which the OpenAI door offers the default agent; `sutradhar/temporal` names one."""


class Ask(BaseModel):
    """What is put to an agent. `now` is the time that «yesterday» is counted from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(min_length=1, max_length=20_000)
    knowledge_bases: list[str] = []
    sources: list[str] = []
    now: AwareDatetime | None = None


@dataclass(frozen=True)
class Agent:
    """One graph.

    `begin` makes its input from what was asked. `note` says of a node's update what a person wants to know.
    `conclude` makes the answer of a finished state, or the partial one of an unfinished state and the prose so far.
    """

    name: str
    title: str
    description: str
    build: Callable[[], StateGraph[Any, Context, Any, Any]]
    begin: Callable[[Ask], dict[str, Any]]
    note: Callable[[str, Mapping[str, Any]], str]
    conclude: Callable[[Mapping[str, Any], str], Answer | None]


def agents() -> dict[str, Agent]:
    """Every agent that is installed, the default one first."""
    from graphs.temporal.graph import TEMPORAL

    return {agent.name: agent for agent in (TEMPORAL,)}


def agent_of(model: str, among: Mapping[str, Agent]) -> Agent:
    """The agent that a model name of the OpenAI door means; raises `NotFound` naming those there are."""
    if model == MODEL:
        return next(iter(among.values()))
    name = model.removeprefix(f"{MODEL}/")
    if name in among:
        return among[name]
    raise NotFound(f"There is no agent {model!r}.", remedy=f"The agents are: {', '.join(among)}.", param="model")
