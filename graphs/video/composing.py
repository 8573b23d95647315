"""Pieces written from a video: by the content agent's writers on the timeline's evidence, or by rules alone."""

import asyncio
from collections.abc import Mapping
from typing import Any, Literal, cast

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, Overwrite, Send

from graphs.catalog import Agent, Ask
from graphs.content import graph as content
from graphs.content import nodes as writing
from graphs.content.brief import brief_of
from graphs.content.grounding import capacity
from graphs.content.kinds import ContentType
from graphs.content.lengths import met
from graphs.content.options import ContentOptions, ContentResult
from graphs.content.state import State as Piece
from graphs.context import Context
from graphs.events import Answer
from graphs.research.report import plain
from graphs.temporal.words import content as stems
from graphs.temporal.words import coverage
from graphs.video import files, studying, telling
from graphs.video.analysing import Observed
from graphs.video.condensing import telling as telling_of
from graphs.video.condensing import without_lead
from graphs.video.evidence import evidence_of, held_outline, topic_of
from graphs.video.options import VideoOptions, Written
from graphs.video.seeing import observe, seen_by, timeline_of
from graphs.video.state import State, VideoResult
from graphs.video.translating import spoken_in, text_in
from tools.bench import Bench
from tools.speech.subtitles import srt
from tools.writing.text import count_words, words

_KINDS: Mapping[str, ContentType] = {
    "article": "article",
    "blog": "blog_post",
    "report": "report",
    "story": "story",
    "social_post": "social_post",
}
_INSPIRED = (
    "This story is made up from what the video shows and says: it is no description of it, "
    "and nothing in it was checked."
)
_SECTIONED = frozenset({None, "article", "blog", "report"})
_SPOKEN = frozenset({"transcript", "subtitles"})
_FEWEST_QUOTES = 2
_SILENT = "Nothing that could be understood is said in this video, so there is no {kind}."


async def outline(state: Piece, runtime: Runtime[Context]) -> Command[Literal["write"]]:
    """The content agent's outline, held to the video like everything else."""
    planned = await writing.outline(state, runtime)
    evidence = state["evidence"]
    held = held_outline(planned.update["outline"], evidence, evidence[0].source)  # type: ignore[index]
    sends = [
        Send(each.node, {**each.arg, "outline": held, "part": held.parts[each.arg["part"].number]})
        for each in cast("list[Send]", planned.goto)
    ]
    return Command(update={"outline": held}, goto=sends)


def piece_graph() -> StateGraph[Piece, Context, Piece, Piece]:
    """The content agent's steps from the outline on: the evidence is there already."""
    return (
        StateGraph(Piece, context_schema=Context)
        .add_node(outline)
        .add_node(writing.write)
        .add_node(writing.edit, defer=True)
        .add_node(writing.extend)
        .add_node(writing.optimise)
        .add_node(writing.publish)
        .add_edge(START, "outline")
        .add_edge("optimise", "publish")
        .add_edge("publish", END)
    )


PIECE = Agent(
    name="piece",
    title="Write from a video",
    description="Writes a piece on what a video shows and says.",
    build=piece_graph,
    begin=lambda ask: {"topic": ask.question},
    note=content.note,
    conclude=content.conclude,
)


def begin_piece(seen: Observed, options: VideoOptions) -> dict[str, Any]:
    """The content agent's state with the video as its only source; its length is what the evidence carries."""
    kind = _KINDS[options.content_type or "article"]
    asked = ContentOptions(content_type=kind, length=options.target_length, style=options.style, output=["markdown"])
    evidence = evidence_of(seen)
    brief = brief_of(topic_of(seen), asked, grounded=True).model_copy(update={"language": "en"})
    carried = min(brief.words, max(capacity(evidence), writing.LEAST))
    return {
        **content.begin(Ask(question=brief.topic, options=asked.model_dump(mode="json"))),
        "evidence": evidence,
        "brief": brief.model_copy(update={"planned": carried}),
        "written": Overwrite({}),
    }


