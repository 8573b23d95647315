"""The video agent from medium to answer, over timelines made by hand and a scripted model that may misbehave."""

import io
from typing import Any

import pytest
from PIL import Image

from graphs.catalog import Ask, agents
from graphs.events import Answer, Evidence, Failure, RunFinished, Step
from graphs.runs import Runs
from graphs.video.answering import conclude
from ingestion.timeline import Timeline
from knowledge.library import LIBRARY, SourceChange
from knowledge.segment import Segment
from tests.graphs.conftest import ending, heard
from tests.graphs.video_home import TOUR, Interpreter, Scripted, of, shot, spoken, stored, timeline, told, viewers
from tools.errors import InvalidInput
from tools.events import ToolEvent
from tools.settings import Budget, Settings

pytestmark = pytest.mark.anyio

LECTURE_LINES = (
    "The telescope has a mirror with eighteen gold segments.",
    "Engineers at Goddard test each segment in a cold chamber.",
    "The sunshield is as large as a tennis court and has five layers.",
    "After the launch the telescope unfolds for two weeks in space.",
)


def lecture(minutes: int = 10) -> Timeline:
    """A long talk whose subjects change every two and a half minutes."""
    seconds = minutes * 60.0
    segments = list[Segment]()
    for n in range(int(seconds / 10)):
        line = LECTURE_LINES[int(n * 10 / (seconds / 4)) % 4]
        segments.append(spoken(f"{line} Look at picture {n + 100} of it.", 10.0 * n, 10.0 * n + 9.0))
    return timeline(seconds, shots=[shot(0.0, seconds)], segments=segments)


async def watched(runs: Runs, watch: Scripted, *timelines: Timeline) -> str:
    media = await stored(runs)
    watch.timelines = [of(media, each) for each in timelines]
    return media


async def test_a_video_is_described_scene_by_scene_with_its_files(settings: Settings) -> None:
    watch = Scripted([])
    async with viewers(settings, watch) as runs:
        media = await watched(runs, watch, TOUR.model_copy(update={"complete": False, "segments": []}), TOUR)
        answer, result, events = await told(runs, media, task="describe", budget=None)
        files = {each.name: await runs.bench.media.read(each.media) for each in answer.artefacts}
    assert ending(list(enumerate(events))).status == "done"
    assert ending(list(enumerate(events))).usage.chat_calls == 0
    assert (result.task, result.name, result.complete, len(result.scenes)) == ("describe", "tour.mp4", True, 3)
    assert "Two people are in view. (00:01-00:09)" in answer.text
    assert "No vision-language model is installed" in answer.text
    assert all(each.thumbnail and media in each.thumbnail for each in answer.citations if each.modality == "object")
    assert set(files) == {
        "tour-report.md", "tour-report.html", "tour-report.pdf", "tour-storyboard.jpg",
        "tour-chapters.vtt", "tour.vtt", "tour.srt", "tour-timeline.json",
    }  # fmt: skip
    assert Image.open(io.BytesIO(files["tour-storyboard.jpg"])).size == (3 * 328 + 8, 214 + 8)
    assert files["tour-chapters.vtt"].startswith(b"WEBVTT\n\n00:00:00.000 --> 00:00:30.000\nCLEAN ROOM 4")
    assert b"00:00:21,000 --> 00:00:25,000\nEach segment is coated with gold." in files["tour.srt"]
    assert Timeline.model_validate_json(files["tour-timeline.json"]) == watch.timelines[1]
    assert files["tour-report.pdf"].startswith(b"%PDF")


async def test_progress_and_first_sights_are_told_while_it_is_watched(settings: Settings) -> None:
    watch = Scripted([])
    async with viewers(settings, watch) as runs:
        media = await watched(runs, watch, TOUR, TOUR)
        _, _, events = await told(runs, media, budget=Budget(seconds=60), task="describe")
    states = [(each.tool, each.state) for each in events if isinstance(each, ToolEvent)]
    assert ("watch.frames", "progress") in states
    assert ("watch.frames", "finished") in states
    assert [len(each.moments) for each in events if isinstance(each, Evidence)] == [5, 5]
    assert [each.node for each in events if isinstance(each, Step) and each.state == "finished"] == [
        "plan", "watch", "observe", "tell",
    ]  # fmt: skip


