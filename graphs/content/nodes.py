"""The steps of the content agent. What rules can do is done by rules: lengths, repeats, structure, citations."""

import asyncio
from collections.abc import Mapping
from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command, Send

from graphs.artefacts import keep
from graphs.content import writing
from graphs.content.brief import brief_of
from graphs.content.finishing import answer_of, described, published, titled
from graphs.content.grounding import capacity, gather_evidence, handed, held, quoted, shared_out
from graphs.content.kinds import KINDS
from graphs.content.lengths import shortest, too_short, trimmed
from graphs.content.state import Brief, Outline, State, Writing, Written
from graphs.content.structure import as_steps, assembled, closed, headings_words
from graphs.content.tidy import blocks, tidied, unrepeated
from graphs.context import Context
from graphs.events import Answer, Artefact, Cited, Evidence, Token
from tools.catalog import Row
from tools.chat.roles import chat_model
from tools.errors import NotInstalled
from tools.publish import MEDIA_TYPES, render
from tools.writing.finding import slug_of
from tools.writing.text import count_words, sentences

EXTENSIONS = 8
"""Paragraphs that may be asked for after the first writing, in all."""

FUTILE = 3
"""What a paragraph counts for that brought nothing new: the model or its sources have no more to say."""

LEAST = 40
"""Words that are planned however little evidence there is."""

NOTHING = {
    "en": "The material says nothing about this, so there is nothing to write it from.",
    "hi": "सामग्री में इस विषय पर कुछ नहीं मिला, इसलिए लिखने का आधार नहीं है।",
}


async def plan(state: State, runtime: Runtime[Context]) -> Command[Literal["gather", "outline"]]:
    """Read what is wanted by rules; a language that the model does not write is refused before anything is written."""
    grounded = bool(state["knowledge_bases"] or state["sources"] or state["material"])
    brief = brief_of(state["topic"], state["options"], grounded=grounded)
    row = _writer(runtime)
    if row.languages and brief.language not in row.languages:
        raise NotInstalled(
            f"{row.title} does not write {brief.language!r} but {', '.join(row.languages)}.",
            remedy="Name a model that does for the role `writing` in SUTRADHAR_ROLES.",
        )
    return Command(update={"brief": brief}, goto="gather" if grounded else "outline")


async def gather(state: State, runtime: Runtime[Context]) -> Command[Literal["outline", "__end__"]]:
    """Find what the piece may stand on and show it; without any there is nothing to write."""
    brief, bench = state["brief"], runtime.context.bench
    if state["knowledge_bases"] or state["sources"]:
        evidence = await gather_evidence(bench, brief.topic, state["knowledge_bases"], state["sources"])
    else:
        evidence = handed(state["material"])
    runtime.context.emit(Evidence(moments=evidence))
    if not evidence:
        text = NOTHING.get(brief.language, NOTHING["en"])
        return Command(update={"answer": Answer(text=text, answered=False, citations=[])}, goto="__end__")
    carried = min(brief.words, max(capacity(evidence), LEAST)) if _holds(brief) else brief.words
    return Command(
        update={"evidence": evidence, "brief": brief.model_copy(update={"planned": carried})}, goto="outline"
    )


async def outline(state: State, runtime: Runtime[Context]) -> Command[Literal["write"]]:
    """Plan title, parts and the words of each; then as many writers begin as the model serves at once."""
    brief, evidence, row = state["brief"], state.get("evidence", []), _writer(runtime)
    planned = await writing.outlined(runtime.context, brief, evidence, row)
    if evidence:
        planned = planned.model_copy(update={"parts": shared_out(planned.parts, evidence)})
    lanes = min(_slots(row), len(planned.parts))
    sends = [
        Send("write", Writing(brief=brief, outline=planned, part=part, evidence=evidence, lanes=lanes))
        for part in planned.parts[:lanes]
    ]
    return Command(update={"outline": planned}, goto=sends)


async def write(state: Writing, runtime: Runtime[Context]) -> Command[Literal["write", "edit"]]:
    """Write one part, with one paragraph more where it is short; then the next part of this lane."""
    context, row = runtime.context, _writer(runtime)
    part, brief = state["part"], state["brief"]
    aloud = state["lanes"] == 1
    if aloud and KINDS[brief.kind].shape in {"sections", "scenes"}:
        context.emit(Token(text=f"\n\n## {part.heading}\n\n"))
    draft = await writing.said(context, brief, writing.part_messages(state, row), part.words, aloud=aloud)
    text, dropped = _kept(state, draft)
    if text and too_short(count_words(text), part.words):
        wanted = writing.lacking(text, part.words)
        further = await writing.more(context, state, row, text, wanted, aloud=aloud)
        fresh, more_dropped = _kept(state, further, text)
        text, dropped = _joined(text, fresh), dropped + more_dropped
    update = {"written": {part.number: Written(draft=draft, text=text, dropped=dropped)}}
    following = part.number + state["lanes"]
    if following >= len(state["outline"].parts):
        return Command(update=update, goto="edit")
    onward = Writing(**{**state, "part": state["outline"].parts[following]})
    return Command(update=update, goto=Send("write", onward))


