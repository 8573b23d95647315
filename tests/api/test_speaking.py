"""Text to speech over HTTP: the owner's endpoints, and OpenAI's with its client. Scripted voices, real encoders."""

import asyncio
import base64
import io
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import openai
import pytest
from openai import AsyncOpenAI

from api.host import Host
from api.observe import Metrics
from tests.api.conftest import Served, serve
from tests.api.fakes import open_fake_host
from tools.catalog import Catalog, File, Row, load_catalog
from tools.open import open_bench
from tools.settings import Settings
from tools.store import WeightStore
from tools.voice.casting import cast, spoken_as

pytestmark = pytest.mark.anyio

SPEAK = "/api/v1/tts/synthesize"
SERVES = {"text-to-speech": ["first", "second"], "speech-to-text": ["scripted-speech"]}


def voice(id: str, languages: list[str], **options: Any) -> Row:
    return Row(
        id=id, title=id.title(), capability="text-to-speech", engine="tools.voice.scripted:ScriptedVoice",
        licence="Apache-2.0", commercial=True, languages=languages, rate=24_000, options=options,
    )  # fmt: skip


def catalog(home: Path) -> Catalog:
    """The real one with two voices more; the first breaks at one word and is mute at another."""
    log = str(home.parent / "spoken.log")
    first = voice("first", ["en", "hi"], fails="crash", mute="hush", pause=0.1, log=log)
    real = load_catalog()
    models = [*real.models, first, voice("second", ["en", "hi", "ta", "kn"])]
    return Catalog(models=models, profiles=real.profiles)


@asynccontextmanager
async def open_speaking_host(settings: Settings, metrics: Metrics) -> AsyncIterator[Host]:
    """A host of fakes whose bench has scripted voices."""
    settings = settings.model_copy(update={"serves": SERVES})
    async with (
        open_fake_host(settings, metrics) as host,
        open_bench(settings, catalog=catalog(settings.home)) as bench,
    ):
        yield replace(host, bench=replace(bench, parts=host.bench.parts))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("speaking") / "home"


@pytest.fixture(scope="module")
async def speaking(home: Path) -> AsyncIterator[Served]:
    async with serve(Settings(home=home, offline=True, _env_file=None), open_speaking_host) as served:
        yield served


def spoken(home: Path) -> list[str]:
    log = home.parent / "spoken.log"
    return log.read_text("utf-8").splitlines() if log.exists() else []


