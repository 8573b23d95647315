"""Live sound on scripted ears: stable beginnings, turns, fairness, capacity, bounded waiting."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import numpy as np
import pytest

from tools.bench import Bench
from tools.catalog import Catalog, load_catalog
from tools.errors import Busy, InvalidInput
from tools.open import open_bench
from tools.settings import Settings
from tools.speech import RATE, VOICE_ACTIVITY, Heard, ListenOptions, Pcm, Word
from tools.speech.agreement import Agreement, joined
from tools.speech.desk import Desk, choose
from tools.speech.live import AHEAD, Live, Said, TurnChanged, samples

pytestmark = pytest.mark.anyio

SAID = "The quick brown fox jumps over the lazy dog."
EARS = {"speech-to-text": ["scripted-speech"], "voice-activity": ["loudness"]}


def catalog(**options: float) -> Catalog:
    """The catalogue with ears that take their time."""
    shipped = load_catalog()
    rows = [
        row.model_copy(update={"options": options}) if row.id == "scripted-speech" else row for row in shipped.models
    ]
    return Catalog(models=rows, profiles=shipped.profiles)


@pytest.fixture
async def bench(settings: Settings) -> AsyncIterator[Bench]:
    async with open_bench(settings.model_copy(update={"serves": EARS})) as bench:
        yield bench


def sound(*pieces: tuple[float, float]) -> Pcm:
    """Seconds and loudness."""
    random = np.random.default_rng(3)
    parts = [random.normal(0, loud, int(seconds * RATE)) for seconds, loud in pieces]
    return np.concatenate(parts).astype(np.float32).clip(-1, 1)


async def events_of(live: Live, audio: Pcm, *, step: float = 0.25, pause: float = 0.0) -> list[TurnChanged | Said]:
    async def feed() -> None:
        for first in range(0, len(audio), int(step * RATE)):
            await live.feed(audio[first : first + int(step * RATE)])
            await asyncio.sleep(pause)
        await live.finish()

    feeding = asyncio.create_task(feed())
    events = [event async for event in live.events()]
    await feeding
    return events


def words(text: str) -> list[Word]:
    return [Word(number, number + 1.0, word, 1.0) for number, word in enumerate(text.split())]


def test_words_that_two_hearings_agree_on_stay() -> None:
    agreement = Agreement()
    assert joined(agreement.hear(words("and so")), "en") == "and so"
    assert joined(agreement.hear(words("And so, my fell")), "en") == "my fell"
    assert joined(agreement.stable, "en") == "And so,"
    assert joined(agreement.hear(words("and so my fellow")), "en") == "fellow"
    # heard differently where it is stable already: only what follows is news
    assert joined(agreement.hear(words("hence so my fellow Americans ask")), "en") == "Americans ask"
    assert joined(agreement.conclude(words("thus my fellow Americans, ask not")), "en") == (
        "And so, my fellow Americans, ask not"
    )


async def test_partials_grow_and_a_turn_ends_in_a_final(bench: Bench) -> None:
    async with Desk().seat(bench, choose(bench, None, "en"), ListenOptions(language="en")) as live:
        events = await events_of(live, sound((1, 0), (3.7, 0.3), (2, 0), (3.7, 0.3), (0.5, 0)), pause=0.002)
    turns = [(event.turn, event.started, round(event.at)) for event in events if isinstance(event, TurnChanged)]
    assert turns == [(1, True, 1), (1, False, 5), (2, True, 6), (2, False, 10)]
    said = [event for event in events if isinstance(event, Said)]
    assert [event.text for event in said if event.ended] == [SAID, SAID]
    for turn in (1, 2):
        stable = [event.stable for event in said if event.turn == turn]
        assert len(stable) > 2
        assert all(later.startswith(earlier) for earlier, later in pairwise(stable))
    last = said[-1]
    assert [word.text for word in last.words] == SAID.split()
    assert last.words[0].start == pytest.approx(6.7, abs=0.1)


async def test_an_endless_turn_is_cut_and_nothing_is_lost(bench: Bench) -> None:
    async with Desk().seat(bench, choose(bench, None, "en"), ListenOptions(language="en")) as live:
        events = await events_of(live, sound((50, 0.3)), step=1.0)
    finals = [event for event in events if isinstance(event, Said) and event.ended]
    assert [round(event.start / 20) for event in finals] == [0, 1, 2]
    assert live.seconds == 50


async def test_a_long_turn_ends_behind_settled_sentences(bench: Bench) -> None:
    """The loudness of a sample tells when it was spoken: every half second is a word, every fourth ends a sentence."""
    length = 30.0
    audio = np.linspace(0.1, 1.0, int(length * RATE), dtype=np.float32)
    longest = list[float]()

    async def hear(part: Pcm, options: ListenOptions) -> Heard | None:
        longest.append(len(part) / RATE)
        first, last = ((float(value) - 0.1) / 0.9 * length for value in (part[0], part[-1]))
        numbers = range(int(first * 2 + 0.9), int(last * 2))
        made = [Word(n / 2 - first, n / 2 + 0.4 - first, f"{n}{'.' * (n % 4 == 3)}", 1.0) for n in numbers]
        return Heard(0, last - first, joined(made, "en"), "en", 1.0, made)

    async with bench.engine(VOICE_ACTIVITY) as detector:
        events = await events_of(Live(hear, detector, ListenOptions(language="en")), audio, pause=0.001)
    finals = [event for event in events if isinstance(event, Said) and event.ended]
    spoken = [int(word.text.strip(".")) for event in finals for word in event.words]
    assert spoken == list(range(spoken[0], spoken[-1] + 1))
    assert spoken[0] <= 1
    assert spoken[-1] >= 58
    assert all(event.text.endswith(".") for event in finals[:-1])
    assert len(finals) > 3
    assert max(longest) < 12


@pytest.mark.parametrize(
    ("again", "final"), [("मैं ठीक हूँ आप कैसे हैं", "मैं ठीक हूँ आप कैसे हैं"), ("मैं", "main theek hoon aap kaise hain")]
)
async def test_what_comes_out_in_latin_is_heard_again_in_its_own_letters(bench: Bench, again: str, final: str) -> None:
    asked = list[ListenOptions]()

    async def hear(part: Pcm, options: ListenOptions) -> Heard | None:
        asked.append(options)
        text = again if options.own_script else "main theek hoon aap kaise hain"
        return Heard(0.0, len(part) / RATE, text, "hi", 0.9, words(text))

    async with bench.engine(VOICE_ACTIVITY) as detector:
        live = Live(hear, detector, ListenOptions(language="hi"))
        events = await events_of(live, sound((1, 0), (3, 0.3), (2, 0)), step=1.0)
    said = [event for event in events if isinstance(event, Said) and event.ended]
    assert [event.text for event in said] == [final]
    assert {(each.own_script, each.beam) for each in asked} == {(False, 1), (True, 5)}


async def test_a_click_and_silence_are_no_turns(bench: Bench) -> None:
    async with Desk().seat(bench, choose(bench, None, "en"), ListenOptions(language="en")) as live:
        assert await events_of(live, sound((2, 0), (0.05, 0.5), (5, 0))) == []


async def test_who_sends_too_fast_waits(bench: Bench) -> None:
    async with Desk().seat(bench, choose(bench, None, "en"), ListenOptions(language="en")) as live:
        for _ in range(int(AHEAD) + 1):
            feeding = asyncio.create_task(live.feed(sound((1, 0))))
            await asyncio.wait([feeding], timeout=0.2)
        assert not feeding.done()
        assert live.backlog <= AHEAD + 1
        feeding.cancel()


async def test_thirty_streams_get_their_turns_alike(settings: Settings) -> None:
    """A pass costs 20 ms and a sound 2 ms: thirty streams at four times real time share it, none waits long."""
    given = settings.model_copy(update={"serves": EARS})
    audio = sound((0.5, 0), (3.7, 0.3), (1, 0), (3.7, 0.3), (1, 0))
    async with open_bench(given, catalog=catalog(pass_seconds=0.02, sound_seconds=0.002)) as bench:
        desk = Desk()

        async def one() -> tuple[list[TurnChanged | Said], float]:
            async with desk.seat(bench, choose(bench, None, "en"), ListenOptions(language="en")) as live:
                began = time.monotonic()
                events = await events_of(live, audio, pause=0.0625)
                return events, time.monotonic() - began

        done = await asyncio.gather(*(one() for _ in range(30)))
    assert all([e.text for e in events if isinstance(e, Said) and e.ended] == [SAID] * 2 for events, _ in done)
    took = sorted(seconds for _, seconds in done)
    assert took[-1] < took[0] + 2.0
    # every stream was heard while it lasted, and its clock is the same as the others'
    assert all(sum(isinstance(e, Said) and not e.ended for e in events) >= 2 for events, _ in done)
    ends = {round(e.end, 3) for events, _ in done for e in events if isinstance(e, Said) and e.ended}
    assert len(ends) == 2
    assert desk.lines["scripted-speech"].streams == 0


async def test_a_stream_too_many_is_told_to_come_back(settings: Settings) -> None:
    given = settings.model_copy(update={"serves": EARS})
    async with open_bench(given, catalog=catalog(sound_seconds=0.6)) as bench:
        desk, choice = Desk(), choose(bench, None, "en")
        async with desk.seat(bench, choice, ListenOptions()), desk.seat(bench, choice, ListenOptions()):
            with pytest.raises(Busy, match="hears 2 streams") as refused:
                async with desk.seat(bench, choice, ListenOptions()):
                    pass
            assert refused.value.retry_after
        async with desk.seat(bench, choice, ListenOptions()):
            assert desk.lines[choice.row.id].streams == 1


def test_samples() -> None:
    assert samples(np.array([16_384], "<i2").tobytes(), "pcm16").tolist() == [0.5]
    assert samples(np.array([0.5, np.nan, 7], "<f4").tobytes(), "float32").tolist() == [0.5, 0, 1]
    with pytest.raises(InvalidInput, match="3 bytes"):
        samples(b"abc", "pcm16")
