"""The result of the agent, and the same as prose: every statement with the times it stands on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from graphs.events import Citation
from graphs.research.report import plain
from graphs.temporal.phrases import span
from graphs.video.analysing import Observed, exact_cuts, figures_of, joined, lasting, sections_of
from graphs.video.condensing import about, telling
from graphs.video.limits import limits_of
from graphs.video.options import Detail, Task, VideoOptions
from graphs.video.state import Chapter, Scene, Statement, VideoResult
from tools.writing.finding import slug_of

CITED = 60
_JOINED = 0.5
"""Seconds between two moments that are told as one."""
_OVERVIEW: Mapping[str, int] = {"short": 2, "low": 2, "medium": 4, "high": 6, "long": 6}
_A_CHAPTER: Mapping[str, int] = {"short": 1, "medium": 2, "long": 5}
_ROOM: Mapping[Detail, Mapping[str, int]] = {
    "low": {"speech": 1, "text": 1},
    "medium": {"speech": 3, "text": 3},
    "high": {"speech": 40, "text": 10},
}
_SIGHTS = frozenset({"people", "objects", "actions", "text"})
"""What is seen in a scene; one without has at least its colours, in whatever detail."""
_DETAILS: Mapping[Detail, frozenset[str]] = {
    "low": frozenset({"people", "objects", "actions", "text", "speech"}),
    "medium": frozenset({"people", "objects", "actions", "text", "speech", "sound", "camera", "light"}),
    "high": frozenset({"people", "objects", "actions", "text", "speech", "sound", "camera", "light", "scene"}),
}


@dataclass(frozen=True)
class Block:
    """A heading of this level, or a line; a line's `times` stand behind it."""

    text: str
    level: int = 0
    kind: Literal["heading", "line", "item"] = "line"
    times: str = ""