async def test_what_is_left_out_is_left_out(settings: Settings) -> None:
    watch = Scripted([])
    async with viewers(settings, watch) as runs:
        media = await watched(runs, watch, TOUR)
        answer, result, _ = await told(runs, media, task="describe", include_objects=False, include_actions=False)
    assert "cup" not in answer.text
    assert "camera" not in answer.text
    assert "actions" not in " ".join(result.limits)


@pytest.mark.parametrize(
    ("kind", "headings", "scenes"),
    [
        ("people", ["People"], 0),
        ("objects", ["Objects"], 0),
        ("actions", ["Actions and motion"], 0),
        ("text", ["Text on screen"], 0),
        ("audio", ["Sound"], 0),
        ("narrative", ["Course"], 0),
        ("temporal", ["Rhythm and order"], 0),
        ("scenes", [], 3),
    ],
)
async def test_each_analysis(settings: Settings, kind: str, headings: list[str], scenes: int) -> None:
    watch = Scripted([])
    async with viewers(settings, watch) as runs:
        media = await watched(runs, watch, TOUR)
        answer, result, _ = await told(runs, media, task="analyze", analysis_type=kind, output_format="markdown")
    assert [each.heading for each in result.sections] == headings
    assert all(each.statements for each in result.sections)
    assert len(result.scenes) == scenes
    assert answer.text.startswith("# tour\n")


async def test_the_typed_result_has_moments_for_every_statement(settings: Settings) -> None:
    watch = Scripted([])
    async with viewers(settings, watch) as runs:
        media = await watched(runs, watch, TOUR)
        answer, result, _ = await told(runs, media, task="analyze", output_format="json")
    assert len(result.sections) == 7
    assert all(each.moments for each in result.statements)
    assert "#" not in answer.text
    assert result.figures.model_dump(include={"shots", "fades", "repeated_shots", "languages"}) == {
        "shots": 3, "fades": 1, "repeated_shots": 1, "languages": ["en"],
    }  # fmt: skip


async def test_a_long_talk_is_summarised_chapter_by_chapter(settings: Settings) -> None:
    """The model shortens each chapter and then the whole; what it adds is not taken."""
    script: list[dict[str, Any]] = [
        {
            "when": "gold segments",
            "say": "The telescope has a mirror [1]. It cost ten billion [2].",
            "times": 1,
        },
        {"when": "cold chamber", "say": "Everybody was happy [1].", "times": 1},
        {"when": "in short", "say": "The mirror has gold segments [1].", "times": 1},
        {"say": "Nothing to the point."},
    ]
    watch = Scripted([])
    async with viewers(settings, watch, script) as runs:
        media = await watched(runs, watch, lecture())
        answer, result, events = await told(runs, media, task="summarize", summary_length="medium")
    assert 4 <= len(result.chapters) <= 5
    assert ending(list(enumerate(events))).usage.chat_calls <= 5
    assert "Heard, in short: The telescope has a mirror." in answer.text
    assert "billion" not in answer.text
    assert "happy" not in answer.text
    covered = [each.moments[0].start for chapter in result.chapters for each in chapter.statements]
    assert covered == sorted(covered)
    assert max(covered) >= 400
    for chapter in result.chapters:
        assert all(chapter.start <= each.moments[0].start <= chapter.end for each in chapter.statements)


@pytest.mark.parametrize("fail", ["garbage", "empty", "endless", "error"])
async def test_without_a_usable_model_the_rules_stand(settings: Settings, fail: str) -> None:
    watch = Scripted([])
    async with viewers(settings, watch, [{"fail": fail}]) as runs:
        media = await watched(runs, watch, lecture(10))
        answer, result, events = await told(runs, media, task="summarize", summary_length="short")
    assert ending(list(enumerate(events))).usage.chat_calls == 1
    assert ending(list(enumerate(events))).status == "done"
    assert all(each.by == "rule" for each in result.statements)
    assert "Heard: “" in answer.text


