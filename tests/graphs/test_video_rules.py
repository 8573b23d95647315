"""What rules say of a timeline: only what was seen or heard surely, each with its moments."""

from itertools import pairwise
from typing import Any

import pytest

from graphs.video import trust, wording
from graphs.video.analysing import figures_of, lasting
from graphs.video.asking import task_of
from graphs.video.chapters import chapters_of
from graphs.video.clauses import shortens
from graphs.video.condensing import telling
from graphs.video.files import cues_of
from graphs.video.joining import held
from graphs.video.observing import said
from graphs.video.options import Detail, VideoOptions
from graphs.video.sayings import heard, sayings
from graphs.video.scenes import scenes_of
from graphs.video.seeing import observe
from graphs.video.state import Statement
from graphs.video.telling import described
from ingestion.timeline import Pass, Timeline
from tests.graphs.video_home import TOUR, segment, shot, spoken, timeline, track

FULL = VideoOptions(detail_level="high")


def statements(*tracks: Any, segments: Any = (), shots: Any = ()) -> list[str]:
    seen = timeline(tracks=list(tracks), segments=list(segments), shots=list(shots) or [shot(0.0, 30.0)])
    return [each.text for each in observe(seen, FULL).statements]


def test_the_tour_in_statements() -> None:
    scenes = observe(TOUR, FULL).scenes
    assert [[each.text for each in scene.statements] for scene in scenes] == [
        [
            "Two people are in view.",
            "Text on screen: “CLEAN ROOM 4”.",
            "The camera pans left.",
            "Mostly grey and white tones.",
            "Heard: “This mirror was built at Goddard in Greenbelt.”",
            "Heard: “It has 18 segments.”",
        ],
        ["A cup is in view.", "The scene fades in.", "The picture is dark."],
        ["An animal is in view.", "Heard: “Each segment is coated with gold.”"],
    ]
    assert [scene.same_as for scene in scenes] == [None, None, 1]


@pytest.mark.parametrize("detail", ["low", "medium"])
def test_a_scene_of_which_nothing_else_is_seen_has_its_colours(detail: Detail) -> None:
    shots = [shot(0.0, 10.0, colours=["grey", "white"]), shot(10.0, 20.0, colours=["red"])]
    seen = timeline(20, tracks=[track("cup", 12.0, 18.0, 0.8)], shots=shots)
    options = VideoOptions(detail_level=detail)
    first, second = (described(each, options) for each in observe(seen, options).scenes)
    assert "Mostly grey and white tones." in [each.text for each in first.statements]
    assert [each.text for each in second.statements if "cup" in each.text or "tones" in each.text] == [
        "A cup is in view."
    ]


def test_every_statement_has_its_moments() -> None:
    by_id = {str(each.id): each for each in TOUR.segments}
    for each in observe(TOUR, FULL).statements:
        for moment in each.moments:
            assert 0 <= moment.start <= moment.end <= TOUR.duration
            if moment.modality in ("speech", "screen_text"):
                assert (by_id[moment.segment].start, by_id[moment.segment].end) == (moment.start, moment.end)
            else:
                assert moment.thumbnail is not None


@pytest.mark.parametrize(
    ("label", "sure", "looks", "text"),
    [
        ("cup", 0.7, 1, "A cup is in view."),
        ("cup", 0.57, 2, "A cup is in view."),
        ("cup", 0.57, 1, None),
        ("umbrella", 0.52, 5, None),
        ("dog", 0.52, 3, "An animal is in view."),
        ("dog", 0.45, 9, None),
        ("car", 0.5, 1, "A vehicle is in view."),
        ("person", 0.62, 1, "A person is in view."),
        ("person", 0.55, 9, None),
        ("face", 0.8, 1, "A person is in view."),
        ("face", 0.65, 9, None),
    ],
)
def test_what_is_believed(label: str, sure: float, looks: int, text: str | None) -> None:
    assert statements(track(label, 1, 9, sure, looks=looks, box=(0.4, 0.4, 0.6, 0.6)))[:1] == ([text] if text else [])


def test_an_unsure_person_with_a_sure_face_is_a_person() -> None:
    tracks = [track("person", 1, 9, 0.51), track("face", 1, 9, 0.9, box=(0.3, 0.3, 0.4, 0.4))]
    assert statements(*tracks) == ["A person is in view."]


