"""Found segments as numbered evidence: fused, without repetitions, as much as the model can read."""

from collections.abc import Sequence

from graphs.context import guess_tokens
from graphs.events import Citation
from graphs.temporal.phrases import span
from graphs.temporal.state import Found
from graphs.temporal.words import content, coverage, sentences
from knowledge.segment import Modality

SHOWN = 8
"""Moments in the evidence event."""

_ORDER: dict[Modality, int] = {"speech": 0, "caption": 0, "page": 0, "table": 0, "screen_text": 1}


def fuse(found: Sequence[Found], wanted: Sequence[str], hinted: Sequence[Modality], limit: int = SHOWN) -> list[Found]:
    """The best of several searches, whose scores are not comparable: by rank, by the words that match, by kind."""

    def worth(each: Found) -> tuple[float, int]:
        hint = 0.3 if each.segment.modality in hinted else 0.0
        matched = coverage(wanted, f"{each.segment.text} {each.segment.heading or ''}")
        return -(1 / (2 + each.rank) + matched + hint), _ORDER.get(each.segment.modality, 2)

    chosen: dict[tuple[str, str, str], Found] = {}
    for each in sorted(found, key=worth):
        key = (each.segment.source, each.segment.modality, " ".join(content(each.segment.text)) or each.segment.text)
        chosen.setdefault(key, each)
    return list(chosen.values())[:limit]


def cite(found: Sequence[Found]) -> list[Citation]:
    """Evidence numbered from 1."""
    return [
        Citation(
            n=n,
            source=each.name,
            media=each.segment.source,
            modality=each.segment.modality,
            text=each.segment.text,
            start=each.segment.start,
            end=each.segment.end,
            page=each.segment.page,
            box=each.segment.box,
            thumbnail=f"/api/v1/media/{each.segment.image}" if each.segment.image else None,
            score=each.score,
            segment=str(each.segment.id),
        )
        for n, each in enumerate(found, 1)
    ]


def place(citation: Citation) -> str:
    """Where it is, as people write it: `talk.mp4 00:07-00:12, speech` or `report.pdf page 3`."""
    if citation.start is not None:
        return f"{citation.source} {span(citation.start, citation.end)}, {citation.modality.replace('_', ' ')}"
    return f"{citation.source} page {citation.page}" if citation.page else citation.source


def excerpt(text: str, wanted: Sequence[str], tokens: int) -> str:
    """At most so many tokens of a text: the run of whole sentences that matches best, or its beginning."""
    if guess_tokens(text) <= tokens:
        return text
    pieces = sentences(text)
    best, best_worth = "", -1.0
    for first in range(len(pieces)):
        run = ""
        for piece in pieces[first:]:
            longer = f"{run} {piece}".strip()
            if guess_tokens(longer) > tokens:
                break
            run = longer
        worth = coverage(wanted, run) if run else -1.0
        if worth > best_worth:
            best, best_worth = run, worth
    # 3 characters a token are always within the budget that guess_tokens measures by
    return best or text[: tokens * 3].rsplit(" ", 1)[0]


def readable(evidence: Sequence[Citation], wanted: Sequence[str], tokens: int, most: int) -> dict[int, str]:
    """What the model reads of the evidence, by number: the first ones that fit into so many tokens."""
    shown, left = dict[int, str](), tokens
    for each in evidence[:most]:
        text = excerpt(" ".join(each.text.split()), wanted, min(left - 24, max(tokens // 2, 60)))
        cost = guess_tokens(text) + guess_tokens(place(each)) + 4
        if cost > left:
            break
        shown[each.n], left = text, left - cost
    return shown


def best_sentence(evidence: Sequence[Citation], wanted: Sequence[str], most: int = 320) -> tuple[str, Citation] | None:
    """The sentence that has most of the wanted words, of the first passages; earlier ones win ties."""
    if not evidence:
        return None
    options = [(piece, each) for each in evidence[:4] for piece in sentences(each.text) or [each.text]]
    piece, citation = max(options, key=lambda option: coverage(wanted, option[0]) - 0.05 * option[1].n)
    return (piece if len(piece) <= most else f"{piece[:most].rsplit(' ', 1)[0]} …"), citation
