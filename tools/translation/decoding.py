"""What all translation engines on CTranslate2 share: beam search in batches, and texts cut to what a model can read."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.catalog import Row

LONGEST = 160
"""Tokens of one text; the models were trained on sentences, and lose words of much longer ones."""
_MOST = 256
_BATCH = 2048
_CLAUSE = re.compile(r"(?<=[,;:،؛、，；])\s+")

Tokenize = Callable[[str], list[str]]


@dataclass(frozen=True)
class Cut:
    """Tokens of one part of a text; `text` is the index of the text it belongs to."""

    text: int
    tokens: list[str]


class Decoder:
    """A CTranslate2 model. Options of the row: `compute_type`, `cpu_threads` (default all), `beam` (5)."""

    def __init__(self, row: Row, model: Path, device: str) -> None:
        from ctranslate2 import Translator

        kind, _, index = device.partition(":")
        self._beam = int(row.options.get("beam", 5))
        self._translator = Translator(
            str(model.parent),
            device="cuda" if kind == "gpu" else "cpu",
            device_index=int(index or 0),
            compute_type=str(row.options.get("compute_type", "int8" if kind == "cpu" else "int8_float16")),
            intra_threads=int(row.options.get("cpu_threads", os.cpu_count() or 1)),
        )

    def decode(self, sentences: list[list[str]], prefix: list[str] | None = None) -> list[list[str]]:
        """The best tokens for each sentence, without `prefix`, with which each of them begins."""
        results = self._translator.translate_batch(
            sentences,
            target_prefix=[prefix] * len(sentences) if prefix else None,
            beam_size=self._beam,
            max_batch_size=_BATCH,
            batch_type="tokens",
            max_input_length=0,
            max_decoding_length=_MOST,
        )
        skipped = len(prefix or [])
        return [list(result.hypotheses[0][skipped:]) for result in results]


def cut(texts: list[str], tokenize: Tokenize, longest: int = LONGEST) -> list[Cut]:
    """All texts as tokens, those that are too long in parts: between clauses, then words, then anywhere."""
    return [
        Cut(number, tokens) for number, text in enumerate(texts) for tokens in _fitting(text.strip(), tokenize, longest)
    ]


def joined(count: int, cuts: list[Cut], parts: list[str]) -> list[str]:
    """The translated parts as texts again."""
    texts: list[list[str]] = [[] for _ in range(count)]
    for each, part in zip(cuts, parts, strict=True):
        texts[each.text].append(part.strip())
    return [" ".join(part for part in parts if part) for parts in texts]


def _fitting(text: str, tokenize: Tokenize, longest: int) -> list[list[str]]:
    tokens = tokenize(text)
    if not tokens:
        return []
    if len(tokens) <= longest:
        return [tokens]
    for pattern in (_CLAUSE, re.compile(r"\s+")):
        pieces = pattern.split(text)
        if len(pieces) > 1:
            middle = _middle(pieces)
            halves = (" ".join(pieces[:middle]), " ".join(pieces[middle:]))
            return [part for half in halves for part in _fitting(half, tokenize, longest)]
    return [tokens[start : start + longest] for start in range(0, len(tokens), longest)]


def _middle(pieces: list[str]) -> int:
    """How many pieces make about half of the text; at least one, never all."""
    half, length = sum(map(len, pieces)) / 2, 0
    for number, piece in enumerate(pieces[:-1], 1):
        length += len(piece)
        if length >= half:
            return number
    return len(pieces) - 1
