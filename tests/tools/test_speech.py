"""Windows, turns and loops on made-up sound; Whisper and Silero on real recordings."""

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.evals.words import word_errors
from tools.catalog import Row
from tools.errors import InvalidInput
from tools.speech import RATE, Heard, ListenOptions, Pcm, Span, Word
from tools.speech.batched import Batched, phrases
from tools.speech.coverage import Pace
from tools.speech.repeats import Echoes, is_loop
from tools.speech.script import fidelity, prompt_for
from tools.speech.scripted import Loudness, ScriptedSpeech
from tools.speech.silero import close_gaps, hysteresis, padded, runs
from tools.speech.windows import quietest, windows

Engine = Callable[[str], Any]
Sound = Callable[[str], NDArray[np.float32]]

TWO_CITIES = """It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of
foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season
of Darkness, it was the spring of hope, it was the winter of despair, we had everything before us, we had nothing before
us, we were all going direct to Heaven, we were all going direct the other way—in short, the period was so far like the
present period, that some of its noisiest authorities insisted on its being received, for good or for evil, in the
superlative degree of comparison only."""
BECKETT = "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better."


def noise(seconds: float, loud: float = 0.1) -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(0, loud, int(seconds * RATE)).astype(np.float32)


def test_windows_pack_near_turns_and_keep_far_ones_apart() -> None:
    turns = [Span(1, 4), Span(5, 8), Span(20, 22), Span(23, 50.5)]
    assert windows(noise(60), turns) == [Span(1, 8), Span(20, 22), Span(23, 50.5)]


def test_a_long_turn_is_cut_where_it_is_quiet() -> None:
    audio = noise(70)
    audio[int(27.9 * RATE) : int(28.3 * RATE)] = 0
    cuts = windows(audio, None)
    assert cuts[0].start == 0
    assert cuts[0].end == pytest.approx(28.1, abs=0.2)
    assert cuts[-1].end == 70
    assert all(before.end == after.start for before, after in pairwise(cuts))
    assert all(each.end - each.start <= 30 for each in cuts)


@pytest.mark.parametrize("longest", [0.5, 2.0, 4.9, 5.0, 9.0])
def test_short_windows_go_forward_too(longest: float) -> None:
    cuts = windows(noise(20), [Span(3, 17)], longest=longest, gap=0)
    assert (cuts[0].start, cuts[-1].end) == (3, 17)
    assert all(before.end == after.start for before, after in pairwise(cuts))
    assert all(0 < each.end - each.start <= longest + 1e-6 for each in cuts)


def test_turns_beyond_the_sound_are_not_windows() -> None:
    assert windows(noise(2), [Span(1, 9), Span(5, 9)]) == [Span(1, 2)]
    assert windows(noise(0), None) == []
    assert quietest(noise(0.05), 0, 0.05) == 0.05


def test_hysteresis_holds_between_its_thresholds() -> None:
    values = np.array([0.4, 0.6, 0.4, 0.4, 0.3, 0.4, 0.9, 0.2], dtype=np.float32)
    flags = hysteresis(values, 0.5, 0.35)
    assert flags.tolist() == [False, True, True, True, False, False, True, False]
    assert runs(flags).tolist() == [[1, 4], [6, 7]]


def test_short_gaps_close_and_padding_stops_in_the_middle_of_a_silence() -> None:
    spans = np.array([[1.0, 2.0], [2.3, 3.0], [3.5, 4.0]])
    closed = close_gaps(spans, 0.4)
    assert closed.tolist() == [[1.0, 3.0], [3.5, 4.0]]
    assert padded(closed, 0.5, 4.2).tolist() == [[0.5, 3.25], [3.25, 4.2]]


@pytest.mark.parametrize(
    ("text", "loop"),
    [
        ("so so so so so", True),
        ("Thank you. Thank you. Thank you. Thank you.", True),
        ("and then he said that " * 6, True),
        ("अच्छा अच्छा अच्छा अच्छा", True),
        ("no no, that is not what I meant", False),
        (
            "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of folly",
            False,
        ),
        ("", False),
    ],
)
def test_loops(text: str, loop: bool) -> None:
    assert is_loop(text) is loop


def test_the_third_telling_is_no_news() -> None:
    echoes = Echoes()
    assert [echoes.is_news(text) for text in ("Yes.", "yes", "Yes!", "No.", "Yes.", "...")] == [
        True,
        True,
        False,
        True,
        True,
        False,
    ]