def composer() -> Any:
    """The node that writes what was asked for."""
    writers = piece_graph().compile(name=PIECE.name)

    async def compose(state: State, runtime: Runtime[Context]) -> State:
        context, options = runtime.context, state["options"]
        seen = await _seen(context.bench, state["watched"].timeline, options)
        result = await asyncio.to_thread(telling.result_of, seen, options, "generate", {}, state["watched"].unfinished)
        kind, language = options.content_type or "article", options.language or result.language
        result = result.model_copy(update={"content_type": kind, "language": language})
        if options.content_type in _KINDS or options.content_type is None:
            values = await writers.ainvoke(cast("Piece", begin_piece(seen, options)), context=context)
            piece = content.conclude(values, "")
            piece = filled(piece, seen, options) if piece else _nothing()
            return {"answer": await _piece(context.bench, options, result, piece)}
        return {"answer": await _ruled(context.bench, seen, options, result)}

    return compose


async def _seen(bench: Bench, ref: str, options: VideoOptions) -> Observed:
    """What was watched; for a transcript or subtitles with the speech in the language that was asked for."""
    if options.language is None or options.content_type not in _SPOKEN:
        return await seen_by(bench, ref, options)
    told = await spoken_in(bench, await timeline_of(bench, ref), options.language)
    return await asyncio.to_thread(observe, told, options)


def filled(piece: Answer, seen: Observed, options: VideoOptions) -> Answer:
    """A piece whose writer had little to say, with the video's own words after it, each at its time."""
    if not piece.answered or not piece.result or options.content_type not in _SECTIONED:
        return piece
    made = ContentResult.model_validate(piece.result)
    lines, missing = list[str](), made.target_words - made.words
    speech = [each for each in seen.statements if each.about == "speech"]
    for each in telling_of(speech, 40):
        said = without_lead(each.text).strip("“”")
        if missing > 0 and coverage(stems(said), piece.text) < 1.0:
            lines.append(f"- “{plain(said)}” ({telling.times_of(each)})")
            missing -= len(words(said))
    if len(lines) < _FEWEST_QUOTES:
        return piece
    text = f"{piece.text}\n\n## In the video's own words\n\n" + "\n".join(lines)
    counted = made.model_copy(
        update={"words": count_words(text), "length_met": met(count_words(text), made.target_words)}
    )
    return piece.model_copy(update={"text": text, "result": counted.model_dump(mode="json")})


def _nothing() -> Answer:
    return Answer(text="", answered=False, citations=[])


async def _piece(bench: Bench, options: VideoOptions, result: VideoResult, piece: Answer) -> Answer:
    """What the writers made, as an answer of this agent; a story says that it is one."""
    made = ContentResult.model_validate(piece.result) if piece.result else None
    text = await text_in(bench, piece.text, options.language) if piece.answered else piece.text
    if options.content_type == "story" and piece.answered:
        text = f"{text}\n\n---\n\n*{await text_in(bench, _INSPIRED, options.language)}*"
    name = f"{telling.file_name(result)}-{result.content_type}"
    title = made.title if made else result.title
    files_made, missed = await files.report(bench, text, title, result.language, name) if piece.answered else ([], [])
    told = result.model_copy(update={"content": made, "title": title, "limits": [*result.limits, *missed]})
    return Answer(
        text=text,
        answered=piece.answered,
        citations=piece.citations,
        result=told.model_dump(mode="json"),
        artefacts=tuple(files_made),
    )


async def _ruled(bench: Bench, seen: Observed, options: VideoOptions, result: VideoResult) -> Answer:
    """A piece that needs no model."""
    kind, name = result.content_type, telling.file_name(result)
    text = await asyncio.to_thread(_written, seen, options, options.content_type or "transcript")
    subtitles = await files.subtitles(bench, seen.timeline, name)
    if not text:
        said = _SILENT.format(kind=kind.replace("_", " "))
        return Answer(text=said, answered=False, citations=[], result=result.model_dump(mode="json"))
    if kind in ("study_notes", "script"):
        text = await text_in(bench, text, options.language)
    made, missed = list(subtitles), list[str]()
    if kind != "subtitles":
        written, missed = await files.report(bench, text, result.title, result.language, f"{name}-{kind}")
        made = [*written, *subtitles]
    result = result.model_copy(update={"limits": [*result.limits, *missed]})
    citations = telling.citations_of(result)
    return Answer(
        text=text, answered=True, citations=citations, result=result.model_dump(mode="json"), artefacts=tuple(made)
    )


def _written(seen: Observed, options: VideoOptions, kind: Written) -> str:
    if kind == "script":
        return studying.script(seen)
    if not seen.spoken:
        return ""
    match kind:
        case "transcript":
            return studying.transcript(seen)
        case "subtitles":
            return srt(files.cues_of(seen.timeline))
        case _:
            return studying.study_notes(seen, options.target_length)
