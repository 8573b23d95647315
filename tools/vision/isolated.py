"""Vision-language models that bring their own code, under an interpreter with the versions that it was written for.

This file, and what it imports, runs in the row's environment: it needs only the standard library and the row's pins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import InvalidInput, NotInstalled
from tools.vision import Question
from tools.vision.generating import Words, generate
from tools.vision.isolated_families import CogVlm, Family, Place, QwenVl, VideoChatGpt
from tools.vision.isolated_videochat import VideoChat2

if TYPE_CHECKING:
    from tools.catalog import Row

FAMILIES: dict[str, Callable[[Place], Family]] = {
    "cogvlm": CogVlm,
    "qwen-vl": QwenVl,
    "video-chatgpt": VideoChatGpt,
    "videochat2": VideoChat2,
}


class Isolated:
    """The row's files are a repository of the hub with its code, at one commit; other code is never fetched.

    Options of the row: `family`, which says how the code is called; `dtype` (bfloat16 on a GPU, float32 on a
    processor). Questions are answered one after another: this code knows no batches. Answers are the most probable.
    """

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        family = str(row.options.get("family", ""))
        if family not in FAMILIES:
            raise NotInstalled(
                f"{row.title} is of the family {family!r}; known are {', '.join(FAMILIES)}.",
                remedy="Add the family to tools/vision/isolated.py.",
            )
        if not row.trust_remote_code:
            raise NotInstalled(
                f"{row.title} needs code that came with its weights.", remedy="Set `trust_remote_code` in its row."
            )
        dtype = str(row.options.get("dtype", "float32" if device == "cpu" else "bfloat16"))
        self._title = row.title
        self._family = FAMILIES[family](Place(_root(files), device.replace("gpu", "cuda"), dtype))

    def answer(self, questions: list[Question]) -> Iterator[list[str]]:
        """One question after another."""
        for place, question in enumerate(questions):
            for piece in self._pieces(question):
                yield [piece if each == place else "" for each in range(len(questions))]

    def _pieces(self, question: Question) -> Iterator[str]:
        most = self._family.most_images
        if question.times is None and len(question.images) > most:
            raise InvalidInput(
                f"{self._title} sees {'one image' if most == 1 else f'{most} images'} at a time, "
                f"not {len(question.images)}.",
                remedy="Ask about fewer.",
                param="images",
            )
        with self._family.asked(question) as asked:
            words = Words(asked.tokenizer, asked.ends, question.most_tokens)
            for (token,) in generate(asked, asked.inputs, [question.most_tokens], do_sample=False):
                if piece := words.take(token):
                    yield piece


def _root(files: Mapping[str, Any]) -> Path:
    """The folder that the names are relative to."""
    name, path = next(iter(files.items()))
    root: Path = Path(path).parents[name.count("/")]
    return root
