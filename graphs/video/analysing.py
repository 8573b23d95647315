"""The observations gathered by what is asked: people, things, text, sound, order, rhythm."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from graphs.video import wording
from graphs.video.condensing import telling
from graphs.video.observing import Observer, moment_of_shot
from graphs.video.options import AnalysisType
from graphs.video.sayings import Saying, speakers_of
from graphs.video.state import About, Chapter, Figures, Moment, Scene, Section, Statement
from ingestion.timeline import Timeline
from knowledge.segment import moment
from tools.voice.casting import NAMES
from tools.writing.text import words

_SECTION = 60
"""Statements of a section; the timeline has all."""


_EXACT_UNTIL = 300.0
"""Seconds of the longest video whose every frame is decoded; of longer ones only keyframes are."""


@dataclass(frozen=True)
class Observed:
    """A timeline with its scenes, their statements, and its chapters."""

    timeline: Timeline
    scenes: list[Scene]
    spoken: list[Saying]
    chapters: list[Chapter]

    @property
    def statements(self) -> list[Statement]:
        return [each for scene in self.scenes for each in scene.statements]


def observed(timeline: Timeline, scenes: Sequence[Scene], observer: Observer, chapters: Sequence[Chapter]) -> Observed:
    """Scenes and chapters with their statements. Without a picture the chapters stand for scenes."""
    bare = list(scenes) or [
        Scene(number=each.number, start=each.start, end=each.end, shots=0, image=each.image) for each in chapters
    ]
    told = [each.model_copy(update={"statements": observer.scene(each)}) for each in bare]
    every = [each for scene in told for each in scene.statements]
    filled = [each.model_copy(update={"statements": _within(each, every, timeline.duration)}) for each in chapters]
    return Observed(timeline, told, observer.spoken, filled)


def _within(chapter: Chapter, statements: Sequence[Statement], duration: float) -> list[Statement]:
    """What begins in a chapter, each sentence once; the last one has its end too."""
    end = chapter.end if chapter.end < duration else float("inf")
    found = [each for each in statements if chapter.start <= each.moments[0].start < end]
    return joined(found)


def figures_of(timeline: Timeline, spoken: Sequence[Saying]) -> Figures:
    shots = timeline.shots
    speech = _union([(each.start, each.end) for each in spoken])
    languages = [each.language for each in timeline.segments if each.modality == "speech" and each.language]
    kinds = [each.transition for each in shots]
    return Figures(
        shots=len(shots),
        mean_shot_seconds=round(sum(each.end - each.start for each in shots) / len(shots), 2) if shots else None,
        cuts=kinds.count("cut"),
        fades=kinds.count("fade"),
        dissolves=kinds.count("dissolve"),
        repeated_shots=sum(each.repeats is not None for each in shots),
        speech_share=round(min(speech / timeline.duration, 1.0), 3) if timeline.duration else 0.0,
        words=sum(len(words(each.text)) for each in spoken),
        languages=sorted(dict.fromkeys(languages), key=lambda each: -languages.count(each)),
        speakers=len(speakers_of(timeline)),
    )


def _union(spans: Sequence[tuple[float, float]]) -> float:
    """Seconds that are covered by stretches which may overlap."""
    total, until = 0.0, 0.0
    for start, end in sorted(spans):
        total += max(end - max(start, until), 0.0)
        until = max(until, end)
    return total


def sections_of(kind: AnalysisType, seen: Observed, figures: Figures) -> list[Section]:
    """The sections of one kind of analysis, or of all; one that found nothing is left out of all of them."""
    makers: Mapping[str, Callable[[Observed, Figures], list[Statement]]] = {
        "people": lambda seen, _: _kind(seen, "people"),
        "objects": lambda seen, _: _kind(seen, "objects"),
        "actions": lambda seen, _: _kind(seen, "actions", "camera"),
        "text": lambda seen, _: _kind(seen, "text"),
        "audio": _audio,
        "narrative": lambda seen, _: narrative(seen),
        "temporal": _temporal,
    }
    if kind == "scenes":
        return []
    chosen = makers if kind == "comprehensive" else {kind: makers[kind]}
    sections = [Section(heading=_HEADINGS[name], statements=make(seen, figures)) for name, make in chosen.items()]
    return [each for each in sections if each.statements or kind != "comprehensive"]


_HEADINGS = {
    "people": "People",
    "objects": "Objects",
    "actions": "Actions and motion",
    "text": "Text on screen",
    "audio": "Sound",
    "narrative": "Course",
    "temporal": "Rhythm and order",
}


def _kind(seen: Observed, *about: About) -> list[Statement]:
    return joined([each for each in seen.statements if each.about in about])[:_SECTION]


def joined(statements: Sequence[Statement]) -> list[Statement]:
    """Statements that say the same of several places once, with all of their moments."""
    found = dict[str, Statement]()
    for each in statements:
        before = found.get(each.text)
        moments = [*before.moments, *each.moments][:40] if before else each.moments
        found[each.text] = each.model_copy(update={"moments": moments})
    return list(found.values())


def narrative(seen: Observed, each_chapter: int = 3) -> list[Statement]:
    """The most telling statements of each chapter, in order."""
    found = list[Statement]()
    for chapter in seen.chapters:
        useful = [each for each in chapter.statements if each.about not in ("camera", "light", "scene")]
        found += telling(useful, each_chapter)
    return found[:_SECTION]


def _audio(seen: Observed, figures: Figures) -> list[Statement]:
    whole = whole_of(seen.timeline)
    said = [each for each in seen.statements if each.about == "speech"]
    found = list[Statement]()
    if said:
        share = f"{figures.speech_share:.0%} of the video is speech, {figures.words} words"
        tongues = (
            f", in {wording.listed([NAMES.get(each, each) for each in figures.languages])}" if figures.languages else ""
        )
        found.append(Statement(text=f"{share}{tongues}.", about="speech", moments=[whole]))
    if figures.speakers > 1:
        voices = f"{wording.number(figures.speakers)} speakers were told apart."
        found.append(Statement(text=wording.sentence(voices), about="speech", moments=[whole]))
    sounds = [each for each in seen.statements if each.about == "sound"]
    return [*found, *joined(sounds), *telling(said, 12)][:_SECTION]


def _temporal(seen: Observed, figures: Figures) -> list[Statement]:
    timeline, found = seen.timeline, [lasting(seen.timeline, figures)]
    if figures.shots > 1 and exact_cuts(timeline):
        text = f"A shot lasts {wording.seconds(figures.mean_shot_seconds or 0.0)} on average"
        found.append(Statement(text=f"{text}.", about="scene", moments=[whole_of(timeline)]))
        longest = max(timeline.shots, key=lambda shot: shot.end - shot.start)
        text = f"The longest shot lasts {wording.seconds(longest.end - longest.start)}"
        found.append(Statement(text=f"{text}.", about="scene", moments=[moment_of_shot(longest)]))
    for each in timeline.shots:
        if each.repeats is not None and each.repeats < len(timeline.shots):
            earlier = timeline.shots[each.repeats]
            text = f"The shot of {moment(earlier.start)} is shown again at {moment(each.start)}."
            found.append(Statement(text=text, about="scene", moments=[moment_of_shot(each), moment_of_shot(earlier)]))
    found += _silences(seen)
    return found[:_SECTION]


def _silences(seen: Observed) -> list[Statement]:
    """The long stretches without speech in a video that has speech."""
    if not seen.spoken:
        return []
    edges = [(0.0, 0.0), *((each.start, each.end) for each in seen.spoken), (seen.timeline.duration,) * 2]
    gaps = [(one[1], other[0]) for one, other in pairwise(edges) if other[0] - one[1] >= 10.0]
    return [
        Statement(
            text=f"Nothing that could be understood is said from {moment(start)} to {moment(end)}.",
            about="speech",
            moments=[Moment(start=start, end=end, modality="speech")],
        )
        for start, end in gaps[:10]
    ]


def lasting(timeline: Timeline, figures: Figures) -> Statement:
    """How long the video is, and of how many shots."""
    what = "The video" if timeline.shots else "The recording"
    text = f"{what} lasts {wording.seconds(timeline.duration)}"
    if figures.shots:
        about = "" if exact_cuts(timeline) else "about "
        text += f" and has {about}{wording.number(figures.shots)} shot{'' if figures.shots == 1 else 's'}"
    return Statement(text=f"{text}.", about="scene", moments=[whole_of(timeline)])


def exact_cuts(timeline: Timeline) -> bool:
    """Whether every frame was looked at for cuts: in a whole pass over a short video."""
    return timeline.duration <= _EXACT_UNTIL and any(each.name == "full" for each in timeline.passes)


def whole_of(timeline: Timeline) -> Moment:
    return Moment(start=0.0, end=timeline.duration, modality="scene")
