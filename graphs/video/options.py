"""What the video agent can be told: the parameters of the four endpoints."""

import json
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from graphs.content.kinds import Size, Style

Task = Literal["analyze", "describe", "summarize", "generate"]
AnalysisType = Literal[
    "comprehensive", "scenes", "objects", "actions", "people", "text", "audio", "narrative", "temporal"
]
OutputFormat = Literal["text", "markdown", "json"]
Detail = Literal["low", "medium", "high"]
Written = Literal[
    "article", "blog", "report", "story", "script", "social_post", "transcript", "subtitles", "study_notes"
]


def spelling(value: Any) -> Any:
    """`Study Notes`, `study-notes` and `blog post` are `study_notes` and `blog`."""
    if not isinstance(value, str):
        return value
    plain = re.sub(r"[\s_-]+", "_", value.strip().lower())
    return {"blog_post": "blog", "blogpost": "blog", "post": "social_post", "notes": "study_notes"}.get(plain, plain)


def _several(value: Any) -> Any:
    """A list, as a JSON list, or as words between commas."""
    if isinstance(value, str):
        if value.lstrip().startswith("["):
            try:
                return json.loads(value)
            except ValueError:
                pass
        value = [value]
    if isinstance(value, list):
        return [piece.strip() for each in value for piece in str(each).split(",") if piece.strip()]
    return value


class Common(BaseModel):
    """`budget` is the seconds of watching for an hour of video; without one everything is watched.

    `language` is the one to answer in; English needs no model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget: float | None = Field(None, gt=0, le=36_000)
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$", description="ISO 639.")] | None = None


class Analysis(Common):
    analysis_type: Annotated[AnalysisType, BeforeValidator(spelling)] = "comprehensive"
    output_format: OutputFormat = "text"


class Description(Common):
    detail_level: Detail = "medium"
    include_objects: bool = True
    include_actions: bool = True


class Summary(Common):
    summary_length: Size = "medium"
    focus_areas: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=100)]], BeforeValidator(_several), Field(max_length=10)
    ] = []


class Content(Common):
    content_type: Annotated[Written | None, BeforeValidator(spelling)] = None
    style: Annotated[Style, BeforeValidator(spelling)] = "professional"
    target_length: Size = "medium"


class VideoOptions(Analysis, Description, Summary, Content):
    """All of them; `task` says which are read. A chat leaves it to be told from the question."""

    task: Task | None = None
