"""What the model is asked, and what is taken of its answers: an outline, a part, one paragraph more."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from graphs.content.kinds import KINDS, MANNER, TEMPERATURE
from graphs.content.lengths import parts_for, shares
from graphs.content.state import Brief, Outline, Part, Writing
from graphs.context import Context
from graphs.events import Citation
from graphs.speak import speak
from graphs.temporal.evidence import place, readable
from graphs.temporal.words import content
from tools.catalog import Row
from tools.errors import BudgetSpent, SutradharError
from tools.writing.repetition import loops
from tools.writing.text import count_words, words

_LANGUAGES = {
    "as": "Assamese", "bn": "Bengali", "de": "German", "en": "English", "es": "Spanish", "fr": "French",
    "gu": "Gujarati", "hi": "Hindi", "it": "Italian", "kn": "Kannada", "ml": "Malayalam", "mr": "Marathi",
    "ne": "Nepali", "or": "Odia", "pa": "Punjabi", "pt": "Portuguese", "ru": "Russian", "sa": "Sanskrit",
    "ta": "Tamil", "te": "Telugu", "ur": "Urdu",
}  # fmt: skip

_SEED = 7
_TITLE_CHARACTERS = 90
_HEADING_WORDS = 9
_UNITS = {"verse": "stanza of four lines", "scenes": "exchange of four lines of dialogue", "post": "sentence"}
_PLACE = re.compile(r"(?P<in>INT|EXT)[./ :]+(?P<where>[^-–—]+?)\s*(?:[-–—]+\s*(?P<when>.+))?$", re.IGNORECASE)

_ECHO = re.compile(r"(?:(?:section|scene)s?(?: headings?)?|headings?|titles?|outline|plan)\W*$", re.IGNORECASE)
_LABEL = re.compile(r"^\W*(?:(?:title|heading|section|scene)\s*\d*\s*[:.)-]\s*|\d{1,2}[.):]\s*)", re.IGNORECASE)

SMALL, LARGE = (300, 5), (2_000, 12)
"""Tokens and passages of evidence that a part's writer reads: on two cores, and on a GPU."""


@cache
def prompt(name: str) -> str:
    return files("graphs.content").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8").rstrip("\n")


def system(brief: Brief) -> SystemMessage:
    """The same for every part of a piece, so that the server reads it once."""
    return SystemMessage(
        prompt("system").format(
            kind=KINDS[brief.kind].name,
            language=_LANGUAGES.get(brief.language, brief.language),
            manner=MANNER[brief.style],
            audience=f" The readers: {brief.audience}." if brief.audience else "",
            topic=brief.topic[:1_200],
            keywords=f"\nWords to use where they fit: {', '.join(brief.keywords)}" if brief.keywords else "",
            grounded=prompt("grounded") if brief.grounded else "",
        )
    )


def most_tokens(wanted: int, language: str) -> int:
    """Tokens that so many words may take: models spell other scripts out in many more of them."""
    return round(wanted * (1.8 if language in {"en", "de", "es", "fr", "it", "pt"} else 6)) + 40


def satisfied(wanted: int) -> Callable[[str], bool]:
    """Whether a text has its words, or is caught in a loop."""

    def enough(text: str) -> bool:
        return len(words(text)) >= wanted or loops(text)

    return enough


async def said(context: Context, brief: Brief, messages: Sequence[BaseMessage], wanted: int, *, aloud: bool) -> str:
    """What the model writes; nothing when it fails. A spent budget ends the run."""
    try:
        return await speak(
            context,
            "writing",
            messages,
            most_tokens=most_tokens(wanted, brief.language),
            aloud=aloud,
            enough=satisfied(wanted),
            temperature=0.2 if brief.grounded else TEMPERATURE[brief.style],
            frequency_penalty=0.4,
            seed=_SEED,
        )
    except BudgetSpent:
        raise
    except SutradharError:
        return ""


