"""What the content agent can be told, and what it tells beside the piece."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from graphs.content.kinds import ContentType, Size, Style
from tools.writing.measure import Measures

Format = Literal["markdown", "html", "docx", "pdf"]


def _spelling(value: Any) -> Any:
    """`Blog Post`, `blog-post` and `blogpost` are `blog_post`."""
    if not isinstance(value, str):
        return value
    plain = re.sub(r"[\s_-]+", "_", value.strip().lower())
    return {"blogpost": "blog_post", "blog": "blog_post", "socialpost": "social_post", "screenplay": "script"}.get(
        plain, plain
    )


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class ContentOptions(BaseModel):
    """`content_type` is told from the topic when absent, `language` too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content_type: Annotated[ContentType | None, BeforeValidator(_spelling)] = None
    length: Size | Annotated[int, Field(ge=20, le=3_000, description="Words.")] = "medium"
    style: Annotated[Style, BeforeValidator(_spelling)] = "professional"
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$", description="ISO 639.")] | None = None
    keywords: list[Annotated[str, Field(min_length=1, max_length=60)]] = Field([], max_length=10)
    audience: str = Field("", max_length=200)
    output: Annotated[list[Format], BeforeValidator(_several), Field(min_length=1, max_length=4)] = ["markdown"]


class Grounding(BaseModel):
    """`cited` sentences stand on the evidence that they name, checked by rule; `uncited` ones say nothing that can be
    checked; `dropped` ones were taken out because their evidence did not say so. Without sources all is uncited."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    grounded: bool
    cited: int = 0
    uncited: int = 0
    dropped: int = 0
    note: str = ""


class ContentResult(BaseModel):
    """`draft` are the measures of what the model wrote first, `final` of the piece. `problems` are what its kind asks
    for and the piece has not; `length_met` is within 15 % of `target_words`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content_type: ContentType
    style: Style
    language: str
    title: str
    description: str
    slug: str
    keywords: list[str]
    target_words: int
    words: int
    length_met: bool
    problems: list[str]
    grounding: Grounding
    draft: Measures | None
    final: Measures | None