@pytest.mark.parametrize(
    ("said", "told"),
    [("He fills the cups with tea.", "A cup is in view."), ("He fills the glass with tea.", None)],
)
def test_a_thing_that_is_spoken_of_needs_less_to_be_believed(said: str, told: str | None) -> None:
    seen = statements(track("cup", 1, 9, 0.45), segments=[spoken(said, 2, 6)])
    assert [each for each in seen if "view" in each] == ([told] if told else [])


def test_a_dim_or_red_picture_is_not_dark() -> None:
    assert statements(shots=[shot(0, 30, light="dark", brightness=0.2), shot(0, 30, light="dim", brightness=0.1)]) == []


def test_a_dark_slide_is_no_dark_picture() -> None:
    night = shot(0, 30, light="dark", brightness=0.05)
    assert statements(shots=[night]) == ["The picture is dark."]
    slide = segment("screen_text", "GATE TWELVE", 1, 29)
    assert statements(shots=[night], segments=[slide]) == ["Text on screen: “GATE TWELVE”."]


def test_people_are_counted_only_where_two_senses_agree() -> None:
    left, right = (0.1, 0.2, 0.4, 0.9), (0.5, 0.2, 0.8, 0.9)
    bodies = [track("person", 1, 9, 0.8, box=left), track("person", 1, 9, 0.8, box=right)]
    assert statements(*bodies) == ["At least two people are in view."]
    faces = [track("face", 1, 9, 0.9, box=(0.2, 0.3, 0.3, 0.4)), track("face", 1, 9, 0.9, box=(0.6, 0.3, 0.7, 0.4))]
    assert statements(*bodies, *faces) == ["Two people are in view."]
    assert statements(*bodies, faces[0]) == ["At least two people are in view."]


def test_one_after_the_other_is_not_two_at_once_and_found_twice_is_one() -> None:
    assert statements(track("person", 1, 4, 0.8), track("person", 5, 9, 0.8)) == ["A person is in view."]
    assert statements(track("person", 1, 9, 0.8), track("person", 1, 9, 0.7, box=(0.21, 0.2, 0.6, 0.8))) == [
        "A person is in view."
    ]


@pytest.mark.parametrize(
    ("text", "sure", "lines"),
    [
        ("CLEAN ROOM 4", 0.95, ["CLEAN ROOM 4"]),
        ("CLEAN ROOM 4", 0.85, []),
        ("8", 0.99, []),
        ("***", 0.99, []),
        ("a|/-\\", 0.99, []),
        ("Gate 12\nX1", 0.95, ["Gate 12"]),
        ("स्वागत है", 0.95, ["स्वागत है"]),
    ],
)
def test_texts_that_are_told(text: str, sure: float, lines: list[str]) -> None:
    assert trust.legible(text, sure) == lines


def test_a_text_that_stays_is_told_once() -> None:
    shots = [shot(0, 10), shot(10, 20)]
    segments = [segment("screen_text", "LIVE NEWS", 1, 9), segment("screen_text", "Live News", 11, 19)]
    assert statements(segments=segments, shots=shots) == ["Text on screen: “LIVE NEWS”."]


def test_actions_are_only_what_captions_say() -> None:
    caption = segment("caption", "a woman lifts a cup", 2, 8)
    assert statements(segments=[caption]) == ["A woman lifts a cup."]
    lively = shot(0, 30, motion=0.9, camera="still")
    assert statements(shots=[lively]) == ["There is much motion."]
    assert statements(shots=[shot(0, 30, motion=0.0, camera="unknown")]) == []


@pytest.mark.parametrize(
    ("camera", "motion", "seconds", "text"),
    [
        ("pan right", 0.05, 4.0, "The camera pans right."),
        ("pan right", 0.4, 4.0, None),
        ("pan right", 0.05, 1.2, None),
        ("shaky", 0.1, 4.0, None),
        ("still", 0.0, 4.0, "Hardly anything moves."),
    ],
)
def test_the_camera_is_told_where_nothing_else_could_look_like_it(
    camera: Any, motion: float, seconds: float, text: str | None
) -> None:
    assert statements(shots=[shot(0, seconds, camera=camera, motion=motion)]) == ([text] if text else [])