async def outlined(context: Context, brief: Brief, evidence: Sequence[Citation], row: Row) -> Outline:
    """Title and parts: the model's where they can be used, else those of the kind."""
    spec, count = KINDS[brief.kind], parts_for(brief.kind, brief.planned)
    printed = spec.shape in {"sections", "scenes"}
    if brief.grounded:
        count = min(count, max(len(evidence), 1))
    shown = "\nIt stands on this:\n" + _evidence(evidence, brief, row)[:800] if evidence else ""
    lines = list[str]()
    if spec.shape != "post":
        asked = prompt("outline" if printed else "title").format(
            kind=spec.name,
            topic=brief.topic[:600],
            evidence=shown,
            count=count,
            headings="scene headings like INT. KITCHEN - MORNING" if spec.shape == "scenes" else "section headings",
        )
        answer = await said(context, brief, [HumanMessage(asked)], 12 + (10 * count if printed else 0), aloud=False)
        lines = [line for each in answer.split("\n") if (line := _label(each))]
    title = lines[0] if lines and len(words(lines[0])) <= 14 else _label(brief.topic[:_TITLE_CHARACTERS]) or "Untitled"
    headings = _headings(brief, lines[1:], count) if printed else list(spec.parts)[:count]
    if spec.shape == "prose" and count > 1:
        # whatever the length, it has an end
        headings = [*spec.parts[: count - 1], spec.parts[-1]]
    plan = shares(
        brief.words - len(words(title)) - (sum(len(words(each)) for each in headings) if printed else 0), count
    )
    parts = [Part(number=n, heading=each, words=plan[n]) for n, each in enumerate(headings)]
    return Outline(title=title[:1].upper() + title[1:], parts=parts)


def _headings(brief: Brief, lines: Sequence[str], count: int) -> list[str]:
    """As many different headings as are wanted; the kind's own stand in for those that cannot be used."""
    spec = KINDS[brief.kind]
    usable = [each for each in lines if 1 <= len(words(each)) <= _HEADING_WORDS and not _ECHO.match(each)]
    if spec.shape == "scenes":
        usable = [scene_heading(each) for each in usable]
    chosen = {" ".join(words(each)): each for each in [*usable[:count], *spec.parts]}
    numbered = {f"part {n}": f"Part {n}" for n in range(1, count + 1)}
    return list({**chosen, **numbered}.values())[:count]


def scene_heading(text: str) -> str:
    """`INT. PLACE - TIME`, as screenplays have it."""
    found = _PLACE.match(text.strip())
    if found is None:
        return f"INT. {text.strip(' .').upper()} - DAY"
    return (
        f"{found['in'].upper()}. {found['where'].strip(' .').upper()} - {(found['when'] or 'DAY').strip(' .').upper()}"
    )


def _label(line: str) -> str:
    """A title or heading without number, mark, label and quotes."""
    plain = re.sub(
        r"^\W*(?:(?:title|heading|section|scene)\s*\d*\s*[:.)-]\s*|\d{1,2}[.):]\s*)",
        "",
        line.strip(),
        flags=re.IGNORECASE,
    )
    plain = re.sub(r"\s*\[\d+\]|[\[\]{}<>|`]", "", plain)
    plain = plain.strip(" \t*_#\"'“”«»:-").rstrip(".")
    return plain if len(plain) <= _TITLE_CHARACTERS else plain[:_TITLE_CHARACTERS].rsplit(" ", 1)[0]


def part_messages(state: Writing, row: Row) -> list[BaseMessage]:
    brief, part, outline = state["brief"], state["part"], state["outline"]
    ids = set(part.evidence)
    chosen = [each for each in state["evidence"] if each.n in ids] or state["evidence"]
    shown = f"Evidence:\n{_evidence(chosen, brief, row, part.heading)}\n\n" if chosen else ""
    ask = KINDS[brief.kind].ask
    if len(outline.parts) == 1:
        asked = prompt("alone").format(evidence=shown, ask=ask, words=part.words)
    else:
        parts = "; ".join(each.heading for each in outline.parts)
        place_in = {0: " It begins the piece.", len(outline.parts) - 1: " It ends the piece."}.get(part.number, "")
        asked = prompt("part").format(
            evidence=shown, parts=parts, heading=part.heading, ask=ask, words=part.words, place=place_in
        )
    return [system(brief), HumanMessage(asked)]


async def more(context: Context, state: Writing, row: Row, text: str, wanted: int, *, aloud: bool) -> str:
    """One paragraph, stanza or exchange more, going on from the end of a part."""
    brief = state["brief"]
    unit = _UNITS.get(KINDS[brief.kind].shape, "paragraph")
    wanted = max(wanted, 6 if KINDS[brief.kind].shape == "post" else 20)
    asked = prompt("more").format(unit=unit, words=wanted)
    tail = " ".join(text.split(" ")[-120:])
    messages = [*part_messages(state, row), AIMessage(tail or "…"), HumanMessage(asked)]
    return await said(context, brief, messages, wanted, aloud=aloud)


def _evidence(evidence: Sequence[Citation], brief: Brief, row: Row, heading: str = "") -> str:
    tokens, most = SMALL if row.device == "cpu" else LARGE
    shown: Mapping[int, str] = readable(evidence, content(f"{heading} {brief.topic}"), tokens, most)
    places = {each.n: place(each) for each in evidence}
    return "\n".join(f"[{n}] ({places[n]}) {text}" for n, text in shown.items())


def lacking(text: str, wanted: int) -> int:
    return max(wanted - count_words(text), 0)
