"""Time in questions: a deterministic parser for English, Hindi and Hindi in Latin letters. No model is asked.

A question has at most one window in the medium, one window of wall clock and one relation to an event; the recording
lies in the past, so «Tuesday» is the last one that was.
"""

from datetime import datetime

from knowledge.moments.condition import MediaWindow, Relation, TimeCondition
from knowledge.moments.media import media_window
from knowledge.moments.reading import Reading
from knowledge.moments.relations import asks_when, occurrence, offset_relation, relation
from knowledge.moments.wallclock import wall_clock

__all__ = ["MediaWindow", "Relation", "TimeCondition", "parse_time"]

_LONGEST = 2_000


def parse_time(question: str, *, now: datetime, language: str | None = None) -> TimeCondition:
    """What `question` says about time, read at the moment `now`, whose time zone is the user's.

    `language` is not needed: the forms of all known languages are looked for, because people mix them.
    Raises `ValueError` for a `now` without a time zone.
    """
    if now.tzinfo is None:
        raise ValueError(f"{now.isoformat()} has no time zone; give one, such as {now.isoformat()}+05:30")
    reading = Reading(question[:_LONGEST])
    related = offset_relation(reading)
    recorded = wall_clock(reading, now)
    media = media_window(reading)
    which = occurrence(reading)
    when = asks_when(reading)
    related = related or relation(reading)
    return TimeCondition(
        media=media,
        recorded_from=recorded[0],
        recorded_to=recorded[1],
        relation=related,
        occurrence=which,
        is_when=when,
        rest=reading.rest,
        matched=reading.matched,
    )
