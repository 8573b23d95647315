"""The measure of word errors itself."""

import pytest

from tests.evals.words import word_errors


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("in the fifteenth century", "In the 15th century.", 0.0),
        ("about fourteen fifty-five", "about 1455", 0.0),
        ("the forty two line bible", "the 42-line Bible", 0.0),
        ("two thousand three people", "2,003 people", 0.25),
        ("a b c d", "a b d", 0.25),
        ("yes", "no no", 2.0),
    ],
)
def test_numbers_count_as_they_are_said(said: str, heard: str, errors: float) -> None:
    assert word_errors(said, heard) == pytest.approx(errors)