async def test_a_short_talk_costs_a_small_model_nothing(settings: Settings) -> None:
    watch = Scripted([])
    async with viewers(settings, watch, [{"say": "Never asked."}]) as runs:
        media = await watched(runs, watch, lecture(3))
        _, result, events = await told(runs, media, task="summarize")
    assert ending(list(enumerate(events))).usage.chat_calls == 0
    assert len(result.overview) > 3


async def test_a_focus_that_is_not_there_is_said(settings: Settings) -> None:
    watch = Scripted([])
    async with viewers(settings, watch) as runs:
        media = await watched(runs, watch, TOUR)
        answer, result, _ = await told(runs, media, task="summarize", focus_areas=["gold", "whales"])
    assert "coated with gold" in answer.text
    assert [each for each in result.limits if "speaks of" in each] == [
        "Nothing that is seen, read or said speaks of 'whales'."
    ]


PIECE = [
    {"when": "section headings", "say": "The Mirror\nHow it was made\nWhat it has"},
    {"say": "This mirror was built at Goddard in Greenbelt. Napoleon paid for it in 1805. It has 18 segments."},
]


@pytest.mark.parametrize("kind", ["article", "blog", "report", "social_post"])
async def test_pieces_say_only_what_the_video_says(settings: Settings, kind: str) -> None:
    watch = Scripted([])
    async with viewers(settings, watch, PIECE) as runs:
        media = await watched(runs, watch, TOUR)
        answer, result, events = await told(
            runs, media, task="generate", content_type=kind, target_length="short", style="casual"
        )
    assert answer.answered
    assert "Goddard" in answer.text
    assert "Napoleon" not in answer.text
    assert result.content is not None
    assert result.content.style == "casual"
    assert {each.media for each in answer.citations} == {media}
    assert all(each.start is not None for each in answer.citations)
    assert {each.node for each in events if isinstance(each, Step)} > {"compose/outline", "compose/write"}
    assert {each.name.rpartition(".")[2] for each in answer.artefacts} == {"md", "html", "pdf"}


async def test_titles_and_headings_are_held_to_the_video_too(settings: Settings) -> None:
    script = [
        {"when": "section headings", "say": "The Great Gatsby\nThe mirror\nParties on Long Island"},
        {"say": "The mirror was built at Goddard [1]."},
    ]
    watch = Scripted([])
    async with viewers(settings, watch, script) as runs:
        media = await watched(runs, watch, lecture(4))
        answer, result, _ = await told(runs, media, task="generate", content_type="article", target_length="short")
    assert answer.text.startswith("# tour\n")
    assert "## The mirror\n" in answer.text
    assert "Gatsby" not in answer.text
    assert "Parties" not in answer.text
    assert result.title == "tour"


async def test_what_the_writer_left_out_stands_in_the_videos_words(settings: Settings) -> None:
    script = [PIECE[0], {"say": "The telescope has a mirror with eighteen gold segments [1]."}]
    watch = Scripted([])
    async with viewers(settings, watch, script) as runs:
        media = await watched(runs, watch, lecture(4))
        answer, result, _ = await told(runs, media, task="generate", content_type="report", target_length="short")
    assert "## In the video's own words\n\n- “" in answer.text
    assert "tennis court" in answer.text
    assert result.content is not None
    assert result.content.words > 60


async def test_a_story_says_that_it_is_one(settings: Settings) -> None:
    watch = Scripted([])
    async with viewers(settings, watch, [{"say": "Once the mirror dreamt of stars. " * 3}]) as runs:
        media = await watched(runs, watch, TOUR)
        answer, _, _ = await told(runs, media, task="generate", content_type="story", target_length="short")
    assert "it is no description of it" in answer.text


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("transcript", "**00:04** This mirror was built at Goddard in Greenbelt. It has 18 segments."),
        ("subtitles", "2\n00:00:07,000 --> 00:00:09,500\nin Greenbelt."),
        ("study_notes", "1. This mirror was built at Goddard in \\_\\_\\_\\_."),
        ("script", "## SCENE 1 - 00:00-00:10\n\nTwo people are in view."),
    ],
)
async def test_pieces_that_need_no_model(settings: Settings, kind: str, words: str) -> None:
    watch = Scripted([])
    async with viewers(settings, watch) as runs:
        media = await watched(runs, watch, TOUR)
        answer, _, events = await told(runs, media, task="generate", content_type=kind)
    assert words in answer.text
    assert ending(list(enumerate(events))).usage.chat_calls == 0
    assert {"tour.vtt", "tour.srt"} <= {each.name for each in answer.artefacts}


