"""What the video graph knows while it works, and what it answers: statements, each with the moments it stands on.

The timeline itself lies in the media store; the state refers to it.
"""

from typing import Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field

from graphs.content.options import ContentResult
from graphs.events import Answer
from graphs.video.options import Task, VideoOptions
from knowledge.segment import Modality

About = Literal["people", "objects", "actions", "text", "speech", "sound", "camera", "light", "scene"]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Moment(_Data):
    """Where something is seen or heard, seconds; `segment` is the id of what memory keeps, `thumbnail` an address."""

    start: float
    end: float
    modality: Modality
    segment: str = ""
    thumbnail: str | None = None


class Statement(_Data):
    """One thing that is true of the video, and where. `by` says whether a rule or a model put it into words."""

    text: str
    about: About
    moments: list[Moment] = Field(min_length=1)
    by: Literal["rule", "model"] = "rule"


class Scene(_Data):
    """A shot, or shots in a row; `number` from 1. `same_as` is the number of the earlier scene that it shows again."""

    number: int
    start: float
    end: float
    shots: int = 1
    image: str | None = None
    same_as: int | None = None
    statements: list[Statement] = []


class Chapter(_Data):
    """A stretch of the video with a subject of its own; `number` from 1."""

    number: int
    start: float
    end: float
    title: str
    image: str | None = None
    statements: list[Statement] = []


class Section(_Data):
    """What one kind of analysis found."""

    heading: str
    statements: list[Statement]


class Figures(_Data):
    """Counts and shares (0..1) of the whole video."""

    shots: int
    mean_shot_seconds: float | None
    cuts: int
    fades: int
    dissolves: int
    repeated_shots: int
    speech_share: float
    words: int
    languages: list[str]
    speakers: int


class VideoResult(_Data):
    """The result beside the prose. `limits` say what was not looked at, not done or left out, and why."""

    task: Task
    media: str
    name: str
    duration: float
    width: int | None
    height: int | None
    language: str
    title: str
    overview: list[Statement]
    sections: list[Section] = []
    scenes: list[Scene] = []
    chapters: list[Chapter] = []
    figures: Figures
    limits: list[str]
    senses: list[str]
    complete: bool
    content_type: str = ""
    content: ContentResult | None = None

    @property
    def statements(self) -> list[Statement]:
        """Everything that is stated, the overview first."""
        groups = [self.overview, *(each.statements for each in self.scenes)]
        groups += [each.statements for each in self.chapters] + [each.statements for each in self.sections]
        return [each for group in groups for each in group]


class Watched(_Data):
    """What was watched: `timeline` refers to all that is known of it, `unfinished` says why there is not more."""

    media: str
    name: str
    timeline: str
    unfinished: str = ""


class State(TypedDict, total=False):
    """`condensed` are the statements of chapters that a model has shortened, by number; `left` those still to do."""

    question: str
    options: VideoOptions
    task: Task
    sources: list[str]
    knowledge_bases: list[str]
    media: str
    name: str
    watched: Watched
    chapters: list[Chapter]
    condensed: dict[int, list[Statement]]
    left: list[int]
    overview: list[Statement]
    answer: Answer | None
