"""The end of a piece, by rules: what search engines show of it, its measures, its sources, the answer."""

import re
from collections.abc import Mapping
from typing import Any

from graphs.content.kinds import KINDS
from graphs.content.lengths import met
from graphs.content.options import ContentOptions, ContentResult, Grounding
from graphs.content.state import Brief, Outline, Written
from graphs.content.structure import assembled, problems_of
from graphs.events import Answer, Citation
from graphs.temporal.evidence import place
from graphs.temporal.words import marks, sentences
from tools.writing.finding import DESCRIPTION, TITLE, keywords_of, slug_of
from tools.writing.measure import Measures, MeasureTextInput, measured
from tools.writing.text import count_words, read

UNGROUNDED = {
    "en": "Written without sources: nothing in it was checked.",
    "hi": "बिना स्रोतों के लिखा गया: इसकी किसी बात की जाँच नहीं हुई।",
}
_FAILED = {"en": "The model wrote nothing that could be used.", "hi": "मॉडल ने कुछ भी काम का नहीं लिखा।"}
_LOOSE_END = re.compile(r"[\s,;:–—-]+(?:(?:and|or|the|a|an|of|for|to|in|on|with|by|from|your|its)\s*)*$", re.IGNORECASE)
_LAST_PHRASE = re.compile(r"\s+(?:in|for|of|with|to|on|at|by|from|and|that|through)\s+\S+(?:\s+\S+)?$", re.IGNORECASE)
_SOURCES = {"en": "Sources", "hi": "स्रोत"}


def titled(title: str) -> str:
    """The title at the length that is shown of it: without its second half, or cut between words."""
    if len(title) <= TITLE[1]:
        return title
    first = re.split(r"\s*[:–—|]\s+", title, maxsplit=1)[0]
    if TITLE[0] <= len(first) <= TITLE[1]:
        return first
    cut = _LOOSE_END.sub("", title[: TITLE[1] + 1].rsplit(" ", 1)[0])
    # a phrase that has lost its noun goes with it
    shorter = _LAST_PHRASE.sub("", cut)
    return shorter if len(shorter) >= TITLE[0] else cut


def described(piece: str) -> str:
    """Its first sentences, whole ones where they fit, within what is shown of a description."""
    said = [each for paragraph in read(piece).paragraphs for each in sentences(paragraph)]
    text = ""
    for each in said:
        longer = f"{text} {each}".strip()
        if len(longer) > DESCRIPTION[1]:
            break
        text = longer
    whole = " ".join(said)
    if len(text) >= DESCRIPTION[0] or len(whole) <= DESCRIPTION[1]:
        return text
    return f"{_LOOSE_END.sub('', whole[: DESCRIPTION[1]].rsplit(' ', 1)[0])}…"


def answer_of(state: Mapping[str, Any]) -> Answer:
    """The answer of a state that has parts, finished or not."""
    brief, outline = state["brief"], state["outline"]
    written: Mapping[int, Written] = state.get("written") or {}
    texts = {number: each.text for number, each in written.items()}
    if not any(texts.values()):
        return Answer(text=_FAILED.get(brief.language, _FAILED["en"]), answered=False, citations=[])
    title = state.get("title") or titled(outline.title)
    piece = assembled(brief, outline, texts, title)
    cited = {each.n: each for each in state.get("evidence") or [] if each.n in marks(piece)}
    result = _result(state, piece, title)
    told = piece
    if not brief.grounded and KINDS[brief.kind].factual:
        told = f"{piece}\n\n---\n\n*{UNGROUNDED.get(brief.language, UNGROUNDED['en'])}*"
    return Answer(text=told, answered=True, citations=list(cited.values()), result=result.model_dump(mode="json"))


def _result(state: Mapping[str, Any], piece: str, title: str) -> ContentResult:
    brief: Brief = state["brief"]
    outline: Outline = state["outline"]
    written: Mapping[int, Written] = state.get("written") or {}
    options: ContentOptions = state["options"]
    description = state.get("description") or described(piece)
    keywords = options.keywords or keywords_of(piece)
    first = assembled(brief, outline, {number: each.draft for number, each in written.items()})
    words = count_words(piece)
    return ContentResult(
        content_type=brief.kind,
        style=brief.style,
        language=brief.language,
        title=title,
        description=description,
        slug=slug_of(title),
        keywords=keywords,
        target_words=brief.words,
        words=words,
        length_met=met(words, brief.words),
        problems=problems_of(brief, outline, piece) + _carried(brief, words),
        grounding=_grounding(brief, piece, sum(each.dropped for each in written.values())),
        draft=_measures(first, brief, outline.title, "", keywords),
        final=_measures(piece, brief, title, description, keywords),
    )


def _carried(brief: Brief, words: int) -> list[str]:
    if met(words, brief.words) or not brief.grounded:
        return []
    return [f"The sources carry about {brief.planned} words; {brief.words} were asked for. Give it more sources."]


def _measures(text: str, brief: Brief, title: str, description: str, keywords: list[str]) -> Measures | None:
    if not text.strip():
        return None
    return measured(
        MeasureTextInput(text=text, language=brief.language, title=title, description=description, keywords=keywords)
    )


def _grounding(brief: Brief, piece: str, dropped: int) -> Grounding:
    prose = [line for line in piece.split("\n") if not line.startswith("#")]
    said = [each for line in prose for each in sentences(line)]
    cited = sum(bool(marks(each)) for each in said)
    note = "" if brief.grounded else UNGROUNDED["en"]
    return Grounding(grounded=brief.grounded, cited=cited, uncited=len(said) - cited, dropped=dropped, note=note)


def published(state: Mapping[str, Any], answer: Answer) -> str:
    """The piece as a file: with its sources at the end, told by name and place."""
    brief = state["brief"]
    texts = {number: each.text for number, each in state["written"].items()}
    piece = assembled(brief, state["outline"], texts, state["title"])
    if not answer.citations:
        return piece
    return f"{piece}\n\n## {_SOURCES.get(brief.language, _SOURCES['en'])}\n\n{_listed(answer.citations)}\n"


def _listed(citations: list[Citation]) -> str:
    return "\n".join(f"- [{each.n}] {place(each)}" for each in citations)
