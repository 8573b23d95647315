"""Answering about images without a model: for tests, load tests and rehearsals."""

import time
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path

from tools.catalog import Row
from tools.vision import Question


class ScriptedSeer:
    """Says what it was asked, of how many images, and with how many other questions, word by word.

    Options of the row: `answer`, said instead; `seconds` that a call takes before its first word, `pause` before each.
    """

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        self._answer = str(row.options.get("answer", ""))
        self._seconds, self._pause = (float(row.options.get(name, 0)) for name in ("seconds", "pause"))

    def answer(self, questions: list[Question]) -> Iterator[list[str]]:
        time.sleep(self._seconds)
        said = [(self._answer or _told(each, len(questions))).split()[: each.most_tokens] for each in questions]
        for words in zip_longest(*said, fillvalue=""):
            time.sleep(self._pause)
            yield [word and f"{word} " for word in words]


def _told(question: Question, together: int) -> str:
    shapes = ", ".join(f"{image.shape[1]} x {image.shape[0]}" for image in question.images)
    times = f" from {question.times[0]:.1f} to {question.times[-1]:.1f} s" if question.times else ""
    return f"Asked {question.text!r} about {len(question.images)} images ({shapes}){times}, {together} at once."