async def test_a_silent_film_has_no_transcript_and_a_recording_no_scenes(settings: Settings) -> None:
    watch = Scripted([])
    silent = TOUR.model_copy(update={"segments": []})
    sound = TOUR.model_copy(update={"shots": [], "tracks": []})
    async with viewers(settings, watch) as runs:
        media = await watched(runs, watch, silent)
        answer, _, _ = await told(runs, media, task="generate", content_type="transcript")
        assert (answer.answered, answer.text) == (
            False, "Nothing that could be understood is said in this video, so there is no transcript.",
        )  # fmt: skip
        watch.timelines = [of(media, sound)]
        answer, result, _ = await told(runs, media, task="describe")
    assert result.limits[0] == "There is no picture that could be watched: only what is heard is told."
    assert "STRETCHES" in answer.text
    assert "built at Goddard" in answer.text
    assert "The recording lasts 30 s." in answer.text


async def test_watching_that_takes_too_long_is_told_as_far_as_it_came(settings: Settings) -> None:
    watch = Scripted([], delay=1.5)
    async with viewers(settings, watch) as runs:
        media = await watched(runs, watch, TOUR, TOUR, TOUR)
        answer, result, events = await told(runs, media, task="describe", budget=Budget(seconds=3))
    assert ending(list(enumerate(events))).status == "done"
    assert "Two people" in answer.text
    assert not result.complete
    assert result.limits[-1] == "The run's 3 s ended the watching early."


async def test_what_the_watching_refuses_is_the_runs_failure(settings: Settings) -> None:
    refusal = InvalidInput("This machine needs at least 400 s per hour of video.", remedy="Raise `budget`.")
    watch = Scripted([], fails=refusal)
    async with viewers(settings, watch) as runs:
        media = await watched(runs, watch)
        run = await runs.start("video", Ask(question="x", sources=[media], options={"budget": 10}))
        events = [event for _, event in await heard(runs, run)]
    assert watch.asked[0]["budget"] == 10
    failure = next(event for event in events if isinstance(event, Failure))
    assert (failure.message, failure.code) == (refusal.message, "invalid_input")
    assert isinstance(events[-1], RunFinished)
    assert events[-1].status == "failed"


async def test_another_tenants_video_is_not_there(settings: Settings) -> None:
    watch = Scripted([])
    async with viewers(settings, watch) as runs:
        media = await watched(runs, watch, TOUR)
        run = await runs.start("video", Ask(question="x", sources=[media]), tenant="other")
        events = [event for _, event in await heard(runs, run, tenant="other")]
        assert [event.code for event in events if isinstance(event, Failure)] == ["not_found"]
        assert watch.asked == []


async def test_a_language_that_nothing_here_speaks_is_refused_first(settings: Settings) -> None:
    watch = Scripted([])
    async with viewers(settings, watch) as runs:
        media = await watched(runs, watch, TOUR)
        run = await runs.start("video", Ask(question="x", sources=[media], options={"language": "ta"}))
        events = [event for _, event in await heard(runs, run)]
    assert [event.code for event in events if isinstance(event, Failure)] == ["not_installed"]
    assert watch.asked == []


