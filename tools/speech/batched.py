"""faster-whisper's batched pipeline, made to keep the words after the last timestamp of a window.

Imported where it is needed: faster-whisper takes a second to import.
"""

from itertools import islice
from typing import Any

from faster_whisper import BatchedInferencePipeline, WhisperModel

from tools.speech import Span

_TICK = 0.02
"""Seconds between two of Whisper's timestamps."""


class WholeWindows(BatchedInferencePipeline):  # type: ignore[misc]
    """One pass over windows of known length, in their order.

    A window whose text ends without a timestamp has been cut in the middle of a sentence. The sequential loop hears
    that sentence again from its beginning; the batched one would drop it, so it gets the window's end for a timestamp.
    """

    def __init__(self, model: WhisperModel, windows: list[Span]) -> None:
        super().__init__(model)
        self._lengths = iter([window.end - window.start for window in windows])

    def generate_segment_batched(self, features: Any, tokenizer: Any, options: Any) -> tuple[Any, list[dict[str, Any]]]:
        encoded, outputs = super().generate_segment_batched(features, tokenizer, options)
        for output, length in zip(outputs, islice(self._lengths, len(outputs)), strict=True):
            output["tokens"] = closed(output["tokens"], tokenizer.timestamp_begin, length)
        return encoded, outputs


def closed(tokens: list[int], first: int, length: float) -> list[int]:
    """Tokens that end in a timestamp; `first` is the token of 0 s, and each further one stands for 20 ms more."""
    if not tokens or tokens[-1] >= first:
        return tokens
    return [*tokens, first + min(1_500, int(length / _TICK))]