def test_a_text_too_short_for_its_speech_is_told_by_the_pace() -> None:
    pace = Pace()
    for _ in range(4):
        assert not pace.is_slow("few", 8)
        pace.learn("twenty-two letters, then", 2)
    assert pace.is_slow("few letters", 7)
    assert not pace.is_slow("twenty-two letters, then twenty-two letters, then twenty-two", 7)
    assert not pace.is_slow("सत्रह अक्षर और उनकी मात्राएँ, फिर भी उतने ही शब्द जितने चाहिए", 7)


def timed(text: str, pace: float = 0.5) -> Heard:
    words = [Word(n * pace, (n + 1) * pace, each, 0.9) for n, each in enumerate(text.split())]
    return Heard(0.0, words[-1].end, text, "en", 0.9, words)


def test_a_window_of_a_batch_whose_text_is_too_short_is_heard_again_by_halves() -> None:
    said = {n: f"sentence {n} is said in this window, ten words long" for n in range(7)}
    passes = list[list[float]]()

    def hear(sounds: list[Pcm], options: list[ListenOptions]) -> list[Heard | None]:
        passes.append([round(len(sound) / RATE, 1) for sound in sounds])
        if passes[-1] == [5.0, 5.0]:
            return [timed("its first half is this"), timed("and its second half is that")]
        starts = [round(float(sound[0]) * 100 / 12) for sound in sounds]
        return [timed("Ten.") if n == 5 else timed(said[n]) for n in starts]

    audio = (np.arange(84 * RATE) / RATE / 100).astype(np.float32)
    turns = [Span(at, at + 5) for at in range(0, 84, 6)]
    heard = list(Batched(hear, 8).listen(audio, ListenOptions(language="en", windows=turns)))
    # the first text is early
    assert passes == [[11.0], [11.0] * 6, [5.0, 5.0]]
    assert [each.text for each in heard] == [
        *[said[n] for n in range(5)], "its first half is this", "and its second half is that", said[6],
    ]  # fmt: skip
    assert [heard[5].start, heard[6].start] == [60.0, 66.0]


@pytest.mark.parametrize(("hurry", "sizes"), [(True, [1, 3, 1]), (False, [3, 2])])
def test_the_first_window_is_alone_where_somebody_waits_for_it(hurry: bool, sizes: list[int]) -> None:
    heard = list[int]()

    def hear(sounds: list[Pcm], options: list[ListenOptions]) -> list[Heard | None]:
        heard.append(len(sounds))
        return [Heard(0.0, 5.0, f"Number {len(heard)} of {len(sounds)}.", "en", 0.9, []) for _ in sounds]

    turns = [Span(at, at + 5.0) for at in range(0, 75, 15)]
    list(Batched(hear, 3).listen(noise(75), ListenOptions(language="en", windows=turns, hurry=hurry)))
    assert heard == sizes


def test_a_window_ends_up_in_phrases_with_nothing_lost() -> None:
    text = "No! No! No! Is this “the end”? One two three four five six seven, eight nine ten, twelve thirteen."
    whole = timed(text, 0.9)
    said = list(phrases(whole, keep_words=False))
    assert [each.text for each in said] == [
        "No!", "No!", "No!", "Is this “the end”?", "One two three four five six seven,",
        "eight nine ten, twelve thirteen.",
    ]  # fmt: skip
    assert [word for each in phrases(whole, keep_words=True) for word in each.words] == whole.words
    assert all(before.end == after.start for before, after in pairwise(said))
    # Japanese has no spaces between what a recogniser calls words
    japanese = Heard(0, 2, "はい。そうです。", "ja", 0.9, [Word(0, 1, "はい。", 0.9), Word(1, 2, "そうです。", 0.9)])
    assert [each.text for each in phrases(japanese, keep_words=False)] == ["はい。", "そうです。"]


def test_scripted_speech_fills_the_windows_that_loudness_finds() -> None:
    row = Row(
        id="s", title="S", capability="speech-to-text", engine="a:b", licence="x", commercial=True,
        options={"script": "one two\nthree"},
    )  # fmt: skip
    audio = np.concatenate((noise(1), np.zeros(RATE * 5, np.float32), noise(1)))
    turns = Loudness(row, {}, "cpu").turns(audio)
    assert [round(turn.start) for turn in turns] == [0, 6]
    heard = list(ScriptedSpeech(row, {}, "cpu").transcribe(audio, ListenOptions(windows=turns, words=True)))
    assert [each.text for each in heard] == ["one two", "three"]
    assert [word.text for word in heard[0].words] == ["one", "two"]