async def test_an_answer_in_another_language(settings: Settings) -> None:
    watch, tongue = Scripted([]), Interpreter()
    async with viewers(settings, watch, host=tongue) as runs:
        media = await watched(runs, watch, TOUR)
        answer, result, _ = await told(runs, media, task="describe", language="ta")
        assert result.language == "ta"
        assert all(each.text.startswith("ta:") for each in result.statements)
        assert "TA:SCENES" in answer.text
        assert "ta:Two people are in view. (00:01-00:09)" in answer.text
        answer, result, _ = await told(runs, media, task="generate", content_type="subtitles", language="hi")
        assert "00:00:21,000 --> 00:00:25,000\nhi:Each segment is coated with gold." in answer.text
        assert "What is said was translated into Hindi." in result.limits
        answer, _, _ = await told(runs, media, task="generate", content_type="study_notes", language="hi")
        assert answer.text.startswith("hi:# tour")
    assert max(len(each.all) for each in tongue.asked) <= 500


async def test_a_chat_names_the_video(settings: Settings) -> None:
    watch = Scripted([])
    async with viewers(settings, watch) as runs:
        media = await watched(runs, watch, TOUR)
        library = runs.bench.part(LIBRARY)
        await library.put("local", "kb", media, SourceChange(name="tour.mp4", kind="video", state="ready"))
        await library.put("local", "kb", "c" * 64, SourceChange(name="other.mp4", kind="video", state="ready"))
        assert await _status(runs, "Summarise tour.mp4") == ("done", "summarize tour.mp4")
        events = [event for _, event in await heard(runs, await runs.start("video", "Summarise it"))]
    answer = next(event for event in events if isinstance(event, Answer))
    assert not answer.answered
    assert "Several videos could be meant: " in answer.text


async def _status(runs: Runs, question: str) -> tuple[str, str]:
    events = [event for _, event in await heard(runs, await runs.start("video", question))]
    notes = [each.note for each in events if isinstance(each, Step) and each.node == "plan" and each.state != "started"]
    return ending(list(enumerate(events))).status, notes[0]


async def test_a_killed_host_goes_on(settings: Settings) -> None:
    """The run is logged before it is watched; the next host takes it up and ends it."""
    slow, quick = Scripted([], delay=30), Scripted([])
    async with viewers(settings, slow) as runs:
        media = await watched(runs, slow, TOUR)
        run = await runs.start("video", Ask(question="x", sources=[media], options={"task": "describe"}))
        await slow.begun.wait()
        quick.timelines = slow.timelines
    async with viewers(settings, quick) as runs:
        events = [event for _, event in await heard(runs, run)]
    assert ending(list(enumerate(events))).status == "done"
    assert any(isinstance(event, Answer) and "Two people" in event.text for event in events)


async def test_a_cancelled_run_tells_what_it_has(settings: Settings) -> None:
    slow = Scripted([], delay=30)
    async with viewers(settings, slow) as runs:
        media = await watched(runs, slow, TOUR)
        run = await runs.start("video", Ask(question="x", sources=[media]))
        await slow.begun.wait()
        await runs.cancel(run)
        events = [event for _, event in await heard(runs, run)]
    assert ending(list(enumerate(events))).status == "cancelled"
    answer = next(event for event in events if isinstance(event, Answer))
    assert not answer.answered
    assert "What was seen is kept" in answer.text


def test_an_unfinished_state_tells_its_chapters() -> None:
    from graphs.video.options import VideoOptions
    from graphs.video.seeing import observe

    answer = conclude({"chapters": observe(TOUR, VideoOptions()).chapters, "name": "tour.mp4"}, "")
    assert answer is not None
    assert answer.answered
    assert "Two people are in view." in answer.text


def test_it_is_an_agent_like_the_others() -> None:
    every = agents()
    assert every["video"].result is not None
    assert "video" in every["router"].parts
    with pytest.raises(InvalidInput, match="detail_level"):
        every["video"].check(Ask(question="x", options={"detail_level": "very high"}))


def test_forms_spell_lists_and_kinds_in_many_ways() -> None:
    from graphs.video.options import VideoOptions

    for given in ("gold, cups", ["gold", "cups"], '["gold", "cups"]', ["gold,cups"]):
        assert VideoOptions.model_validate({"focus_areas": given}).focus_areas == ["gold", "cups"]
    for kind in ("Blog Post", "blog", "blog-post"):
        assert VideoOptions.model_validate({"content_type": kind}).content_type == "blog"
