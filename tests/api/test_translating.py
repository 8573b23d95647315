"""Translation over HTTP: text, and speech that a translator renders. Scripted ears, engines that copy in processes."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from openai import AsyncOpenAI

from api.host import Host
from api.observe import Metrics
from api.toolset import gather
from tests.api.conftest import Served, serve
from tests.api.fakes import open_fake_host
from tests.api.test_speech import EARS, SAID, SPEECH, open_hearing_host, post
from tests.tools.translators import indictrans2
from tools.catalog import Catalog, load_catalog
from tools.open import open_bench
from tools.settings import Settings
from tools.store import WeightStore

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def open_translating_host(settings: Settings, metrics: Metrics) -> AsyncIterator[Host]:
    """Scripted ears, and IndicTrans2 out of English and into it, in processes of their own."""
    folder = settings.home.parent / "rows"
    rows = [indictrans2(folder / name, name, isolation="process", memory=0.2) for name in ("en-indic", "indic-en")]
    for row in rows:
        await WeightStore(settings.cache).ensure(row)
    shipped = load_catalog()
    absent = rows[0].model_copy(
        update={
            "id": "absent",
            "title": "Absent",
            "engine": "tests.tools.translators:Absent",
            "languages": ["en", "ur"],
            "files": [],
            "options": {},
            "isolation": "thread",
        }
    )
    catalog = Catalog(models=[*shipped.models, absent, *rows], profiles=shipped.profiles)
    hearing = settings.model_copy(update={"serves": EARS})
    async with open_fake_host(settings, metrics) as host, open_bench(hearing, catalog=catalog) as bench:
        yield replace(host, bench=replace(bench, parts=host.bench.parts), toolbox=gather({}))


@pytest.fixture(scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    home = tmp_path_factory.mktemp("translating")
    settings = Settings(home=home / "home", cache=home / "cache", offline=True, _env_file=None)
    async with serve(settings, open_translating_host) as served:
        yield served


async def ask(served: Served, **asked: Any) -> Any:
    async with served.client() as client:
        return await client.post("/api/v1/tools/translate", json=asked)


async def test_text_is_translated_and_its_translator_named(door: Served) -> None:
    answer = await ask(door, text="The house is big. Is it?\n\n* 10:30", target="kn")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["text"] == "The house is big. Is it?\n\n* 10:30"
    assert (told["source"], told["target"], told["model"]) == ("en", "kn", "tiny-en-indic")
    assert (told["engine"], told["licence"], told["commercial"]) == ("IndicTrans2", "MIT", True)


@pytest.mark.parametrize(
    ("asked", "status", "param"),
    [
        ({"text": "यह है", "target": "xx"}, 422, "target"),
        ({"text": "x", "texts": ["y"]}, 422, None),
        ({"texts": ["a"] * 1_001}, 422, None),
        ({"texts": ["x" * 100_000] * 3, "source": "en", "target": "hi"}, 413, None),
        ({"text": "le chat", "source": "fr", "target": "de"}, 501, None),
        ({"text": "le chat", "source": "fr", "target": "de", "model": "nothing"}, 404, "model"),
    ],
)
async def test_what_cannot_be_translated_is_a_clear_error(
    door: Served, asked: dict[str, Any], status: int, param: str | None
) -> None:
    answer = await ask(door, **asked)
    assert answer.status_code == status, answer.text
    if param:
        assert answer.json()["error"]["param"] == param
    if status == 501:
        assert "models fetch m2m100-418m" in answer.json()["error"]["message"]


async def test_speech_goes_through_the_translator(door: Served) -> None:
    answer = await post(door, SPEECH, mode="translate", language="hi")
    assert answer.status_code == 200, answer.text
    heard = answer.json()
    assert heard["text"] == f"{SAID} {SAID}"
    assert [(round(each["start"]), round(each["end"])) for each in heard["segments"]] == [(1, 3), (8, 10)]
    assert (heard["language"], heard["model"]) == ("en", "scripted-speech")
    why = "Absent does not know 'hi'."
    assert heard["translation"] == {"by": "translator", "models": ["tiny-indic-en"], "target": "en", "reason": why}
    assert {(each["original"], each["original_language"]) for each in heard["segments"]} == {(SAID, "hi")}


async def test_speech_into_another_language_as_it_is_heard(door: Served) -> None:
    answer = await post(door, SPEECH, mode="translate", target_language="Tamil", real_time="true")
    frames = [each.split("\n") for each in answer.text.split("\n\n") if each.startswith("event:")]
    assert [each[0] for each in frames if "model" not in each[0]] == ["event: segment"] * 2 + ["event: result"]
    heard = json.loads(frames[-1][1].removeprefix("data: "))
    assert (heard["language"], heard["translation"]["models"]) == ("ta", ["tiny-en-indic"])
    assert json.loads(frames[-2][1].removeprefix("data: "))["original_language"] == "en"


async def test_openai_translations_say_which_way_was_taken(door: Served) -> None:
    async with AsyncOpenAI(base_url=f"{door.url}/v1", api_key="none", max_retries=0) as client:
        for language, by in (("hi", "translator"), ("fr", "recogniser"), ("ur", "recogniser")):
            heard = await client.audio.translations.create(
                model="whisper-1",
                file=("a.wav", SPEECH),
                response_format="verbose_json",
                extra_body={"language": language},
            )
            assert heard.text == f"{SAID} {SAID}"
            assert heard.model_dump()["translation"]["by"] == by
            assert [round(each.start) for each in heard.segments or []] == [1, 8]


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"target_language": "xx"}, 422, "'xx'"),
        ({"target_language": "de"}, 501, "models fetch"),
        ({"target_language": "de", "language": "hi"}, 501, "models fetch"),
    ],
)
async def test_speech_that_nobody_translates_is_refused_before(
    door: Served, fields: dict[str, str], status: int, says: str
) -> None:
    answer = await post(door, SPEECH, mode="translate", **fields)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["error"]["message"]


async def test_without_a_translator_the_recogniser_translates(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("untranslated")
    settings = Settings(home=home / "home", cache=home / "cache", offline=True, _env_file=None)
    async with serve(settings, open_hearing_host) as served:
        heard = (await post(served, SPEECH, mode="translate")).json()
    assert heard["translation"] == {"by": "recogniser", "models": ["scripted-speech"], "target": "en", "reason": ""}
    assert heard["text"] == f"{SAID} {SAID}"