def test_sentences_cross_segments_but_not_pauses_or_speakers() -> None:
    run = [spoken("One and", 0, 1), spoken("two. Three", 1, 2), spoken("four.", 6, 7)]
    assert [(each.text, each.start, each.end) for each in sayings(run)] == [
        ("One and two.", 0, 2),
        ("Three", 1, 2),
        ("four.", 6, 7),
    ]
    two = [spoken("Hello", 0, 1, speaker="Speaker 1"), spoken("there.", 1, 2, speaker="Speaker 2")]
    assert [said(each).text for each in sayings(two)] == ["Speaker 1, heard: “Hello”", "Speaker 2, heard: “there.”"]


def test_a_speaker_is_named_beside_another_one_only() -> None:
    first, second = spoken("Hello.", 0, 1, speaker="A"), spoken("Hello you.", 3, 4, speaker="B")
    unknown = spoken("Hm.", 2, 2.5)
    alone, both = (timeline(5, segments=[first, *more]) for more in ([], [second]))
    assert [said(each).text for each in sayings(heard(alone))] == ["Heard: “Hello.”"]
    beside = timeline(5, segments=[first, unknown])
    assert [said(each).text for each in sayings(heard(beside))] == ["Heard: “Hello.”", "Heard: “Hm.”"]
    assert [said(each).text for each in sayings(heard(both))] == ["A, heard: “Hello.”", "B, heard: “Hello you.”"]
    assert [figures_of(each, sayings(heard(each))).speakers for each in (alone, both)] == [1, 2]


def test_what_was_heard_unsurely_is_left_out() -> None:
    assert "mumble" not in " ".join(each.text for each in heard(TOUR))


def test_many_shots_are_gathered_without_gaps() -> None:
    shots = [shot(float(n), float(n + 1)) for n in range(1_000)]
    scenes = scenes_of(timeline(1_000, shots=shots), 40)
    assert 20 <= len(scenes) <= 40
    assert scenes[0].start == 0
    assert scenes[-1].end == 1_000
    assert all(one.end == other.start for one, other in pairwise(scenes))
    assert sum(each.shots for each in scenes) == 1_000


def test_chapters_are_cut_where_the_words_change() -> None:
    ships = "The harbour is full of ships and sailors load the cargo on the ships."
    bread = "The baker kneads the dough and bakes the bread in the oven."
    segments = [spoken(ships if n < 30 else bread, 5.0 * n, 5.0 * n + 4.5) for n in range(60)]
    seen = timeline(300, segments=segments)
    one, two = chapters_of(seen, sayings(heard(seen)))
    assert (one.start, two.end) == (0.0, 300.0)
    assert one.end == pytest.approx(150, abs=6)
    assert "ships" in one.title.lower()
    assert "bread" in two.title.lower() or "dough" in two.title.lower()


def test_a_title_on_screen_names_a_chapter() -> None:
    seen = timeline(30, segments=[segment("screen_text", "The Kitchen", 1, 4)])
    assert [each.title for each in chapters_of(seen, [])] == ["The Kitchen"]
    assert [each.title for each in chapters_of(timeline(30), [])] == ["Part 1"]


def spoken_statements(*texts: str) -> list[Statement]:
    found = [said(each) for n, text in enumerate(texts) for each in sayings([spoken(text, 5.0 * n, 5.0 * n + 3)])]
    assert len(found) == len(texts)
    return found


def test_the_asked_subject_comes_first_and_nothing_comes_twice() -> None:
    every = spoken_statements(
        "The telescope has a mirror of gold and beryllium.",
        "The mirror of the telescope is of gold and beryllium.",
        "The lunch in the canteen was served at noon.",
    )
    assert len(telling(every, 3)) == 2
    assert telling(every, 1, ["lunch"]) == [every[2]]


MIRROR = (
    "The large mirror of the telescope was built at Goddard in Greenbelt by a team of engineers.",
    "It does not carry fuel for more than ten years of work in space.",
    "The sunshield opens after the launch.",
)