@pytest.mark.weights
def test_silero_finds_the_six_phrases(engine: Engine, sound: Sound) -> None:
    turns = engine("silero-vad").turns(sound("beckett.wav"))
    starts = [0.15, 1.7, 3.3, 4.7, 6.45, 7.95]
    assert [turn.start for turn in turns] == pytest.approx(starts, abs=0.15)
    assert all(before.end <= after.start for before, after in pairwise(turns))


@pytest.mark.weights
def test_silero_hears_no_speech_in_noise_or_nothing(engine: Engine) -> None:
    vad = engine("silero-vad")
    assert vad.turns(noise(5)) == []
    assert vad.turns(np.zeros(0, dtype=np.float32)) == []
    assert vad.turns(np.zeros(100, dtype=np.float32)) == []


@pytest.mark.weights
def test_silero_is_the_same_in_blocks_and_fast(engine: Engine, sound: Sound) -> None:
    vad, audio = engine("silero-vad"), sound("two_cities.wav")
    began = time.process_time()
    whole = vad.probabilities(audio)
    spent = time.process_time() - began
    assert len(whole) == -(-len(audio) // 512)
    assert len(audio) / RATE / spent > 60
    # the first block knows nothing of what follows
    first = vad.probabilities(audio[: 512 * 512])
    np.testing.assert_allclose(whole[:512], first, atol=1e-5)


@pytest.mark.weights
@pytest.mark.parametrize("options", [{}, {"batch": 4}, {"words": True}, {"beam": 5}])
def test_whisper_hears_real_speech(engine: Engine, sound: Sound, options: dict[str, Any]) -> None:
    audio = sound("two_cities.wav")
    turns = engine("silero-vad").turns(audio)
    heard = list(engine("whisper-base").transcribe(audio, ListenOptions(language="en", windows=turns, **options)))
    assert word_errors(TWO_CITIES, " ".join(each.text for each in heard)) <= 0.06
    assert len(heard) >= 6
    assert all(before.start <= after.start and before.end <= after.end for before, after in pairwise(heard))
    assert all(0.5 < each.confidence <= 1 for each in heard)
    assert heard[0].start == pytest.approx(1.0, abs=0.3)
    assert heard[-1].end == pytest.approx(41.6, abs=0.6)
    words = [word for each in heard for word in each.words]
    assert bool(words) is ("words" in options)
    assert all(before.start <= after.start for before, after in pairwise(words))


@pytest.mark.weights
def test_whisper_detects_the_language_and_keeps_to_its_windows(engine: Engine, sound: Sound) -> None:
    audio = sound("beckett.wav")
    heard = list(engine("whisper-base").transcribe(audio, ListenOptions(windows=[Span(3.2, 6.0)])))
    assert {each.language for each in heard} == {"en"}
    assert word_errors("No matter. Try again.", " ".join(each.text for each in heard)) == 0
    assert all(3.1 <= each.start < each.end <= 6.1 for each in heard)


@pytest.mark.weights
def test_whisper_hears_nothing_where_there_is_no_window(engine: Engine, sound: Sound) -> None:
    assert list(engine("whisper-base").transcribe(sound("beckett.wav"), ListenOptions(windows=[]))) == []


@pytest.mark.weights
def test_whisper_invents_nothing_over_silence(engine: Engine) -> None:
    quiet = np.zeros(RATE * 8, dtype=np.float32)
    assert list(engine("whisper-base").transcribe(quiet, ListenOptions(language="en"))) == []


@pytest.mark.weights
def test_whisper_names_the_language_it_does_not_know(engine: Engine) -> None:
    with pytest.raises(InvalidInput, match="'xx'"):
        list(engine("whisper-base").transcribe(noise(1), ListenOptions(language="xx")))


@pytest.mark.weights
def test_whisper_writes_no_other_letters_than_the_languages_own(engine: Engine, sound: Sound) -> None:
    def heard(**given: Any) -> str:
        options = ListenOptions(language="hi", windows=[Span(3.2, 6)], **given)
        return " ".join(each.text for each in engine("whisper-base").transcribe(sound("beckett.wav"), options))

    assert fidelity(heard(), "hi") == 0
    assert fidelity(heard(own_script=True, prompt=prompt_for("hi")), "hi") == 1


@pytest.mark.weights
def test_whisper_stops_when_nobody_listens_any_more(engine: Engine, sound: Sound) -> None:
    apart = [Span(0, 9), Span(14, 24)]
    stream = engine("whisper-base").transcribe(
        np.tile(sound("beckett.wav"), 3), ListenOptions(language="en", windows=apart)
    )
    began = time.perf_counter()
    assert next(stream).text
    first = time.perf_counter() - began
    began = time.perf_counter()
    stream.close()
    assert time.perf_counter() - began < max(0.5, first)
