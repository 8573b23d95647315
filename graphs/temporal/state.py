"""What the temporal graph knows while it works: plain data, small enough to be checkpointed at every step."""

import operator
from typing import Annotated, Literal, TypedDict

from pydantic import AwareDatetime, BaseModel, ConfigDict

from graphs.catalog import Turn
from graphs.events import Answer, Citation
from knowledge.moments import TimeCondition
from knowledge.segment import Modality, Segment
from knowledge.store import Where

Kind = Literal["moment", "fact"]


class Plan(BaseModel):
    """What the rules understood of a question.

    `question` stands for itself, `topic` is what to look for without the words that only ask. `kind` is `moment` when
    the answer is a time in the material. `times` are the question's own, `where` is them and more as conditions,
    `scope` is where the caller allows to look at any time. `anchored` says that the moment which the question takes its
    bearings from was found.
    """

    model_config = ConfigDict(frozen=True)

    question: str
    topic: str
    language: str
    kind: Kind
    times: TimeCondition
    where: Where
    scope: Where = Where()
    anchored: bool = False


class Found(BaseModel):
    """A segment that a search found: `rank` from 0 in its list, `name` of its source."""

    model_config = ConfigDict(frozen=True)

    segment: Segment
    name: str
    score: float
    rank: int


class Options(BaseModel):
    """The agent's parameters. Without `temporal_context` no time narrows where it looks: «in 1991» is then a part of
    what is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temporal_context: bool = True


class State(TypedDict, total=False):
    """`fits` are cross-encoder logits by the evidence's number; they are empty where none is installed.

    `timeless` says that what a question says about time is no condition. `lingered` says that the first look at
    what is being ingested was waited for.
    """

    question: str
    timeless: bool
    knowledge_bases: list[str]
    sources: list[str]
    now: AwareDatetime
    turns: list[Turn]
    plan: Plan
    found: Annotated[list[Found], operator.add]
    evidence: list[Citation]
    lingered: bool
    fits: dict[int, float]
    draft: str
    answer: Answer | None


class Search(TypedDict):
    """What one of the parallel searches gets."""

    plan: Plan
    modalities: list[Modality]
