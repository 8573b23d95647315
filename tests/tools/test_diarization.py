"""Telling speakers apart: on made-up voices and sounds, and with the real encoder on voices of ours."""

import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.bench.speech import write
from tests.evals.diarization import Said, error_rate, laid
from tools.bench import Bench
from tools.diarization import Turn, Voices, name_of
from tools.diarization.checkpoint import read_tensors
from tools.diarization.clustering import speakers_of, turns_of
from tools.diarization.following import said_by, speaker_of
from tools.diarization.ge2e import BANDS, network, spectrogram
from tools.diarizing import DiarizeInput, diarize
from tools.errors import EngineFailed
from tools.listening import TranscribeInput, transcribe
from tools.onnx_session import open_session
from tools.open import open_bench
from tools.settings import Settings
from tools.speech import RATE, Pcm, Span, Word

Engine = Callable[[str], Any]
SERVES = {
    "speech-to-text": ["scripted-speech"],
    "voice-activity": ["loudness"],
    "diarization": ["high-and-low"],
}


def voices(*who: int, noise: float = 0.02, step: float = 0.4) -> Voices:
    """A stretch of 1.6 s for each, a step apart."""
    random = np.random.default_rng(1)
    prints = np.eye(8)[list(who)] + random.normal(0, noise, (len(who), 8))
    prints /= np.linalg.norm(prints, axis=1, keepdims=True)
    starts = np.arange(len(who), dtype=np.float64) * step
    return Voices(starts, starts + 1.6, prints.astype(np.float32))


def tone(hertz: float, seconds: float) -> Pcm:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def silence(seconds: float) -> Pcm:
    return np.zeros(int(seconds * RATE), np.float32)


CONVERSATION = np.concatenate(
    (silence(1), tone(200, 3), silence(1), tone(3000, 3), silence(1), tone(200, 3), silence(1))
)


def test_speakers_are_counted_and_numbered_as_they_first_speak() -> None:
    heard = voices(*[5] * 8, *[2] * 8, *[5] * 8, *[7] * 8)
    spoken = [Span(0, 3.2 + 1.2), Span(4.4, 32 * 0.4 + 1.2)]
    means = speakers_of(heard, 0.7, None)
    assert len(means) == 3
    turns = turns_of(heard, means, [Span(0, 14.0)])
    assert [turn.speaker for turn in turns] == ["A", "B", "A", "C"]
    assert [turn.start for turn in turns] == pytest.approx([0, 3.8, 7.0, 10.2], abs=0.01)
    assert turns[-1].end == 14.0
    assert len(speakers_of(heard, 0.7, 2)) == 2
    assert [turn.speaker for turn in turns_of(voices(), speakers_of(voices(), 0.7, None), spoken)] == ["A", "A"]


def test_a_laugh_is_no_speaker_unless_it_was_counted() -> None:
    heard = voices(*[1] * 10, 4, *[1] * 10)
    assert len(speakers_of(heard, 0.7, None)) == 1
    assert len(speakers_of(heard, 0.7, 2)) == 2


def test_one_odd_stretch_does_not_change_hands() -> None:
    heard = voices(*[1] * 10, *[3] * 10)
    heard.prints[4] = (0.6 * np.eye(8)[1] + 0.7 * np.eye(8)[3]).astype(np.float32)
    turns = turns_of(heard, speakers_of(heard, 0.7, None), [Span(0, 9.2)])
    assert [turn.speaker for turn in turns] == ["A", "B"]


def test_a_turn_too_short_for_its_voice_is_said_by_who_speaks_nearest() -> None:
    heard = voices(*[1] * 10)
    turns = turns_of(heard, speakers_of(heard, 0.7, None), [Span(0, 5.2), Span(5.6, 5.8)])
    assert turns == [Turn(0, 5.2, "A"), Turn(5.6, 5.8, "A")]


def test_words_go_to_their_speakers() -> None:
    turns = [Turn(0, 2, "A"), Turn(2.5, 4, "B")]
    words = [Word(0.1, 0.5, "So", 1), Word(0.6, 1.9, "it", 1), Word(2.4, 2.9, "is.", 1)]
    parts = list(said_by(turns, 0.1, 2.9, "So it is.", words))
    assert [(part.speaker, part.start, part.end, part.text) for part, _ in parts] == [
        ("A", 0.1, 1.9, "So it"), ("B", 2.4, 2.9, "is."),
    ]  # fmt: skip
    assert [word for _, mine in parts for word in mine] == words
    assert [part.text for part, _ in said_by(turns, 0.1, 2.9, "So  it is.", words[:0])] == ["So  it is."]
    assert speaker_of(turns, 2.2, 2.3) == "A"
    assert speaker_of(turns, 9, 9.5) == "B"
    assert speaker_of([], 0, 1) is None
    assert [name_of(number) for number in (0, 25, 26, 51, 52, 702)] == ["A", "Z", "AA", "AZ", "BA", "AAA"]


