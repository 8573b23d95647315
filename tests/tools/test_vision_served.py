"""Images and clips to a model behind a server, over real HTTP to a stand-in that reads them as vLLM does."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from tests.tools.providers import Reply
from tests.tools.test_describing import bench_with, frames, seer
from tests.tools.test_remote_chat import remote
from tests.tools.test_vllm import program, ready
from tools.bench import Bench
from tools.catalog import Row
from tools.describing import (
    AskImagesInput,
    DescribeClipInput,
    DescribeImagesInput,
    ask_images,
    describe_clip,
    describe_images,
)
from tools.errors import EngineFailed, NotInstalled, TooLarge
from tools.open import open_bench
from tools.settings import Settings
from tools.vision import Question
from tools.vision.asking import choose_seer
from tools.vision.served import as_message

pytestmark = pytest.mark.anyio


def server(**options: Any) -> Row:
    return seer(
        "served", engine="tests.tools.fake_server:FakeServer", isolation="server", options={"sees": True, **options}
    )


async def calls(bench: Bench) -> Any:
    async with bench.models.use("served") as lease:
        url, headers = lease.endpoint.url.removesuffix("/v1"), {"Authorization": f"Bearer {lease.endpoint.key}"}
        async with aiohttp.ClientSession() as session, session.get(f"{url}/calls", headers=headers) as answer:
            return await answer.json()


async def test_an_image_goes_as_jpeg_before_the_words(settings: Settings) -> None:
    async with bench_with(settings, server(side=300)) as bench:
        refs = await frames(bench, 2, (600, 400))
        answer = await ask_images(AskImagesInput(question="Who is it?", images=refs), bench)
    shown = "[image/jpeg JPEG 300x200]"
    assert answer.text == f"served: {shown} {shown} Who is it? busy=1"
    assert answer.model == "served"


async def test_a_clip_goes_as_frames_after_their_seconds(settings: Settings) -> None:
    async with bench_with(settings, server(frames=3)) as bench:
        refs = await frames(bench, 7)
        clip = DescribeClipInput(images=refs, times=[n * 1.5 for n in range(7)], question="What next?")
        answer = await describe_clip(clip, bench)
    frame = "[image/jpeg JPEG 32x24]"
    assert answer.text.startswith(f"served: At 0.0 s: {frame} At 4.5 s: {frame} At 9.0 s: {frame} These are frames")
    assert "What next?" in answer.text
    assert answer.times == [0.0, 4.5, 9.0]


async def test_many_images_are_sent_at_once_but_not_all(settings: Settings) -> None:
    async with bench_with(settings, server(delay=0.01)) as bench:
        refs = await frames(bench, 24)
        asked = [DescribeImagesInput(images=refs[n : n + 8], detail="low") for n in (0, 8, 16)]
        answers = await asyncio.gather(*(describe_images(each, bench) for each in asked))
        assert 2 <= (await calls(bench))["busiest"] <= 8
    assert [image.image for answer in answers for image in answer.images] == refs


async def test_a_server_that_refuses_or_dies_is_told(settings: Settings) -> None:
    for options, kind in ({"status": 400}, TooLarge), ({"crash": 1}, EngineFailed):
        async with bench_with(settings, server(**options)) as bench:
            refs = await frames(bench, 2)
            with pytest.raises(kind):
                await describe_images(DescribeImagesInput(images=refs), bench)


def test_too_many_bytes_are_refused_before_they_are_sent() -> None:
    loud = np.random.default_rng(0).integers(0, 255, (1_600, 1_600, 3)).astype(np.uint8)
    with pytest.raises(TooLarge, match="MB are allowed"):
        as_message(Question("What?", [loud] * 12))


async def test_qwen3_vl_8b_is_served_by_vllm(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = settings.model_copy(update={"profile": "owner"})
    monkeypatch.setenv("PATH", "/nowhere")
    async with open_bench(owner, catalog=ready("qwen3-vl-8b")) as bench:
        with pytest.raises(NotInstalled, match="models fetch qwen"):
            choose_seer(bench)
        refs = await frames(bench, 1)
        with pytest.raises(NotInstalled, match="pip install vllm"):
            await describe_images(DescribeImagesInput(images=refs, model="qwen3-vl-8b"), bench)
    monkeypatch.setattr("tools.chat.vllm.total", lambda device: 96.0)
    log = program(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.defpath}")
    async with open_bench(owner, catalog=ready("qwen3-vl-8b")) as bench:
        monkeypatch.setattr(bench.models._devices, "used_by", lambda pid, device: None)  # type: ignore[attr-defined]
        refs = await frames(bench, 1)
        answer = await describe_images(DescribeImagesInput(images=refs, most_tokens=3), bench)
    assert (answer.model, answer.images[0].text) == ("qwen3-vl-8b", "w0 w1 w2")
    assert json.loads(log.read_text())["arguments"][:2] == ["serve", "Qwen/Qwen3-VL-8B-Instruct"]


@pytest.mark.parametrize("row", ["claude-sonnet-5-5", "gpt-6.1-sol"])
async def test_a_provider_of_the_role_vision_sees(settings: Settings, row: str) -> None:
    async with remote(settings, Reply(text="A red square."), roles={"vision": row}) as (bench, provider):
        refs = await frames(bench, 1)
        answer = await ask_images(AskImagesInput(question="What is it?", images=refs), bench)
        ((body, _),) = provider.seen
    assert (answer.model, answer.text) == (row, "A red square.")
    sent = json.dumps(body)
    # a JPEG in base64, and the words after it
    assert sent.index("/9j/") < sent.index("What is it?")
    assert "image/jpeg" in sent


async def test_without_a_key_a_provider_is_not_asked(settings: Settings) -> None:
    async with remote(settings, Reply(text="no"), keys={}) as (bench, provider):
        refs = await frames(bench, 1)
        with pytest.raises(NotInstalled, match="ANTHROPIC"):
            await ask_images(AskImagesInput(question="What is it?", images=refs), bench)
        assert provider.seen == []
