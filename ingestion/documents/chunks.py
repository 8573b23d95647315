"""Blocks into passages: as long as a paragraph, never across a heading or a page, ending where a sentence ends."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ingestion.documents.block import Block, union

SHORT = 60
LONG = 180
_TINY = 25
# full stops of Latin, Devanagari (danda, double danda), Urdu and Chinese; Chinese puts no space after them
_SENTENCE_END = re.compile(r"(?<=[.!?।॥۔])[\"'”’)\]]*\s+|(?<=[。！？])\s*|\n\s*\n")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_TOKEN = 24
_WORD = re.compile(rf"\S{{1,{_TOKEN}}}\s*")
_CUE_GAP = 2.0
_CUE_SECONDS = 15.0
_CUE_WORDS = 8


def count_words(text: str) -> int:
    """Words; in a script without spaces about two characters are one."""
    return max(len(text.split()) + len(_UNSPACED.findall(text)) // 2, len(text) // _TOKEN)


def passages(blocks: Iterable[Block]) -> Iterator[Block]:
    """Text blocks of about 60 to 180 words, captions of about a sentence; tables and pictures pass unchanged."""
    pending: Block | None = None
    for block in (part for each in blocks for part in _parts(each)):
        if pending is not None and _belongs(pending, block):
            pending = _join(pending, block)
            continue
        if pending is not None:
            yield pending
        pending = block
    if pending is not None:
        yield pending


def _parts(block: Block) -> Iterator[Block]:
    """The block, or its even parts when it is longer than `LONG` words."""
    if block.kind != "text" or (words := count_words(block.text)) <= LONG:
        yield block
        return
    goal = words / -(-words // LONG)
    part, size = "", 0
    for sentence in _sentences(block.text):
        longer = size + count_words(sentence)
        # the sentence goes where the part comes closer to its goal
        if part and (longer > LONG or (longer > goal and longer - goal > goal - size)):
            yield replace(block, text=part.strip())
            part, longer = "", count_words(sentence)
        part, size = part + sentence, longer
    if part.strip():
        yield replace(block, text=part.strip())


def _sentences(text: str) -> Iterator[str]:
    """Sentences with the space after them; one that is too long is cut between words."""
    start = 0
    for end in [*(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]:
        sentence, start = text[start:end], end
        if count_words(sentence) <= LONG:
            yield sentence
        else:
            yield from _cut(sentence)


def _cut(sentence: str) -> Iterator[str]:
    part, size = "", 0
    for word in _WORD.findall(sentence):
        part, size = part + word, size + count_words(word)
        if size >= LONG:
            yield part
            part, size = "", 0
    yield part


def _belongs(pending: Block, block: Block) -> bool:
    if (pending.kind, pending.page, pending.heading) != (block.kind, block.page, block.heading):
        return False
    if block.kind == "caption":
        return _same_sentence(pending, block)
    if block.kind != "text":
        return False
    before, after = count_words(pending.text), count_words(block.text)
    return before + after <= LONG and (before < SHORT or after < _TINY)


def _same_sentence(pending: Block, cue: Block) -> bool:
    if pending.start is None or pending.end is None or cue.start is None or cue.end is None:
        return False
    ended = (
        pending.text.rstrip("\"'”’)]").endswith((".", "!", "?", "।", "॥")) and count_words(pending.text) >= _CUE_WORDS
    )
    close = 0 <= cue.start - pending.end <= _CUE_GAP and cue.end - pending.start <= _CUE_SECONDS
    return close and not ended


def _join(pending: Block, block: Block) -> Block:
    between = " " if block.kind == "caption" else "\n"
    boxes = [box for box in (pending.box, block.box) if box is not None]
    return replace(pending, text=pending.text + between + block.text, end=block.end, box=union(boxes))