def decoded(data: bytes, **options: Any) -> tuple[int, str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Rate, codec and samples of a sound file."""
    with av.open(io.BytesIO(data), **options) as container:
        stream = container.streams.audio[0]
        parts = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
        samples = np.concatenate(parts)
        full = 32_768 if samples.dtype.kind == "i" else 1
        return stream.rate, stream.codec_context.name, samples.astype(np.float64) / full


async def ask(served: Served, path: str = SPEAK, **body: Any) -> Any:
    async with served.client() as client:
        return await client.post(path, json={"language": "en", **body} if path == SPEAK else body)


async def test_speech_is_44100_hz_16_bit_and_says_who_spoke(speaking: Served) -> None:
    answer = await ask(speaking, text="Ten letters, and more. Then a second sentence.")
    assert answer.status_code == 200, answer.text
    told = {name: value for name, value in answer.headers.items() if name.startswith("x-") and "request" not in name}
    assert told == {
        "x-engine": "first", "x-voice": "first-en-female", "x-voice-kind": "formant", "x-language": "en",
        "x-native-rate": "24000",
    }  # fmt: skip
    rate, codec, samples = decoded(answer.content)
    assert (rate, codec) == (44_100, "pcm_s16le")
    assert len(samples) / rate == pytest.approx(0.05 * 45 + 0.28, abs=0.1)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) / (len(samples) / rate) == pytest.approx(220, abs=3)


@pytest.mark.parametrize(
    ("format", "rate", "codec"),
    [("flac", 44_100, "flac"), ("mp3", 44_100, "mp3float"), ("opus", 48_000, "opus"), ("aac", 44_100, "aac")],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_formats_whole_and_streamed(speaking: Served, format: str, rate: int, codec: str, stream: bool) -> None:
    answer = await ask(speaking, text="Some words to be encoded.", format=format, stream=stream)
    found, name, samples = decoded(answer.content)
    assert (found, name) == (rate, codec)
    assert len(samples) / found == pytest.approx(1.25, abs=0.12)
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.21, abs=0.03)


@pytest.mark.parametrize(
    ("body", "status", "param", "said"),
    [
        ({"text": "😀😀👍"}, 422, "text", "no word in it"),
        ({"text": "..."}, 422, "text", "no word in it"),
        ({"text": ""}, 422, "text", "at least 1"),
        ({"text": "Привет"}, 422, "text", "Cyrl"),
        ({"text": "a", "language": "xx"}, 422, "language", "hi (Hindi)"),
        ({"text": "a", "language": "or"}, 501, None, "Odia"),
        ({"text": "a", "voice": "bob"}, 422, "voice", "'bob'"),
        ({"text": "a", "voice": "first-hi-male"}, 422, "voice", "first-en-female"),
        ({"text": "a", "emotion": "bored"}, 422, "emotion", "'happy'"),
        ({"text": "a", "speed": 0.4}, 422, "speed", "0.4"),
        ({"text": "a", "speed": "fast"}, 422, "speed", "fast"),
        ({"text": "a", "format": "ogg"}, 422, "format", "'mp3'"),
        ({"text": "a", "model": "whisper-base"}, 422, "model", "speech-to-text"),
        ({"text": "a " * 500_000}, 422, "text", "20000"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_bad_input_is_told_at_once(
    speaking: Served, body: dict[str, Any], status: int, param: str | None, said: str
) -> None:
    began = time.perf_counter()
    answer = await ask(speaking, **body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    assert said in error["message"]
    assert time.perf_counter() - began < 5


async def test_language_is_required_as_the_owner_wants_it(speaking: Served) -> None:
    async with speaking.client() as client:
        answer = await client.post(SPEAK, json={"text": "a"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "language")


@pytest.mark.parametrize("word", ["crash", "hush"])
async def test_the_next_engine_steps_in_and_the_answer_says_so(speaking: Served, word: str) -> None:
    answer = await ask(speaking, text=f"This will {word} now.")
    assert answer.headers["x-engine"] == "second"
    assert answer.headers["x-substitution"].startswith("first-en-female -> second-en-female: ")
    assert ("script says" if word == "crash" else "silent") in answer.headers["x-substitution"]


async def test_when_nobody_is_left_the_first_reason_is_told(speaking: Served) -> None:
    answer = await ask(speaking, text="crash", model="first", voice="first-en-male")
    assert answer.status_code == 200
    answer = await ask(speaking, text="নমস্কার", language="kn")
    assert answer.status_code == 501
    assert "Bengali" in answer.json()["error"]["message"]


async def test_each_script_is_read_by_a_voice_that_knows_it(speaking: Served, home: Path) -> None:
    answer = await ask(speaking, text="मेरा नाम Ravi है। விலை ₹500.", language="hi")
    assert "Tamil in the text -> second-ta-female" in answer.headers["x-substitution"]
    lines = [line.split(" ", 4)[4] for line in spoken(home)[-3:]]
    assert lines == ["मेरा नाम", "Ravi", "है।"], "the price is a Tamil voice's to read"


async def test_sanskrit_is_read_by_the_nearest_voice_and_labelled(speaking: Served) -> None:
    answer = await ask(speaking, text="धर्मक्षेत्रे कुरुक्षेत्रे।", language="sa")
    assert (answer.headers["x-language"], answer.headers["x-voice"]) == ("sa", "second-kn-female")
    assert "no engine here has a Sanskrit voice" in answer.headers["x-substitution"]


async def test_a_model_that_cannot_serve_is_replaced_and_the_answer_says_why(speaking: Served) -> None:
    answer = await ask(speaking, text="नमस्ते", language="hi", model="VALL-E X")
    assert (answer.status_code, answer.headers["x-engine"]) == (200, "first")
    assert "vall-e-x -> the profile's choice" in answer.headers["x-substitution"]
    assert "only English, Chinese, Japanese" in answer.headers["x-substitution"]


async def test_what_is_fetched_on_request_speaks_only_once_it_is_here(tmp_path: Path) -> None:
    source = tmp_path / "weights.bin"
    source.write_bytes(b"weights")
    late = voice("late", ["en"]).model_copy(
        update={"on_request": True, "files": [File(name="weights.bin", sources=[f"file:{source}"])]}
    )
    models = [*load_catalog().models, late, voice("second", ["en"])]
    cards = Catalog(models=models, profiles=load_catalog().profiles)
    serves = {"text-to-speech": ["late", "second"]}
    settings = Settings(home=tmp_path / "h", cache=tmp_path / "c", serves=serves, offline=True, _env_file=None)
    async with open_bench(settings, catalog=cards) as bench:
        assert cast(bench, "Hello", language="en").lead.row.id == "second"
        assert cast(bench, "Hello", language="en", model="late").lead.row.id == "late", "asked for by name"
        await WeightStore(settings.cache, offline=True).ensure(late)
        assert cast(bench, "Hello", language="en").lead.row.id == "late"


async def test_a_language_that_somebody_speaks_needs_no_nearest_voice(speaking: Served) -> None:
    bench = speaking.app.state.host.bench
    assert spoken_as(bench, "sa")[0] == "kn"
    rows = [*bench.catalog.models, voice("third", ["sa"])]
    settings = bench.settings.model_copy(update={"serves": {"text-to-speech": ["second", "third"]}})
    wider = replace(bench, catalog=Catalog(models=rows, profiles=bench.catalog.profiles), settings=settings)
    assert cast(wider, "धर्म", language="sa").lead.voice.id == "third-sa-female"
    assert cast(wider, "धर्म", language="sa").substitutions == []


async def test_emotions_go_to_the_engine_or_into_pitch_and_speed(speaking: Served, home: Path) -> None:
    happy = await ask(speaking, text="So glad.", emotion="happy", speed=1.5)
    assert "x-emotion" not in happy.headers
    assert spoken(home)[-1] == "en happy 1.5 1 So glad."
    sad = await ask(speaking, text="So sorry.", emotion="sad")
    assert sad.headers["x-emotion"].startswith("sad; by pitch")
    assert spoken(home)[-1] == "en neutral 0.86 0.95 So sorry."
    plain = await ask(speaking, text="So sorry.")
    loud, quiet = (float(np.sqrt(np.mean(decoded(each.content)[2] ** 2))) for each in (plain, sad))
    assert quiet == pytest.approx(loud * 10 ** (-3 / 20), rel=0.03)


async def test_a_check_is_told_and_a_failed_one_is_tried_again(speaking: Served) -> None:
    good = await ask(speaking, text="The quick brown fox jumps over the lazy dog.", check=True)
    check = json.loads(good.headers["x-check"])
    assert (check["character_error_rate"], check["passed"], check["listener"]) == (0.0, True, "scripted-speech")
    assert good.headers["x-engine"] == "first"
    bad = await ask(speaking, text="Nothing of this kind was ever heard here by anybody at all.", check=True)
    assert json.loads(bad.headers["x-check"])["passed"] is False
    assert "what was heard" in bad.headers["x-substitution"]


async def test_a_batch_gives_links_and_tells_which_text_failed(speaking: Served) -> None:
    async with speaking.client() as client:
        asked = {"texts": ["One.", "😀", "Three."], "language": "en"}
        batch = (await client.post("/api/v1/tts/batch", json=asked)).json()
        assert (batch["spoken"], batch["failed"]) == (2, 1)
        assert [each["error"] and each["error"]["param"] for each in batch["items"]] == [None, "text", None]
        sound = await client.get(batch["items"][2]["url"])
        assert decoded(sound.content)[0] == 44_100
        assert batch["items"][2]["speech"]["native_rate"] == 24_000
        inline = (await client.post("/api/v1/tts/batch", json={**asked, "texts": ["One."], "inline": True})).json()
        assert decoded(base64.b64decode(inline["items"][0]["audio"]))[0] == 44_100
        wrong = await client.post("/api/v1/tts/batch", json={**asked, "voice": "bob"})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (422, "voice")
        many = await client.post("/api/v1/tts/batch", json={**asked, "texts": ["a" * 20_000] * 6})
        assert many.status_code == 413


async def test_voices_are_listed_by_language(speaking: Served) -> None:
    async with speaking.client() as client:
        everyone = (await client.get("/api/v1/tts/voices")).json()["voices"]
        tamil = (await client.get("/api/v1/tts/voices", params={"language": "Tamil"})).json()["voices"]
        sanskrit = (await client.get("/api/v1/tts/voices", params={"language": "sa"})).json()["voices"]
    assert len(everyone) == 2 * (2 + 4)
    assert [(each["id"], each["gender"], each["engine"]) for each in tamil] == [
        ("second-ta-female", "female", "second"),
        ("second-ta-male", "male", "second"),
    ]
    assert {each["language"] for each in sanskrit} == {"kn"}
    assert sanskrit[0]["also"] == ["sa"]


async def test_openai_client_hears_the_first_sentence_before_the_last_is_spoken(speaking: Served, home: Path) -> None:
    text = " ".join(f"This is sentence number {number}." for number in ("one", "two") * 4)
    before = len(spoken(home))
    async with AsyncOpenAI(base_url=f"{speaking.url}/v1", api_key="none") as client:
        speech = client.audio.speech.with_streaming_response
        async with speech.create(model="tts-1", voice="nova", input=text, response_format="pcm") as response:
            assert "nova -> first-en-female" in response.headers["x-substitution"]
            chunks = response.iter_bytes()
            size = len(await anext(chunks))
            assert len(spoken(home)) - before <= 3
            async for chunk in chunks:
                size += len(chunk)
    assert size / 2 / 24_000 == pytest.approx(8 * 1.4 + 7 * 0.28, abs=0.6)


async def test_openai_client_gets_mp3_and_clear_errors(speaking: Served) -> None:
    async with AsyncOpenAI(base_url=f"{speaking.url}/v1", api_key="none", max_retries=0) as client:
        answer = await client.audio.speech.create(model="gpt-4o-mini-tts", voice="onyx", input="Hello there.", speed=4)
        assert answer.response.headers["x-voice"] == "first-en-male"
        assert "speed 4 -> 2" in answer.response.headers["x-substitution"]
        assert decoded(answer.content)[1] == "mp3float"
        with pytest.raises(openai.NotFoundError, match="no-such-model"):
            await client.audio.speech.create(model="no-such-model", voice="onyx", input="Hello.")
        with pytest.raises(openai.UnprocessableEntityError, match="no word in it"):
            await client.audio.speech.create(model="tts-1", voice="onyx", input="🙂")
        async with client.audio.speech.with_streaming_response.create(
            model="first", voice="alloy", input="Hello.", stream_format="sse", response_format="wav"
        ) as events:
            lines = [line async for line in events.iter_lines() if line.startswith("data: ")]
    kinds = [json.loads(line[6:])["type"] for line in lines]
    assert kinds[-1] == "speech.audio.done"
    assert set(kinds[:-1]) == {"speech.audio.delta"}


@pytest.mark.parametrize("stream", [True, False])
async def test_speaking_stops_when_the_caller_has_left(speaking: Served, home: Path, stream: bool) -> None:
    before = len(spoken(home))
    text = " ".join(f"Sentence {number} is here." for number in ["more"] * 60)

    async def leave() -> None:
        async with speaking.client() as client:
            body = {"text": text, "language": "en", "stream": stream}
            async with client.stream("POST", SPEAK, json=body) as response:
                await anext(response.aiter_bytes())

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.gather(leave(), asyncio.sleep(60)), 0.5)
    await asyncio.sleep(0.5)
    after = len(spoken(home))
    await asyncio.sleep(0.6)
    assert before < after < before + 30
    assert len(spoken(home)) == after
