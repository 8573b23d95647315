"""What the content graph knows while it works: plain data, small enough to be checkpointed at every step."""

from typing import Annotated, TypedDict

from pydantic import BaseModel, ConfigDict

from graphs.content.kinds import ContentType, Style
from graphs.content.options import ContentOptions
from graphs.events import Answer, Citation


class Brief(BaseModel):
    """What is to be written. `words` is the length to meet, `planned` the less that the evidence carries,
    `characters` the most that a post may have."""

    model_config = ConfigDict(frozen=True)

    topic: str
    kind: ContentType
    style: Style
    language: str
    words: int
    planned: int
    characters: int | None = None
    keywords: list[str] = []
    audience: str = ""
    grounded: bool = False


class Part(BaseModel):
    """A section, scene or stanza group to be written: `number` from 0, `words` its share of the length."""

    model_config = ConfigDict(frozen=True)

    number: int
    heading: str
    words: int
    evidence: list[int] = []


class Outline(BaseModel):
    model_config = ConfigDict(frozen=True)

    title: str
    parts: list[Part]


class Written(BaseModel):
    """A part's text: as the model wrote it, as it stands now, and how often more was asked for."""

    model_config = ConfigDict(frozen=True)

    draft: str
    text: str
    dropped: int = 0


def merged(old: dict[int, Written], new: dict[int, Written]) -> dict[int, Written]:
    return {**old, **new}


class State(TypedDict, total=False):
    topic: str
    material: str
    options: ContentOptions
    knowledge_bases: list[str]
    sources: list[str]
    brief: Brief
    evidence: list[Citation]
    outline: Outline
    written: Annotated[dict[int, Written], merged]
    extended: int
    title: str
    description: str
    answer: Answer | None


class Writing(TypedDict):
    """What the writer of one part gets; `lanes` writers work side by side, each on every so-manyth part."""

    brief: Brief
    outline: Outline
    part: Part
    evidence: list[Citation]
    lanes: int
