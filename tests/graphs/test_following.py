"""Follow-ups for the real makers: their last request again, with what is changed."""

from collections.abc import Mapping
from typing import Any

import pytest

from graphs.catalog import Ask, Turn, agents
from graphs.coding.specify import specify
from graphs.coding.state import Options
from graphs.router.handing import ask_for
from graphs.router.rules import choose

CODE = Turn(
    question="Write a Python function `turned(text)` that returns the text backwards.",
    answer="```python\ndef turned(text):\n    return text[::-1]\n```\n3 of 3 tests pass.",
    agent="coding",
)
POST = Turn(question="Write a blog post about the monsoon", answer="# Rain\n\nIt rains in June.", agent="content")


def asked(message: str, last: Turn) -> tuple[str, Ask]:
    every = agents()
    route = choose(message, [last], every)
    assert route is not None
    (part,) = route.parts
    return part.agent, ask_for(every[part.agent], part, Ask(question=message, turns=[last]), [])


@pytest.mark.parametrize(
    ("message", "language"),
    [
        ("now in JavaScript", "javascript"),
        ("in C++ please", "cpp"),
        ("make it handle None", "python"),
        ("in Java", "java"),
    ],
)
def test_code_goes_on_in_the_language_that_is_named(message: str, language: str) -> None:
    agent, ask = asked(message, CODE)
    assert agent == "coding"
    spec = specify(ask.question, Options.model_validate(ask.options))
    assert (spec.mode, spec.language, spec.entry) == ("generate", language, "turned")
    assert message in ask.question
    assert "text[::-1]" in ask.question


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("make it shorter", {"length": "short"}),
        ("इसे छोटा करो", {"length": "short"}),
        ("expand it", {"length": "long"}),
        ("make it more cheerful", {}),
    ],
)
def test_a_text_goes_on_from_what_was_written(message: str, options: Mapping[str, Any]) -> None:
    agent, ask = asked(message, POST)
    assert (agent, ask.options) == ("content", options)
    assert ask.question.startswith("Write a blog post about the monsoon")
    assert ask.material == POST.answer


def test_a_new_request_takes_nothing_over() -> None:
    agent, ask = asked("Write a poem about the sea", POST)
    assert (agent, ask.question, ask.material, ask.options) == ("content", "Write a poem about the sea", "", {})


def test_one_maker_writes_about_what_another_made() -> None:
    agent, ask = asked("Write a blog post about it", CODE)
    assert (agent, ask.question, ask.material) == ("content", "Write a blog post about it", CODE.answer)
    agent, ask = asked("Write a Python function that prints it", POST)
    assert agent == "coding"
    assert POST.answer in ask.question