def test_the_error_rate_counts_what_is_missed_invented_and_confused() -> None:
    truth = [(0.0, 10.0, "x"), (10.0, 20.0, "y")]
    assert error_rate(truth, [(0, 10, "B"), (10, 20, "A")], 20)["error"] == 0
    told = error_rate(truth, [(0, 5, "A"), (10, 20, "A")], 20)
    # 19 s are judged: .25 s around each edge are not
    assert (told["missed"], told["confused"]) == pytest.approx((4.75 / 19, 4.75 / 19), abs=0.01)


# -- the encoder --


def legacy(path: Path, state: Mapping[str, NDArray[np.float32]], *, also: bytes = b"") -> Path:
    """A checkpoint of the same form as torch before 1.6 wrote it: here its pickle is written by hand."""
    flat = np.concatenate([value.reshape(-1) for value in state.values()])
    body, offset = io.BytesIO(), 0
    body.write(b"\x80\x02}(" + text("model_state") + b"ccollections\nOrderedDict\n)R(")
    for name, value in state.items():
        storage = (
            b"(("
            + text("storage")
            + b"ctorch\nFloatStorage\n"
            + text("77")
            + text("cuda:0")
            + number(flat.size)
            + b"NtQ"
        )
        shape = b"(" + b"".join(number(size) for size in value.shape) + b"t"
        steps = b"(" + b"".join(number(each // 4) for each in np.ascontiguousarray(value).strides) + b"t"
        rest = b"\x89ccollections\nOrderedDict\n)RtR"
        body.write(
            text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n" + storage + number(offset) + shape + steps + rest
        )
        offset += value.size
    body.write(b"u" + also + b"u.")
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    path.write_bytes(
        b"".join(pickle.dumps(each, 2) for each in head)
        + body.getvalue()
        + pickle.dumps(["77"], 2)
        + struct.pack("<q", flat.size)
        + flat.astype("<f4").tobytes()
    )
    return path


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


@pytest.fixture
def state() -> Mapping[str, NDArray[np.float32]]:
    """An encoder of the same shape with few units."""
    random, hidden = np.random.default_rng(2), 6
    shapes = OrderedDict[str, tuple[int, ...]]()
    for layer in range(3):
        shapes[f"lstm.weight_ih_l{layer}"] = (4 * hidden, hidden if layer else BANDS)
        shapes[f"lstm.weight_hh_l{layer}"] = (4 * hidden, hidden)
        shapes[f"lstm.bias_ih_l{layer}"] = shapes[f"lstm.bias_hh_l{layer}"] = (4 * hidden,)
    shapes |= {"linear.weight": (hidden, hidden), "linear.bias": (hidden,)}
    return {name: random.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}


def test_tensors_of_an_old_checkpoint_are_read_without_torch(
    tmp_path: Path, state: Mapping[str, NDArray[np.float32]]
) -> None:
    read = read_tensors(legacy(tmp_path / "a.pt", state), "model_state")
    assert list(read) == list(state)
    assert all(np.array_equal(read[name], state[name]) for name in state)


def test_a_checkpoint_that_wants_to_run_something_is_refused(
    tmp_path: Path, state: Mapping[str, NDArray[np.float32]]
) -> None:
    left = tmp_path / "left"
    evil = text("more") + b"cos\nsystem\n(" + text(f"touch {left}") + b"tR"
    with pytest.raises(EngineFailed, match=r"asks for os\.system"):
        read_tensors(legacy(tmp_path / "a.pt", state, also=b"(" + evil), "model_state")
    assert not left.exists()
    whole = legacy(tmp_path / "b.pt", state).read_bytes()
    (tmp_path / "c.pt").write_bytes(whole[:-40])
    with pytest.raises(EngineFailed, match="ends too early"):
        read_tensors(tmp_path / "c.pt", "model_state")
    (tmp_path / "d.pt").write_bytes(b"PK\x03\x04" + whole)
    with pytest.raises(EngineFailed, match=r"d\.pt cannot be read"):
        read_tensors(tmp_path / "d.pt", "model_state")


def test_the_graph_computes_what_the_papers_lstm_does(state: Mapping[str, NDArray[np.float32]]) -> None:
    mels = np.random.default_rng(4).random((20, 3, BANDS)).astype(np.float32)
    (raw,) = open_session(network(state), "cpu").run(["raw"], {"mels": mels})
    below = mels.astype(np.float64)
    for layer in range(3):
        inward, across = state[f"lstm.weight_ih_l{layer}"], state[f"lstm.weight_hh_l{layer}"]
        bias = state[f"lstm.bias_ih_l{layer}"] + state[f"lstm.bias_hh_l{layer}"]
        hidden = cell = np.zeros((3, 6))
        states = []
        for frame in below:
            gates = np.split(frame @ inward.T + hidden @ across.T + bias, 4, axis=1)
            kept, forgotten, output = (1 / (1 + np.exp(-gates[at])) for at in (0, 1, 3))
            cell = forgotten * cell + kept * np.tanh(gates[2])
            hidden = output * np.tanh(cell)
            states.append(hidden)
        below = np.stack(states)
    wanted = np.maximum(below[-1] @ state["linear.weight"].T + state["linear.bias"], 0)
    np.testing.assert_allclose(raw, wanted, atol=1e-5)


def test_the_spectrogram_is_a_power_spectrogram_in_slaneys_bands() -> None:
    bands = spectrogram(tone(1000, 1))
    assert bands.shape == (101, BANDS)
    assert bands[50].argmax() == 13
    # twice as loud is four times the power
    assert spectrogram(2 * tone(1000, 1))[50] == pytest.approx(4 * bands[50], rel=1e-5)


# -- the tools --


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_bench(Settings(home=tmp_path / "home", offline=True, serves=SERVES, _env_file=None)) as opened:
        yield opened


async def kept(bench: Bench, audio: Pcm) -> str:
    path = bench.settings.home / "a.wav"
    write(path, audio)
    return (await bench.media.put(path, name=path.name)).sha256


@pytest.mark.anyio
async def test_the_tool_says_who_speaks_when(bench: Bench) -> None:
    found = await diarize(DiarizeInput(media=await kept(bench, CONVERSATION), start=0.5), bench)
    assert [(round(turn.start), round(turn.end), turn.speaker) for turn in found.turns] == [
        (1, 4, "A"), (5, 8, "B"), (9, 12, "A"),
    ]  # fmt: skip
    assert [each.speaker for each in found.speakers] == ["A", "B"]
    assert found.speakers[0].seconds == pytest.approx(6.4, abs=0.3)
    one = await diarize(DiarizeInput(media=await kept(bench, CONVERSATION), speakers=1), bench)
    assert {turn.speaker for turn in one.turns} == {"A"}
    nobody = await diarize(DiarizeInput(media=await kept(bench, silence(2))), bench)
    assert (nobody.turns, nobody.speakers) == ([], [])


@pytest.mark.anyio
async def test_a_transcript_says_who_says_it(bench: Bench) -> None:
    media = await kept(bench, CONVERSATION)
    heard = await transcribe(TranscribeInput(media=media, diarize=True), bench)
    assert [each.speaker for each in heard.segments] == ["A", "B", "A"]
    assert heard.diarized_by == "high-and-low"
    assert all(each.words == [] for each in heard.segments)
    plain = await transcribe(TranscribeInput(media=media), bench)
    assert {each.speaker for each in plain.segments} == {None}
    assert plain.diarized_by is None


@pytest.mark.anyio
async def test_a_segment_is_cut_where_another_begins_to_speak(bench: Bench) -> None:
    media = await kept(bench, np.concatenate((tone(200, 4), tone(3000, 4))))
    heard = await transcribe(TranscribeInput(media=media, diarize=True, words=True), bench)
    assert [each.speaker for each in heard.segments] == ["A", "B"]
    assert " ".join(each.text for each in heard.segments) == "The quick brown fox jumps over the lazy dog."
    assert heard.segments[0].end == pytest.approx(4, abs=0.6)
    assert [len(each.words) for each in heard.segments] == [len(each.text.split()) for each in heard.segments]


@pytest.mark.weights
def test_the_real_encoder_tells_a_reader_from_a_president(engine: Engine, sound: Callable[[str], Pcm]) -> None:
    """Two recordings of the sample media in turn; their readers sound unlike each other."""
    first, second = sound("beckett.wav"), sound("two_cities.wav")
    said = [Said("one", first[: 6 * RATE]), Said("two", second[2 * RATE : 12 * RATE]), Said("one", first[4 * RATE :])]
    audio, truth = laid(said)
    spoken = engine("silero-vad").turns(audio)
    encoder = engine("resemblyzer")
    turns = encoder.turns(encoder.listen(audio, spoken), spoken, None)
    told = error_rate(truth, [(turn.start, turn.end, turn.speaker) for turn in turns], len(audio) / RATE)
    assert told["confused"] <= 0.1, told