def overview_of(seen: Observed, options: VideoOptions, task: Task, condensed: Sequence[Statement]) -> list[Statement]:
    """The whole video in a few statements: its length, who and what is in view, what is said, what is written."""
    size = {"summarize": options.summary_length, "describe": options.detail_level}.get(task, "medium")
    most = _OVERVIEW[size]
    every = _wanted(seen.statements, options, task)
    sights = [each for kind in ("people", "objects") for each in joined(_of(every, kind))[:2]]
    prose = [each for each in every if each.about in ("speech", "actions")]
    texts = telling(_of(every, "text"), max(most // 2, 1), options.focus_areas)
    told = list(condensed) or telling(prose, most, options.focus_areas)
    first = lasting(seen.timeline, figures_of(seen.timeline, seen.spoken))
    return [first, *sights, *sorted([*told, *texts], key=lambda each: each.moments[0].start)]


def _of(statements: Sequence[Statement], kind: str) -> list[Statement]:
    return [each for each in statements if each.about == kind]


def _wanted(statements: Sequence[Statement], options: VideoOptions, task: Task) -> list[Statement]:
    """Without what a description was told to leave out."""
    without = set[str]()
    if task == "describe":
        without |= set() if options.include_objects else {"objects"}
        without |= set() if options.include_actions else {"actions", "camera"}
    return [each for each in statements if each.about not in without]


def described(scene: Scene, options: VideoOptions) -> Scene:
    """A scene with as much as the level of detail has room for."""
    kinds, room = _DETAILS[options.detail_level], _ROOM[options.detail_level]
    every = _wanted(scene.statements, options, "describe")
    if _SIGHTS.isdisjoint(each.about for each in every):
        kinds |= {"scene"}
    wanted = [each for each in every if each.about in kinds]
    kept = {id(each) for kind, most in room.items() for each in telling(_of(wanted, kind), most)}
    told = [each for each in wanted if each.about not in room or id(each) in kept]
    return scene.model_copy(update={"statements": told})


def summarised(chapter: Chapter, options: VideoOptions, condensed: Sequence[Statement]) -> Chapter:
    """A chapter in a few statements: those that a model condensed and all others in rank."""
    most = _A_CHAPTER[options.summary_length]
    if condensed:
        others = [each for each in chapter.statements if each.about in ("text", "actions")]
        some = telling(others, max(most - len(condensed), 0), options.focus_areas)
        told = sorted([*condensed, *some], key=lambda each: each.moments[0].start)
    else:
        useful = [each for each in chapter.statements if each.about not in ("camera", "light", "scene")]
        told = telling(useful, most, options.focus_areas)
    return chapter.model_copy(update={"statements": told})


def result_of(
    seen: Observed, options: VideoOptions, task: Task, condensed: Mapping[int, Sequence[Statement]], unfinished: str
) -> VideoResult:
    """What one of the tasks found. `condensed` holds what a model made of the chapters; number 0 is the whole."""
    timeline = seen.timeline
    figures = figures_of(timeline, seen.spoken)
    actions = task != "describe" or options.include_actions
    limits = limits_of(timeline, unfinished, actions=actions, exact=exact_cuts(timeline))
    limits += [f"Nothing that is seen, read or said speaks of {each!r}." for each in _unfound(seen, options, task)]
    kind = options.analysis_type if task == "analyze" else None
    scenes = list[Scene]()
    if task == "describe":
        scenes = [described(each, options) for each in seen.scenes]
    elif kind in ("comprehensive", "scenes"):
        scenes = [described(each, VideoOptions(detail_level="medium")) for each in seen.scenes]
    return VideoResult(
        task=task,
        media=timeline.source,
        name=timeline.name,
        duration=timeline.duration,
        width=timeline.width,
        height=timeline.height,
        language="en",
        title=title_of(timeline.name),
        overview=overview_of(seen, options, task, condensed.get(0, [])),
        sections=sections_of(kind, seen, figures) if kind else [],
        scenes=scenes,
        chapters=[summarised(each, options, condensed.get(each.number, [])) for each in seen.chapters],
        figures=figures,
        limits=limits,
        senses=list(dict.fromkeys(sense for each in timeline.passes for sense in each.senses)),
        complete=timeline.complete and not unfinished,
    )


def title_of(name: str) -> str:
    return name.rsplit(".", 1)[0].replace("_", " ") or "Video"


def _unfound(seen: Observed, options: VideoOptions, task: Task) -> list[str]:
    if task != "summarize":
        return []
    return [each for each in options.focus_areas if not about(seen.statements, each)]


OURS = ("Scenes", "Stretches", "Limits", "Nothing that is sure enough to be told.", "Nothing was found.")


def blocks_of(result: VideoResult, options: VideoOptions, ours: Mapping[str, str] | None = None) -> list[Block]:
    """The result in reading order. A summary of one chapter is its overview, a short one too.

    `ours` are the words between the statements in the result's language.
    """
    word = {each: each for each in OURS} | dict(ours or {})
    found = [Block(result.title, 1, "heading"), *(_line(each) for each in result.overview)]
    chapters = result.chapters if result.task == "summarize" and options.summary_length != "short" else []
    if len(chapters) > 1:
        for each in chapters:
            found.append(Block(f"{span(each.start, each.end)} {each.title}", 2, "heading"))
            found += [_line(said) for said in each.statements]
    if result.scenes:
        found.append(Block(word["Scenes" if result.figures.shots else "Stretches"], 2, "heading"))
    for scene in result.scenes:
        again = f", the picture of scene {scene.same_as} again" if scene.same_as else ""
        shots = f", {scene.shots} shots" if scene.shots > 1 else ""
        found.append(Block(f"{scene.number}. {span(scene.start, scene.end)}{shots}{again}", 3, "heading"))
        found += [_line(each) for each in scene.statements] or [Block(word[OURS[3]])]
    for section in result.sections:
        found.append(Block(section.heading, 2, "heading"))
        found += [_line(each, "item") for each in section.statements] or [Block(word[OURS[4]])]
    if result.limits:
        found.append(Block(word["Limits"], 2, "heading"))
        found += [Block(each, 0, "item") for each in result.limits]
    return found


def _line(statement: Statement, kind: Literal["line", "item"] = "line") -> Block:
    return Block(statement.text, 0, kind, times_of(statement))


def times_of(statement: Statement) -> str:
    """The first places where it is so."""
    runs = list[tuple[float, float]]()
    for start, end in sorted((each.start, each.end) for each in statement.moments):
        if runs and start - runs[-1][1] <= _JOINED:
            runs[-1] = (runs[-1][0], max(runs[-1][1], end))
        else:
            runs.append((start, end))
    spans = list(dict.fromkeys(span(start, end) for start, end in runs))
    return ", ".join(spans[:3]) + (" …" if len(spans) > 3 else "")


def markdown(blocks: Sequence[Block]) -> str:
    pieces = list[str]()
    for each in blocks:
        text = plain(each.text) + (f" ({each.times})" if each.times else "")
        if each.kind == "item" and pieces and pieces[-1].startswith("- "):
            pieces[-1] += f"\n- {text}"
        else:
            pieces.append(f"{'#' * each.level} {text}" if each.level else f"- {text}" if each.kind == "item" else text)
    return "\n\n".join(pieces)


def text(blocks: Sequence[Block]) -> str:
    """Plain text: a title, paragraphs with their times, no markup."""
    pieces = list[str]()
    for each in blocks:
        line = each.text + (f" ({each.times})" if each.times else "")
        if each.level:
            pieces.append(f"\n{line.upper() if each.level < 3 else line}")
        else:
            pieces.append(f"- {line}" if each.kind == "item" else line)
    return "\n".join(pieces).strip()


def citations_of(result: VideoResult) -> list[Citation]:
    """The first moment of each statement, those of the overview first."""
    found = dict[tuple[str, float], Citation]()
    for each in result.statements:
        first = each.moments[0]
        if len(found) < CITED and first.end - first.start < result.duration:
            key = (each.text, first.start)
            found.setdefault(key, _citation(result, each, len(found) + 1))
    return list(found.values())


def _citation(result: VideoResult, statement: Statement, n: int) -> Citation:
    first = statement.moments[0]
    return Citation(
        n=n,
        source=result.name,
        media=result.media,
        modality=first.modality,
        text=statement.text,
        start=first.start,
        end=first.end,
        thumbnail=first.thumbnail,
        segment=first.segment,
    )


def file_name(result: VideoResult) -> str:
    return slug_of(result.title) or "video"