@pytest.mark.parametrize(
    ("draft", "kept"),
    [
        (
            "The large mirror of the telescope was built at Goddard in Greenbelt [1].",
            ["The large mirror of the telescope was built at Goddard in Greenbelt."],
        ),
        (
            "Large mirror of telescope was built at Goddard in Greenbelt by a team of engineers.",
            ["Large mirror of telescope was built at Goddard in Greenbelt by a team of engineers."],
        ),
        ("The large mirror was built by a team of engineers [1].", []),
        ("The mirror was built at Goddard in Greenbelt [1].", []),
        ("It does not carry fuel [2].", []),
        ("The mirror was built at Goddard in Paris [1].", []),
        ("The mirror was built at Goddard in 1999 [1].", []),
        ("Engineers built the mirror because Goddard is in Greenbelt [1].", []),
        ("The mirror was not built at Goddard [1].", []),
        ("It carries fuel for more than ten years [2].", []),
        ("The mirror at Goddard carries fuel for ten years [1][2].", []),
        ("The launch opens after the sunshield [3].", []),
        ("A happy crowd cheers loudly [1].", []),
        ("The sunshield opens after the launch.", ["The sunshield opens after the launch."]),
    ],
)
def test_a_model_may_shorten_and_add_nothing(draft: str, kept: list[str]) -> None:
    found = held(draft, spoken_statements(*MIRROR))
    assert [each.text for each in found] == [f"Heard, in short: {each}" for each in kept]
    assert all(each.by == "model" for each in found)


@pytest.mark.parametrize(
    ("shorter", "longer", "yes"),
    [
        ("They took wood blocks for centuries", "They took impressions from wood blocks for centuries", False),
        ("they took impressions", "For although they took impressions before others", True),
        ("It was like the present period.", "The period was so far like the present period.", False),
        ("The period was like ours", "In short, the period was like ours", True),
        ("She will come", "She will come if it rains", False),
        ("He came, the doctor left", "He came, smiling, the doctor left", True),
        ("The report is true", "The report is not true", False),
        ("The vote, she said, was lost", "The vote, she said, was nearly lost", False),
        ("They won the cup in May", "They won the cup, the third of the season, in May", True),
        ("B follows A today", "A follows B today", False),
    ],
)  # fmt: skip
def test_what_shortens_a_sentence(shorter: str, longer: str, yes: bool) -> None:
    assert shortens(shorter, longer) == yes


def test_long_cues_are_cut_evenly() -> None:
    text = " ".join(f"word{n}" for n in range(60))
    cues = cues_of(timeline(segments=[spoken(text, 0, 20)]))
    assert len(cues) > 3
    assert (cues[0].start, cues[-1].end) == (0, 20)
    assert all(one.end <= other.start + 0.01 for one, other in pairwise(cues))
    assert " ".join(each.text for each in cues) == text


@pytest.mark.parametrize(
    ("question", "task"),
    [
        ("What is in the video?", "describe"),
        ("Please summarise the video", "summarize"),
        ("Analyze the clip", "analyze"),
        ("Write a blog post from the video", "generate"),
        ("make subtitles for tour.mp4", "generate"),
    ],
)
def test_what_a_question_wants(question: str, task: str) -> None:
    assert task_of(question) == task


def test_shots_are_counted_only_where_every_frame_was_seen() -> None:
    shots = [shot(0, 10), shot(10, 30)]
    assert lasting_of(timeline(30, shots=shots)) == "The video lasts 30 s and has two shots."
    glance = [Pass(name="coarse", step=2.0)]
    assert lasting_of(timeline(30, shots=shots, passes=glance)) == "The video lasts 30 s and has about two shots."
    assert lasting_of(timeline(600, shots=shots)) == "The video lasts 10 min and has about two shots."


def lasting_of(seen: Timeline) -> str:
    return lasting(seen, figures_of(seen, [])).text


def test_counts_as_people_say_them() -> None:
    assert wording.counted("person", 3) == "at least three people"
    assert wording.counted("bus", 2, exact=True) == "two buses"
    assert (wording.one("umbrella"), wording.one("skis")) == ("an umbrella", "skis")
    assert [wording.seconds(each) for each in (16.64, 60, 725, 3780)] == ["16.6 s", "1 min", "12 min 5 s", "1 h 3 min"]