async def edit(state: State, runtime: Runtime[Context]) -> Command[Literal["extend", "optimise"]]:
    """Take out what another part said already, then meet the length: ask for more, or trim by whole sentences."""
    brief, planned = state["brief"], state["outline"]
    texts = await asyncio.to_thread(edited, brief, planned, state.get("written", {}))
    beside = headings_words(brief, planned)
    total = beside + sum(count_words(text) for text in texts.values())
    kept = _rewritten(state, texts)
    if too_short(total, brief.planned) and any(texts.values()) and state.get("extended", 0) < EXTENSIONS:
        return Command(update={"written": kept}, goto="extend")
    words = {part.number: part.words for part in planned.parts}
    shorter = await asyncio.to_thread(trimmed, texts, words, brief.planned, beside)
    shorter = {number: closed(text) for number, text in shorter.items()}
    return Command(update={"written": _rewritten(state, shorter)}, goto="optimise")


async def extend(state: State, runtime: Runtime[Context]) -> Command[Literal["edit"]]:
    """Ask for one more paragraph where most is lacking."""
    brief, planned, written = state["brief"], state["outline"], state["written"]
    tries = state.get("extended", 0)
    texts = {number: each.text for number, each in written.items()}
    words = {part.number: part.words for part in planned.parts}
    order = shortest(texts, words)
    part = planned.parts[order[tries % min(len(order), 3)]]
    missing = brief.planned - headings_words(brief, planned) - sum(count_words(text) for text in texts.values())
    asked = Writing(brief=brief, outline=planned, part=part, evidence=state.get("evidence", []), lanes=1)
    before = written.get(part.number, Written(draft="", text=""))
    wanted = min(missing, 150)
    further = await writing.more(runtime.context, asked, _writer(runtime), before.text, wanted, aloud=False)
    fresh, dropped = _kept(asked, further, *texts.values())
    changed = Written(draft=before.draft, text=_joined(before.text, fresh), dropped=before.dropped + dropped)
    return Command(
        update={"written": {part.number: changed}, "extended": tries + (1 if fresh else FUTILE)}, goto="edit"
    )


async def optimise(state: State, runtime: Runtime[Context]) -> State:
    """Make what search engines show of it: the title at their length, and a description out of its own sentences."""
    brief, planned = state["brief"], state["outline"]
    texts = {number: each.text for number, each in state["written"].items()}
    title = titled(planned.title)
    return {"title": title, "description": described(assembled(brief, planned, texts, title))}


async def publish(state: State, runtime: Runtime[Context]) -> State:
    """Measure the piece beside its first draft, and keep it in the formats that were asked for."""
    answer = await asyncio.to_thread(answer_of, state)
    for citation in answer.citations:
        runtime.context.emit(Cited(citation=citation))
    if not answer.answered:
        return {"answer": answer}
    artefacts = await _artefacts(state, runtime, answer)
    return {"answer": answer.model_copy(update={"artefacts": artefacts})}


async def _artefacts(state: State, runtime: Runtime[Context], answer: Answer) -> tuple[Artefact, ...]:
    bench, brief, title = runtime.context.bench, state["brief"], state["title"]
    text, name = published(state, answer), slug_of(title) or brief.kind
    made = list[Artefact]()
    for kind in dict.fromkeys(state["options"].output):
        if kind == "markdown":
            made.append(await keep(bench, f"{name}.md", "text/markdown", text.encode()))
        else:
            data = await render(text, kind, title, brief.language)
            made.append(await keep(bench, f"{name}.{kind}", MEDIA_TYPES[kind], data))
    return tuple(made)


def edited(brief: Brief, planned: Outline, written: Mapping[int, Written]) -> dict[int, str]:
    """The parts in order, without what an earlier one said, and with steps where the kind wants them."""
    shape, said, texts = KINDS[brief.kind].shape, list[str](), dict[int, str]()
    for part in planned.parts:
        text = written[part.number].text if part.number in written else ""
        if shape in {"sections", "prose", "post"}:
            text = unrepeated(text, said)
            said += [each for block in blocks(text) for each in sentences(block)]
        texts[part.number] = text
    if KINDS[brief.kind].steps and not any("\n1. " in f"\n{text}" for text in texts.values()):
        longest = max(planned.parts[1:] or planned.parts, key=lambda part: len(sentences(texts[part.number])))
        texts[longest.number] = as_steps(texts[longest.number])
    return texts


def _kept(state: Writing, raw: str, *before: str) -> tuple[str, int]:
    """A part's text by the rules: tidied, and where there is evidence held to it; and how much that took out."""
    brief, planned = state["brief"], state["outline"]
    shape, said = KINDS[brief.kind].shape, [each for text in before for each in sentences(text)]
    known = [planned.title, *(part.heading for part in planned.parts)]
    text = tidied(raw, shape, marks=brief.grounded, known=known, before=said)
    if not state["evidence"] or not _holds(brief):
        return text, 0
    text, dropped = held(text, state["evidence"])
    if not text and not before:
        own = [each for each in state["evidence"] if each.n in state["part"].evidence]
        text = quoted(own, f"{state['part'].heading} {brief.topic}", "")
    return text, dropped


def _holds(brief: Brief) -> bool:
    """Whether a piece may say only what its evidence says: stories, scripts and poems are only inspired by it."""
    return KINDS[brief.kind].factual or KINDS[brief.kind].shape == "post"


def _joined(text: str, more: str) -> str:
    return f"{text}\n\n{more}".strip() if more else text


def _rewritten(state: State, texts: Mapping[int, str]) -> dict[int, Written]:
    written = state.get("written", {})
    return {
        number: written.get(number, Written(draft="", text="")).model_copy(update={"text": text})
        for number, text in texts.items()
    }


def _slots(row: Row) -> int:
    """How many parts are written at once: what the model serves side by side."""
    return max(int(row.options.get("slots", 1 if row.device == "cpu" else 4)), 1)


def _writer(runtime: Runtime[Context]) -> Row:
    return chat_model(runtime.context.bench, "writing").row
