"""The tokens of many answers, step by step, while transformers generates them in a thread."""

import queue
import threading
from collections.abc import Iterator
from typing import Any

from tools.errors import EngineFailed


def generate(model: Any, inputs: Any, most: list[int], **options: Any) -> Iterator[list[int]]:
    """Each step's token of each answer, at most `most` of them; an answer that has ended goes on with padding.

    A consumer that stops early stops the generation too. Raises `EngineFailed` when the device's memory is used up.
    """
    steps: queue.Queue[list[int] | BaseException | None] = queue.Queue()
    limits = _limits(most)
    thread = threading.Thread(
        target=_run, args=(model, inputs, steps, [limits], {**options, "max_new_tokens": max(most)}), daemon=True
    )
    thread.start()
    try:
        while (step := steps.get()) is not None:
            if isinstance(step, BaseException):
                raise _meaning(step) from step
            yield step
    finally:
        limits.stopped = True
        thread.join()


class Words:
    """An answer's text out of its tokens: each piece as soon as its letters are whole."""

    def __init__(self, tokenizer: Any, ends: set[int], most: int) -> None:
        self._tokenizer, self._ends, self._most = tokenizer, ends, most
        self._tokens, self._said = list[int](), ""
        self._ended = False

    def take(self, token: int) -> str:
        """The piece that this token completes; empty after the answer's end."""
        self._ended = self._ended or token in self._ends or len(self._tokens) >= self._most
        if self._ended:
            return ""
        self._tokens.append(token)
        text: str = self._tokenizer.decode(self._tokens, skip_special_tokens=True)
        # a letter of several bytes is shown when its last byte is there
        if text.endswith("\N{REPLACEMENT CHARACTER}") or not text.startswith(self._said):
            return ""
        piece, self._said = text[len(self._said) :], text
        return piece


def _run(model: Any, inputs: Any, steps: Any, criteria: list[Any], options: dict[str, Any]) -> None:
    import torch

    try:
        with torch.inference_mode():
            model.generate(**inputs, streamer=_streamer(steps), stopping_criteria=criteria, **options)
        steps.put(None)
    except BaseException as error:  # noqa: BLE001 - the edge of a thread: the consumer raises it
        steps.put(error)


def _streamer(steps: Any) -> Any:
    from transformers.generation.streamers import BaseStreamer

    class Streamer(BaseStreamer):  # type: ignore[misc]
        """The first tensor that it is given is the prompt."""

        prompt = True

        def put(self, value: Any) -> None:
            if not self.prompt:
                steps.put(value.reshape(-1).tolist())
            self.prompt = False

        def end(self) -> None:
            pass

    return Streamer()


def _limits(most: list[int]) -> Any:
    import torch
    from transformers import StoppingCriteria

    class Limits(StoppingCriteria):  # type: ignore[misc]
        """Ends each answer at its own length, and all of them when nobody listens any more."""

        stopped = False
        steps = 0

        def __call__(self, ids: Any, scores: Any, **rest: Any) -> Any:
            self.steps += 1
            ended = [self.stopped or self.steps >= each for each in most]
            return torch.tensor(ended, dtype=torch.bool, device=ids.device)

    return Limits()


def _meaning(error: BaseException) -> BaseException:
    if type(error).__name__ == "OutOfMemoryError":
        return EngineFailed(
            f"The device's memory is used up: {str(error)[:200]}",
            remedy="Ask about fewer or smaller images, or lower the row's options `side`, `frames` or `batch`.",
        )
    return error
