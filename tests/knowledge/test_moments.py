"""Time in questions, against a table of what people say."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.moments import MediaWindow, TimeCondition, parse_time
from tests.knowledge.expressions import EXPRESSIONS, RESTS

NOW = datetime(2026, 11, 25, 15, 30, tzinfo=ZoneInfo("Asia/Kolkata"))


def _plain(condition: TimeCondition) -> dict[str, Any]:
    """What was found, in the table's words."""
    found: dict[str, Any] = {}
    if media := condition.media:
        found["media"] = (media.start, media.end, media.unit, media.from_end)
    if condition.recorded_from or condition.recorded_to:
        bounds = (condition.recorded_from, condition.recorded_to)
        found["wall"] = tuple(f"{bound:%Y-%m-%d %H:%M}" if bound else None for bound in bounds)
    if related := condition.relation:
        found["relation"] = (related.kind, related.anchor, related.anchor_end, related.near, related.offset)
    if condition.occurrence:
        found["occurrence"] = condition.occurrence
    if condition.is_when:
        found["is_when"] = True
    return found


@pytest.mark.parametrize(("question", "expected"), EXPRESSIONS)
def test_expressions(question: str, expected: dict[str, Any]) -> None:
    condition = parse_time(question, now=NOW)
    assert _plain(condition) == expected
    assert bool(condition.matched) == bool(expected)


@pytest.mark.parametrize(("question", "rest"), RESTS)
def test_the_rest_is_what_to_search_for(question: str, rest: str) -> None:
    assert parse_time(question, now=NOW).rest == rest


def test_the_table_is_large() -> None:
    assert len({question for question, _ in EXPRESSIONS}) >= 200


def test_wall_clock_is_in_the_time_zone_of_now() -> None:
    condition = parse_time("what happened yesterday", now=NOW)
    assert condition.recorded_from == datetime(2026, 11, 23, 18, 30, tzinfo=UTC)
    assert condition.recorded_from.utcoffset() == timedelta(hours=5, minutes=30)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        parse_time("yesterday", now=datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("window", "seconds"),
    [
        (MediaWindow(start=10, end=20), (10, 20)),
        (MediaWindow(start=10, end=None), (10, 100)),
        (MediaWindow(start=0.5, end=1, unit="fraction"), (50, 100)),
        (MediaWindow(start=-30, end=0, from_end=True), (70, 100)),
        (MediaWindow(start=None, end=-10, from_end=True), (0, 90)),
        (MediaWindow(start=90, end=180), (90, 100)),
    ],
)
def test_windows_in_a_medium_of_100_seconds(window: MediaWindow, seconds: tuple[float, float]) -> None:
    assert window.seconds(100) == seconds


WORDS = sorted({word for question, _ in EXPRESSIONS for word in question.split()})


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join)))
def test_any_text_is_read_and_windows_are_ordered(question: str) -> None:
    condition = parse_time(question, now=NOW)
    if condition.media:
        first, last = condition.media.seconds(60.0)
        assert 0 <= first <= last <= 60
    if condition.recorded_from and condition.recorded_to:
        assert condition.recorded_from <= condition.recorded_to


@pytest.mark.parametrize("question", ["a " * 5_000, "1" * 5_000, "10 to " * 1_000, "से पहले " * 500, "and the " * 1_000])
def test_long_questions_take_no_time(question: str) -> None:
    started = time.perf_counter()
    parse_time(question, now=NOW)
    assert time.perf_counter() - started < 2
