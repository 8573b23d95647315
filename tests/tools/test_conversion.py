"""Checkpoints into CTranslate2 folders. What needs torch runs after `make gpu`."""

import asyncio
import os
import pickle
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tools.checkpoints import make_whisper
from tools import conversion
from tools.catalog import File, Row
from tools.errors import EngineFailed, InvalidInput, NotInstalled
from tools.isolation import process
from tools.speech import ListenOptions
from tools.store import WeightStore

pytestmark = pytest.mark.anyio
torch_only = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("transformers") is None, reason="needs torch and transformers (`make gpu`)"
)


def row(folder: Path, names: list[str], **options: Any) -> Row:
    return Row(
        id="tiny-whisper",
        title="Tiny Whisper",
        capability="speech-to-text",
        engine="tools.speech.whisper:Whisper",
        licence="MIT",
        commercial=True,
        files=[File(name=name, sources=[f"file:{folder / name}"]) for name in names],
        options={"convert": "ctranslate2", **options},
    )


def left_over(cache: Path) -> list[str]:
    return [path.name for path in (cache / "converted").rglob("*.part")]


@torch_only
async def test_a_checkpoint_becomes_a_folder_that_the_engine_hears_with(tmp_path: Path) -> None:
    from tools.speech.whisper import Whisper

    wanted, store, events = row(tmp_path / "in", make_whisper(tmp_path / "in")), WeightStore(tmp_path), list[Any]()
    files = await store.ensure(wanted, events.append)
    assert {"model.bin", "config.json", "vocabulary.json", "tokenizer.json", "preprocessor_config.json"} <= set(files)
    assert not any(name.endswith(".safetensors") for name in files)
    assert [event.note for event in events][-2:] == ["converting to CTranslate2 (int8)", "converted"]
    engine = Whisper(wanted, files, "cpu")
    noise = np.random.default_rng(3).normal(0, 0.1, 16_000).astype(np.float32)
    for heard in engine.transcribe(noise, ListenOptions(language="hi")):
        assert heard.language == "hi"
    with pytest.raises(InvalidInput, match="xx"):
        list(engine.transcribe(noise, ListenOptions(language="xx")))
    # another quantisation is another folder, and nothing is made twice
    before = (files["model.bin"].stat().st_ino, store.size(wanted))
    assert (await store.ensure(wanted))["model.bin"].stat().st_ino == before[0]
    full = await store.ensure(row(tmp_path / "in", [file.name for file in wanted.files], quantization="float32"))
    assert full["model.bin"].stat().st_size > files["model.bin"].stat().st_size
    assert store.size(wanted) > before[1]
    await store.remove(wanted)
    assert store.size(wanted) == 0


@torch_only
async def test_two_at_once_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, made = row(tmp_path / "in", make_whisper(tmp_path / "in")), list[str]()
    spawn = process.spawn

    def counted(engine: str, **options: Any) -> Any:
        made.append(engine)
        return spawn(engine, **options)

    monkeypatch.setattr(process, "spawn", counted)
    first, second = await asyncio.gather(*(WeightStore(tmp_path).ensure(wanted) for _ in range(2)))
    assert first == second
    assert len(made) == 1


@torch_only
async def test_a_conversion_that_is_cut_off_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    wanted, store, started = row(tmp_path / "in", make_whisper(tmp_path / "in")), WeightStore(tmp_path), asyncio.Event()

    def emit(event: Any) -> None:
        if event.note.startswith("converting"):
            started.set()

    task = asyncio.create_task(store.ensure(wanted, emit))
    await asyncio.wait_for(started.wait(), 60)
    await asyncio.sleep(1.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [*(tmp_path / "converted" / wanted.id).iterdir()] == []
    # a host that was killed has no chance to clean up; the next conversion does
    (tmp_path / "converted" / wanted.id / ".dead.part").mkdir()
    files = await store.ensure(wanted)
    assert "model.bin" in files
    assert left_over(tmp_path) == []


@torch_only
async def test_a_conversion_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    wanted, store = row(tmp_path / "in", make_whisper(tmp_path / "in")), WeightStore(tmp_path)
    plain = wanted.model_copy(update={"options": {}})
    files = await store.ensure(plain)
    with pytest.raises(EngineFailed, match=r"took longer than 0\.2 s"):
        await conversion.convert(wanted, files, {}, tmp_path / "converted", seconds=0.2)
    assert [*(tmp_path / "converted").iterdir()] == []


@torch_only
async def test_an_old_checkpoint_is_read_as_weights_only(tmp_path: Path) -> None:
    names = make_whisper(tmp_path / "in", safetensors=False)
    assert "pytorch_model.bin" in names
    with pytest.raises(NotInstalled, match="pickle"):
        await WeightStore(tmp_path).ensure(row(tmp_path / "in", names))
    assert "model.bin" in await WeightStore(tmp_path).ensure(row(tmp_path / "in", names, weights_only=True))

    class Evil:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(tmp_path / "owned"),))

    with zipfile.ZipFile(tmp_path / "in" / "evil.bin", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"model.x": Evil()}, protocol=2))
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    (tmp_path / "in" / "pytorch_model.bin").unlink()
    (tmp_path / "in" / "evil.bin").rename(tmp_path / "in" / "pytorch_model.bin")
    with pytest.raises(EngineFailed, match=r"(?i)weights.only"):
        await WeightStore(tmp_path / "other").ensure(row(tmp_path / "in", names, weights_only=True))
    assert not (tmp_path / "owned").exists()
    assert left_over(tmp_path / "other") == []


async def test_without_torch_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "config.json").write_text("{}")
    monkeypatch.setattr(conversion, "find_spec", lambda name: None)
    with pytest.raises(NotInstalled, match="make gpu"):
        await WeightStore(tmp_path).ensure(row(tmp_path / "in", ["config.json"]))


async def test_a_folder_that_was_made_needs_no_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "find_spec", lambda name: None)
    wanted = row(tmp_path, ["config.json"])
    made = tmp_path / conversion._name({"config.json": "a" * 64}, "int8")
    made.mkdir()
    (made / "model.bin").write_bytes(b"weights")
    found = await conversion.convert(wanted, {}, {"config.json": "a" * 64}, tmp_path)
    assert found == {"model.bin": made / "model.bin"}
    with pytest.raises(NotInstalled):
        await conversion.convert(wanted, {}, {"config.json": "b" * 64}, tmp_path)


async def test_what_cannot_be_made_is_refused(tmp_path: Path) -> None:
    for options in ({"convert": "gguf"}, {"quantization": "int3"}):
        with pytest.raises(InvalidInput):
            await conversion.convert(row(tmp_path, [], **options), {}, {}, tmp_path)
