"""What the router knows while it works."""

import operator
from typing import Annotated, Literal, TypedDict

from pydantic import BaseModel, ConfigDict, JsonValue

from graphs.catalog import Ask
from graphs.events import Answer, Citation

How = Literal["rule", "model", "default"]


class Part(BaseModel):
    """What one agent is asked. `after` is the number of the part whose answer it builds on; `recalls` says that it
    builds on what the thread said last, `continues` that it changes what this agent answered last."""

    model_config = ConfigDict(frozen=True)

    agent: str
    question: str
    why: str
    after: int | None = None
    recalls: bool = False
    continues: bool = False


class Route(BaseModel):
    """The parts of a message, in its order, and what chose them."""

    model_config = ConfigDict(frozen=True)

    parts: tuple[Part, ...]
    how: How = "rule"


class Said(BaseModel):
    """What an agent answered to a part; `failure` where it could not."""

    model_config = ConfigDict(frozen=True)

    number: int
    answer: Answer
    failure: str = ""


class Answered(BaseModel):
    """What one agent answered to its part of a message."""

    agent: str
    question: str
    text: str
    answered: bool
    citations: list[Citation] = []
    result: dict[str, JsonValue] | None = None
    failure: str = ""


class Combined(BaseModel):
    """The router's result where several agents answered."""

    parts: list[Answered]


class State(TypedDict, total=False):
    ask: Ask
    route: Route
    said: Annotated[list[Said], operator.add]
    answer: Answer | None


class Task(TypedDict):
    """What the node of an agent gets; `alone` says that no other agent speaks in this run."""

    ask: Ask
    number: int
    alone: bool
