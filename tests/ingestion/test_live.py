"""Conditions in words, and when they are told: once for each event, whatever flickers."""

from collections.abc import Sequence

import pytest

from ingestion.live.alerts import Trigger
from ingestion.live.conditions import Asked, Count, Crossing, Cut, Light, Motion, Spoken, Test, Written, read
from ingestion.live.observed import Observed
from tools.errors import InvalidInput
from tools.looking import SeenObject, SeenText

BOX = (0.0, 0.0, 0.5, 0.5)
PERSON = frozenset({"person"})


@pytest.mark.parametrize(
    ("words", "test", "seconds"),
    [
        ("a person enters", Crossing(PERSON, arrives=True), 0),
        ("someone leaves the room", Crossing(PERSON, arrives=False), 0),
        ("more than 3 people", Count(PERSON, 4), 0),
        ("fewer than two people", Count(PERSON, 0, 1), 0),
        ("nobody is there for 5 minutes", Count(PERSON, 0, 0), 300),
        ("a dog", Count(frozenset({"dog"}), 1), 0),
        ("Alert me if at least two knives are visible.", Count(frozenset({"knife"}), 2), 0),
        ("the text STOP appears", Written("STOP"), 0),
        ("the sign says «NO ENTRY»", Written("NO ENTRY"), 0),
        ("it gets dark", Light(dark=True), 0),
        ("no motion for 10 seconds", Motion(moving=False), 10),
        ("nothing moves for a minute", Motion(moving=False), 60),
        ("somebody says fire", Spoken("fire"), 0),
        ("the scene changes", Cut(), 0),
        # of these no part may be taken for the whole
        ("a person with a red hat", Asked("a person with a red hat"), 0),
        ("a man falls", Asked("a man falls"), 0),
        ("a dog without a leash enters", Asked("a dog without a leash enters"), 0),
        ("two people shake hands", Asked("two people shake hands"), 0),
    ],
)
def test_words_are_understood_whole_or_not_at_all(words: str, test: Test, seconds: float) -> None:
    found = read(words)
    assert (found.test, found.seconds, found.words) == (test, seconds, words)


@pytest.mark.parametrize("words", ["", "  ", "x" * 201])
def test_what_is_no_condition_is_refused(words: str) -> None:
    with pytest.raises(InvalidInput):
        read(words)


def looks(
    words: str,
    *,
    people: Sequence[int] = (),
    motion: Sequence[float] = (),
    light: Sequence[float] = (),
    text: Sequence[str] = (),
    step: float = 0.5,
) -> list[float]:
    """The times at which a condition is told, with one look each half second."""
    trigger, fired = Trigger(read(words)), list[float]()
    for number in range(max(map(len, (people, motion, light, text)))):
        objects = [SeenObject(label="person", box=BOX, confidence=0.9)] * (people[number] if people else 0)
        lines = [SeenText(text=text[number], box=BOX, confidence=0.9)] if text and text[number] else []
        seen = Observed(
            at=number * step,
            objects=objects,
            lines=lines,
            brightness=light[number] if light else 0.5,
            motion=motion[number] if motion else 0.0,
            looked=["objects", "faces", "text"],
        )
        if (one := trigger.see(seen)) is not None:
            fired.append(one.at)
    return fired


def test_one_alert_for_one_event_though_the_detector_flickers() -> None:
    assert looks("a person", people=[0, 1, 1, 0, 1, 1, 0, 1, 1]) == [1.0]
    # gone for more than two seconds: the next one is another event
    assert looks("a person", people=[1, 1, 0, 0, 0, 0, 0, 0, 1, 1]) == [0.5, 4.5]
    # one look is a mistake of the detector
    assert looks("a person", people=[0, 1, 0, 0, 1, 0]) == []


def test_who_is_there_already_does_not_enter() -> None:
    assert looks("a person enters", people=[1, 1, 1, 2, 2, 2]) == [2.0]
    assert looks("a person enters", people=[0, 1, 1, 1]) == []
    assert looks("a person enters", people=[0, 0, 1, 1, 0, 1, 1]) == [1.5]
    assert looks("a person leaves", people=[1, 1, 0, 1, 0, 0, 0, 0, 0, 0]) == [4.0]


def test_how_long_it_must_last() -> None:
    still = [0.1, 0.1, *[0.0] * 24, 0.1, *[0.0] * 24]
    assert looks("no motion for 10 seconds", motion=still) == [11.0, 23.5]
    # between the two bounds nothing changes
    assert looks("no motion for 3 seconds", motion=[0.0, 0.003, 0.0, 0.003, 0.0, 0.003, 0.0]) == [3.0]
    assert looks("a person for 2 seconds", people=[1, 1, 0, 1, 1, 1]) == [2.0]


def test_it_gets_dark_only_where_it_was_not() -> None:
    assert looks("it gets dark", light=[0.05] * 8) == []
    assert looks("it gets dark", light=[0.5, 0.5, 0.05, 0.05, 0.15, 0.05]) == [1.5]
    assert looks("it is dark", light=[0.05] * 3) == [0.5]


def test_text_is_found_in_whole_words() -> None:
    assert looks("the text STOP appears", text=["", "Stop here", "Stop here"]) == [0.5]
    assert looks("the text STOP appears", text=["", "STOPWATCH"]) == []
    # a reader's slip in a long word
    assert looks("the text EMERGENCY EXIT appears", text=["", "EMERGENOY EXIT"]) == [0.5]


def test_words_are_heard() -> None:
    trigger = Trigger(read("somebody says fire"))
    assert trigger.hear("There is no firefighter.", 1.0, 2.0) is None
    fired = trigger.hear("Fire! Run!", 3.0, 4.0)
    assert fired is not None
    assert (fired.since, fired.at) == (3.0, 4.0)
