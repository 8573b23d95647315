"""The tool `translate`: routing by direction, languages told, lines kept, bounds. Its engines copy."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools.translators import indictrans2, m2m100
from tools.bench import Bench
from tools.catalog import Catalog, Profile, Row, load_catalog
from tools.errors import InvalidInput, NotInstalled, TooLarge
from tools.events import ToolEvent
from tools.open import open_bench
from tools.settings import Settings
from tools.store import WeightStore
from tools.translating import TranslateInput, translate
from tools.translation import knows
from tools.translation.routing import language_code, route

pytestmark = pytest.mark.anyio

SHIPPED = load_catalog()


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    home = tmp_path_factory.mktemp("translators")
    made = [indictrans2(home / name, name) for name in ("en-indic", "indic-en")]
    return {row.id: row for row in [*made, m2m100(home / "m2m100")]}


@pytest.fixture
async def bench(rows: dict[str, Row], settings: Settings, tmp_path: Path) -> AsyncIterator[Bench]:
    """The profile lists IndicTrans2; M2M100 was fetched."""
    profile = Profile(
        title="Tiny", devices={"cpu": 4.0}, serves={"translation": ["tiny-en-indic", "tiny-indic-en"]}, roles={}
    )
    settings = settings.model_copy(update={"cache": tmp_path / "cache"})
    await WeightStore(settings.cache).ensure(rows["tiny-m2m100"])
    catalog = Catalog(models=list(rows.values()), profiles={"embedded": profile})
    async with open_bench(settings, catalog=catalog) as bench:
        yield bench


async def test_a_text_keeps_its_form_and_says_who_translated_it(bench: Bench) -> None:
    text = "यह पहला है। यह दूसरा!\n\n* तीसरा\n  10:30\n"
    done = await bench.call(translate, TranslateInput(text=text))
    # an engine that copies leaves a danda in English, where it is a word of its own
    assert done.texts == [text.replace("।", " ।")] == [done.text]
    assert (done.source, done.sources, done.target) == ("hi", ["hi"], "en")
    assert (done.model, done.engine, done.licence, done.commercial) == ("tiny-indic-en", "IndicTrans2", "MIT", True)
    assert done.reason == ""


async def test_each_text_has_its_own_language_and_row(bench: Bench) -> None:
    events = list[Any]()
    texts = ["This is the house.", "आप कैसे हैं?", "le chat et la maison ne sont pas dans le jardin", "1 2 3", "🙂", ""]
    done = await bench.listening(events.append).call(translate, TranslateInput(texts=texts, target="Tamil"))
    assert done.sources == ["en", "hi", "fr", None, None, None]
    assert [(each.source, each.target, each.model) for each in done.served] == [
        ("en", "ta", "tiny-en-indic"),
        ("hi", "en", "tiny-indic-en"),
        ("en", "ta", "tiny-en-indic"),
        ("fr", "ta", "tiny-m2m100"),
    ]
    assert "Through English" in done.served[1].reason
    assert "does not know 'fr'" in done.served[3].reason
    assert (done.texts[2], done.texts[3:]) == (texts[2], texts[3:])
    fractions = [each.fraction for each in events if isinstance(each, ToolEvent) and each.fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


async def test_what_is_in_the_target_language_stays(bench: Bench) -> None:
    done = await bench.call(translate, TranslateInput(text="This is the house."))
    assert (done.text, done.model, done.served) == ("This is the house.", "none", [])
    assert "already" in done.reason


@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        ({"text": "bahut acha hai, nahi tha"}, InvalidInput, "Latin letters"),
        ({"text": "ⴰⵣⵓⵍ"}, InvalidInput, "Nothing tells the language"),
        ({"text": "x", "source": "xx"}, InvalidInput, "translates the language 'xx'"),
        ({"text": "यह है", "target": "klingon"}, InvalidInput, "'klingon'.*Send one of: as, bn"),
        ({"text": "यह है", "model": "tiny-en-indic"}, InvalidInput, "does not translate 'hi' into 'en'.*tiny-indic-en"),
        ({"texts": ["x" * 100_000] * 3, "source": "en", "target": "hi"}, TooLarge, "300,000"),
    ],
)
async def test_what_cannot_be_translated_says_why(
    bench: Bench, asked: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        await bench.call(translate, TranslateInput(**asked))


@pytest.mark.parametrize("asked", [{}, {"text": "a", "texts": ["b"]}, {"texts": []}, {"text": "x" * 100_001}])
def test_other_input_is_refused_before(asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        translate.parse(asked)


@pytest.mark.parametrize(
    ("asked", "code"),
    [("Hindi", "hi"), ("hi-IN", "hi"), ("hin_Deva", "hi"), ("kok", "gom"), ("Konkani", "gom"), ("snd_Deva", "sd-Deva"),
     ("sd", "sd"), ("TE", "te"), ("english", "en"), ("hi-Latn", "hi"), ("ory_Orya", "or")],
)  # fmt: skip
async def test_languages_by_any_name(asked: str, code: str, settings: Settings) -> None:
    async with open_bench(settings) as bench:
        assert language_code(asked, bench, "target") == code


@pytest.mark.parametrize(
    ("source", "target", "command"),
    [
        ("te", "en", "models fetch indictrans2-indic-en-200m`"),
        ("en", "as", "models fetch indictrans2-en-indic-200m`"),
        ("fr", "de", "models fetch m2m100-418m`"),
        ("te", "fr", "models fetch indictrans2-indic-en-200m m2m100-418m`"),
    ],
)
async def test_without_a_row_one_command_installs_one(
    source: str, target: str, command: str, settings: Settings, tmp_path: Path
) -> None:
    async with open_bench(settings.model_copy(update={"cache": tmp_path})) as bench:
        with pytest.raises(NotInstalled, match=command):
            await route(bench, source, target)


@pytest.mark.parametrize(
    ("source", "target", "models"),
    [
        ("hi", "en", ["indictrans2-indic-en"]),
        ("en", "te", ["indictrans2-en-indic"]),
        ("hi", "ta", ["indictrans2-indic-en", "indictrans2-en-indic"]),
        ("fr", "en", ["m2m100"]),
        ("fr", "hi", ["m2m100"]),
        ("fr", "te", ["m2m100", "indictrans2-en-indic"]),
        ("as", "de", ["indictrans2-indic-en", "m2m100"]),
    ],
)
async def test_the_reference_server_sends_each_pair_to_its_best_row(
    source: str, target: str, models: list[str], settings: Settings
) -> None:
    async with open_bench(settings.model_copy(update={"profile": "owner"})) as bench:
        assert [leg.choice.row.id for leg in await route(bench, source, target)] == models


@pytest.mark.parametrize("language", ["te", "as"])
def test_m2m100_never_serves_telugu_or_assamese(language: str) -> None:
    rows = [row for row in SHIPPED.models if row.engine.endswith(":M2M100")]
    assert len(rows) == 2
    assert not any(knows(row, language, "en") or knows(row, "en", language) for row in rows)


def test_the_shipped_rows_have_the_files_that_their_engines_open(rows: dict[str, Row]) -> None:
    for row in SHIPPED.models:
        if row.capability == "translation" and row.status == "ready":
            names = {file.name for file in row.files}
            if row.engine.endswith(":IndicTrans2"):
                assert names == {file.name for file in rows["tiny-en-indic"].files}
            else:
                assert {"sentencepiece.bpe.model", "vocab.json", "pytorch_model.bin", "config.json"} <= names
                assert row.options["convert"] == "ctranslate2"
