"""What a question says about time."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MediaWindow(_Frozen):
    """A stretch of the medium, in seconds or in fractions of its length.

    None leaves that side open. With `from_end` both sides are offsets from the end, so they are not positive: the last
    half minute is -30..0.
    """

    start: float | None = None
    end: float | None = None
    unit: Literal["seconds", "fraction"] = "seconds"
    from_end: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> "MediaWindow":
        if self.start is not None and self.end is not None and self.end < self.start:
            raise ValueError(f"the window ends at {self.end} before it starts at {self.start}")
        return self

    def seconds(self, duration: float) -> tuple[float, float]:
        """The window in a medium of this length, cut to it."""
        scale = duration if self.unit == "fraction" else 1.0
        base = duration if self.from_end else 0.0
        start = 0.0 if self.start is None else base + self.start * scale
        end = duration if self.end is None else base + self.end * scale
        return min(max(start, 0.0), duration), min(max(end, 0.0), duration)


class Relation(_Frozen):
    """A place in time that is told by something else that happens.

    `anchor` is the question's own words for it; `anchor_end` the second one of `between`. `near` means close to it
    («just before»), `offset` exactly so many seconds from it.
    """

    kind: Literal["before", "after", "during", "until", "between"]
    anchor: str
    anchor_end: str | None = None
    near: bool = False
    offset: Annotated[float, Field(ge=0)] | None = None


class TimeCondition(_Frozen):
    """All that a question says about time, and the question without it.

    `recorded_from`..`recorded_to` is wall clock in the time zone of `now`, the end exclusive. `occurrence` counts from
    1 («the second time»), -1 is the last. `is_when` says that a moment is what is asked for. `rest` is what to search
    for; `matched` are the words that were understood.
    """

    media: MediaWindow | None = None
    recorded_from: AwareDatetime | None = None
    recorded_to: AwareDatetime | None = None
    relation: Relation | None = None
    occurrence: int | None = None
    is_when: bool = False
    rest: str
    matched: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _in_order(self) -> "TimeCondition":
        if self.recorded_from and self.recorded_to and self.recorded_to < self.recorded_from:
            raise ValueError(f"the window ends at {self.recorded_to} before it starts at {self.recorded_from}")
        return self

    @property
    def is_empty(self) -> bool:
        """Whether the question narrows time at all."""
        narrowing = (self.media, self.recorded_from, self.recorded_to, self.relation, self.occurrence)
        return all(each is None for each in narrowing)
