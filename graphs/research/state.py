"""What the research graph knows while it works. Texts of sources lie in the media store; the state refers to them."""

import operator
from typing import Annotated, Literal, TypedDict

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from graphs.events import Answer, Artefact
from knowledge.segment import Modality

Depth = Literal["low", "medium", "high"]
Place = Literal["given", "memory", "web", "papers", "encyclopaedia"]
Direction = Literal["rising", "falling", "mixed", "steady"]
Format = Literal["markdown", "html", "pdf"]
Address = Annotated[str, Field(min_length=8, max_length=2_048, pattern=r"^https?://")]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Options(_Data):
    """The parameters of a research."""

    depth: Depth = Field("medium", description="How many sub-questions are asked, and how much of a source is quoted.")
    sources: int = Field(5, ge=1, le=100, description="How many sources are read.")
    urls: list[Address] = Field([], max_length=50, description="Pages to read in any case.")
    formats: list[Format] = Field(["markdown"], min_length=1, max_length=3)
    web: bool = Field(True, description="Search the web, papers and the encyclopaedia, not only what was ingested.")


class Plan(_Data):
    """`questions` are what is searched for, the topic itself first; `language` is the topic's."""

    topic: str
    questions: tuple[str, ...]
    language: str
    knowledge_bases: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


class Lead(_Data):
    """Something to read: `key` is its address without what only tracks readers, or the sha256 of a remembered source.

    `rank` counts from 0 in the results for the question of that index.
    """

    place: Place
    key: str
    title: str
    question: int
    rank: int
    published: str = ""
    knowledge_base: str = ""
    modality: Modality = "page"


class Passage(_Data):
    """A piece of a source's text and its place: seconds, or a page counted from 1."""

    text: str
    modality: Modality = "page"
    start: float | None = None
    end: float | None = None
    page: int | None = None
    segment: str = ""


class Source(_Data):
    """Something that was read. `passages` refers to its text in the media store, `media` to its bytes.

    `published` is an ISO date or empty, `accessed` when it was fetched; `sketch` are the smallest hashes of its word
    groups, by which copies are known. `same_as` is the source that it is a copy of.
    """

    n: int
    place: Place
    key: str
    name: str
    url: str | None = None
    media: str = ""
    passages: str = ""
    site: str = ""
    author: str = ""
    published: str = ""
    accessed: AwareDatetime | None = None
    sketch: tuple[int, ...] = ()
    same_as: int | None = None


class Missed(_Data):
    """Something that should have been read or done and was not, and why."""

    what: str
    reason: str


class Claim(_Data):
    """A sentence of a source in its own words, of the passage of that index.

    `about` says what the sentence speaks of where it begins with a pronoun. The place is that of the passage.
    """

    id: int
    source: int
    question: int
    quote: str
    passage: int
    fit: float
    about: str = ""
    modality: Modality = "page"
    start: float | None = None
    end: float | None = None
    page: int | None = None
    segment: str = ""


class Finding(_Data):
    """Claims that say the same, the best first. `sources` counts independent ones: copies count once."""

    claims: tuple[int, ...]
    question: int
    sources: int


class Conflict(_Data):
    """Two claims that cannot both hold. `newer` is the claim of the later source where both are dated."""

    one: int
    other: int
    reason: str
    newer: int | None = None
    judged_by: Literal["rule", "model"] = "rule"


class Point(_Data):
    """`value` in the trend's unit, `text` as the source writes it."""

    year: int
    value: float
    text: str
    claim: int


class Trend(_Data):
    """At least three dated figures of one thing, the earliest first."""

    what: str
    unit: str
    points: tuple[Point, ...]
    direction: Direction


class Reference(_Data):
    """What the report cites. `place` is where in the source: a time or a page; empty for a web page."""

    n: int
    source: str
    place: str = ""
    url: str | None = None
    published: str = ""
    accessed: str = ""
    copies: tuple[str, ...] = ()


class Evidence(_Data):
    """A quotation and the number of its reference."""

    quote: str
    reference: int
    question: int
    sources: int


class Disagreement(_Data):
    one: Evidence
    other: Evidence
    reason: str
    newer: int | None = None


class Research(_Data):
    """The result beside the prose: what was asked, quoted and compared, and what is missing."""

    topic: str
    questions: list[str]
    summary: str
    evidence: list[Evidence]
    disagreements: list[Disagreement]
    trends: list[Trend]
    references: list[Reference]
    open_questions: list[str]
    missing: list[str]
    read: int
    complete: bool


class State(TypedDict, total=False):
    """`spent` is why a budget ended the work early; the report is written even so."""

    topic: str
    options: Options
    knowledge_bases: list[str]
    within: list[str]
    material: str
    now: AwareDatetime
    plan: Plan
    leads: Annotated[list[Lead], operator.add]
    chosen: list[Lead]
    waves: int
    read: Annotated[list[Source], operator.add]
    missed: Annotated[list[Missed], operator.add]
    sources: list[Source]
    claims: list[Claim]
    findings: list[Finding]
    conflicts: list[Conflict]
    trends: list[Trend]
    summary: str
    spent: str
    report: str
    artefacts: list[Artefact]
    answer: Answer | None


class Search(TypedDict):
    """What one of the parallel searches gets."""

    plan: Plan
    limit: int


class Lane(TypedDict):
    """What one of the readers gets: leads and the number of the first."""

    plan: Plan
    leads: list[tuple[int, Lead]]
