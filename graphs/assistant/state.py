"""What the assistant knows while it works."""

from typing import Any, TypedDict

from pydantic import BaseModel, ConfigDict, JsonValue

from graphs.catalog import Turn
from graphs.events import Answer


class Call(BaseModel):
    """A tool call that the model asked for; `id` tells it from the others of its run."""

    model_config = ConfigDict(frozen=True)

    id: str
    tool: str
    arguments: dict[str, JsonValue]


class Result(BaseModel):
    """What came of a call, as the model reads it."""

    model_config = ConfigDict(frozen=True)

    call: str
    ok: bool
    text: str


class Round(BaseModel):
    """What the model said and asked for at once, and what came of it."""

    model_config = ConfigDict(frozen=True)

    said: str
    calls: list[Call]
    results: list[Result] = []


class Done(BaseModel):
    """One call in the assistant's result."""

    tool: str
    arguments: dict[str, JsonValue]
    ok: bool
    text: str


class Assisted(BaseModel):
    """What was called for the answer, in order."""

    calls: list[Done]


class State(TypedDict, total=False):
    question: str
    material: str
    turns: list[Turn]
    offered: list[str]
    missing: list[str]
    rounds: list[Round]
    answer: Answer | None


Json = dict[str, Any]
