"""The answer of the video agent: prose in the asked form, the typed result, and the files."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from graphs.events import Answer, Artefact, Citation
from graphs.video import files, telling
from graphs.video.analysing import Observed
from graphs.video.options import VideoOptions
from graphs.video.state import Chapter, State, VideoResult
from graphs.video.translating import SPOKEN, headings_in, translated
from graphs.video.trust import legible
from ingestion.timeline import Timeline
from tools.bench import Bench

_GLIMPSES = 8


async def answer_of(bench: Bench, seen: Observed, options: VideoOptions, result: VideoResult) -> Answer:
    """The result told in the language and form that were asked for, with its files."""
    ours = dict[str, str]()
    if options.language not in (None, SPOKEN):
        result, ours = await translated(bench, result, options.language), await headings_in(bench, options.language)
    blocks = telling.blocks_of(result, options, ours)
    marked = await asyncio.to_thread(telling.markdown, blocks)
    made, missed = await published(bench, seen, result, marked)
    result = result.model_copy(update={"limits": [*result.limits, *missed]})
    wants_marks = result.task == "analyze" and options.output_format == "markdown"
    if result.task == "analyze" and options.output_format == "json":
        told = " ".join(each.text for each in result.overview)
    else:
        told = marked if wants_marks else telling.text(blocks)
    return Answer(
        text=told,
        answered=bool(seen.statements) or bool(seen.timeline.shots),
        citations=telling.citations_of(result),
        result=result.model_dump(mode="json"),
        artefacts=tuple(made),
    )


async def published(
    bench: Bench, seen: Observed, result: VideoResult, markdown: str
) -> tuple[list[Artefact], list[str]]:
    """The report, the storyboard, chapters, subtitles and the timeline; and what could not be made."""
    name = telling.file_name(result)
    made, missed = await files.report(bench, markdown, result.title, result.language, f"{name}-report")
    board = await files.storyboard(bench, seen.scenes, name)
    made += [board] if board else []
    made.append(await files.chapter_marks(bench, result.chapters, name))
    made += await files.subtitles(bench, seen.timeline, name)
    made.append(await files.timeline_file(bench, seen.timeline, name))
    return made, missed


def glimpses(timeline: Timeline) -> list[Citation]:
    """A few moments of what was seen and heard so far, for whoever waits."""
    worth = [each for each in timeline.segments if each.modality in ("speech", "caption") or _readable(each)]
    step = max(len(worth) / _GLIMPSES, 1.0)
    chosen = [worth[int(at * step)] for at in range(min(len(worth), _GLIMPSES))]
    return [
        Citation(
            n=n,
            source=timeline.name,
            media=timeline.source,
            modality=each.modality,
            text=each.text,
            start=each.start,
            end=each.end,
            thumbnail=f"/api/v1/media/{each.image}" if each.image else None,
            segment=str(each.id),
        )
        for n, each in enumerate(chosen, 1)
    ]


def _readable(segment: Any) -> bool:
    return segment.modality == "screen_text" and bool(legible(segment.text, segment.confidence))


def uncondensed(state: State) -> str:
    """Why chapters stand in the words of the video although a model was to shorten them."""
    left = [each for each in state.get("left", []) if each]
    return f"{len(left)} chapters were condensed by rules alone: the run's time was spent." if left else ""


def partial(chapters: Sequence[Chapter], name: str) -> Answer:
    """What a run that was cut short can tell: the chapters' statements so far."""
    lines = [f"{each.text} ({telling.times_of(each)})" for chapter in chapters for each in chapter.statements[:3]]
    text = "\n".join([f"{name}: this is as far as the run came.", *lines])
    return Answer(text=text, answered=bool(lines), citations=[])


def conclude(state: Mapping[str, Any], spoken: str) -> Answer | None:
    """The state's answer, or what an unfinished run has."""
    answer = state.get("answer")
    if isinstance(answer, Answer):
        return answer
    if state.get("chapters"):
        return partial(state["chapters"], state["name"])
    text = "The run ended before anything was watched."
    if state.get("media"):
        text = (
            "The run ended while the video was being watched. What was seen is kept: asking again goes on from there."
        )
    return Answer(text=text, answered=False, citations=[])
