"""The console in a real Chromium: ask, watch the steps, seek by citation, library, graphs, models, login, a phone."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.api.conftest import KEYS

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-background-networking"]
PROGRAM = """
import json, sys, uvicorn
from pathlib import Path
from typing import TYPE_CHECKING
from api.app import create_app
from tests.api.fakes import open_fake_host
from tools.settings import Server, Settings
home, port, keys = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
settings = Settings(home=home, offline=True, server=Server(port=port, keys=keys), _env_file=None)
uvicorn.run(create_app(settings, opener=open_fake_host), host="127.0.0.1", port=port, log_level="warning")
"""

playwright = pytest.importorskip("playwright.async_api", reason="needs playwright")
if not CHROMIUM.exists():
    pytest.skip("needs Debian's chromium: apt-get install chromium", allow_module_level=True)


def serve_program(program: str, home: Path, keys: str) -> Iterator[str]:
    # NiceGUI keeps its pages globally, so each console has a process of its own
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", program, str(home), str(port), keys]
    process = subprocess.Popen(
        command, cwd=Path(__file__).parents[2], env={**os.environ, "NICEGUI_SCREEN_TEST_PORT": ""}
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{url}/health").status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from serve_program(PROGRAM, tmp_path_factory.mktemp("console") / "home", "{}")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    key = KEYS["team-a"].get_secret_value()
    yield from serve_program(PROGRAM, tmp_path_factory.mktemp("guarded") / "home", f'{{"team-a": "{key}"}}')


@pytest.fixture
async def page() -> AsyncIterator["Page"]:
    """A page that fails the test for an error in its console or a request that leaves the host."""
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        opened = await browser.new_page(viewport={"width": 1280, "height": 800})
        problems = list[str]()
        opened.on("pageerror", lambda error: _matters(str(error), problems))
        # what the content security policy stops is asked for and never finished
        opened.on("requestfinished", lambda request: _stays(request.url, problems))
        yield opened
        await browser.close()
        assert problems == []


def _matters(error: str, problems: list[str]) -> None:
    # the fake host cites a film that it does not have
    if "no supported source" not in error:
        problems.append(error)


def _stays(url: str, problems: list[str]) -> None:
    if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
        problems.append(f"left the host: {url}")


async def _ask(page: "Page", url: str, question: str) -> None:
    await page.goto(url)
    await page.fill("textarea", question)
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".chip", timeout=30_000)


async def test_an_answer_streams_and_its_citation_seeks_the_player(console: str, page: "Page") -> None:
    await _ask(page, console, "where is the mirror")
    assert "where is the mirror" in await page.inner_text(".prose")
    assert "2 steps" in await page.inner_text(".steps")
    assert "00:07–00:12" in await page.inner_text(".moment")
    assert not await page.is_visible(".side")
    await page.click(".chip")
    await page.wait_for_selector(".side video")
    assert await page.get_attribute(".side video", "src") == f"/api/v1/media/{'0' * 64}"
    await page.click(".steps .q-item")
    await page.wait_for_selector(".step >> text=recall")


async def test_a_question_of_the_run_is_answered_with_a_button(console: str, page: "Page") -> None:
    await page.goto(console)
    await page.fill("textarea", "please ask")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".notice >> text=Which?")
    await page.reload()
    await page.click(".notice button:has-text('that')")
    await page.wait_for_selector(".chip")
    assert "that" in await page.inner_text(".prose")
    assert await page.locator(".notice button").count() == 0


async def test_a_thread_is_shown_again(console: str, page: "Page") -> None:
    await _ask(page, console, "remember this one")
    await page.wait_for_url("**/?thread=*")
    await page.reload()
    await page.wait_for_selector(".chip")
    assert await page.inner_text(".asked") == "remember this one"


async def test_a_hostile_answer_runs_nothing(console: str, page: "Page") -> None:
    hostile = "<img src=x onerror=document.title='owned'> ![](https://evil.example/leak.png) [a](javascript:alert(1))"
    await _ask(page, console, hostile)
    await asyncio.sleep(0.5)
    assert await page.title() == "Sutradhar"
    assert await page.locator(".prose a[href^='javascript']").count() == 0


async def test_the_running_node_is_lit_and_states_are_listed(console: str, page: "Page") -> None:
    await page.goto(f"{console}/graphs")
    await page.wait_for_selector("svg >> text=recall")
    await page.fill("input[placeholder='A question']", "wait here")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".node.lit", timeout=15_000)
    assert "recall" in (await page.text_content(".node.lit") or "")
    await page.fill("input[placeholder='A question']", "go on")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".state", timeout=15_000)
    await page.click(".state >> nth=0")
    # the viewer draws what it is given a moment later
    await page.wait_for_function("document.querySelector('.json')?.innerText.includes('go on')", timeout=15_000)


async def test_the_running_node_of_a_sub_graph_is_lit(console: str, page: "Page") -> None:
    await page.goto(f"{console}/graphs")
    await page.click(".q-select >> nth=0")
    await page.click(".q-menu >> text=Any question")
    await page.wait_for_selector("svg >> text=combine")
    await page.fill("input[placeholder='A question']", "wait here")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".node.lit >> text=recall", timeout=15_000)
    await page.wait_for_selector(".node.past >> text=route")


async def test_a_model_is_loaded_and_shown_in_memory(console: str, page: "Page") -> None:
    await page.goto(f"{console}/models")
    await page.click("button:has-text('Load')")
    await page.wait_for_selector(".badge.ready >> text=ready", timeout=15_000)
    await page.wait_for_selector(".entry:has-text('Unload') >> text=Lengths")
    await page.click("button:has-text('Unload')")
    await page.wait_for_selector("text=No model is in memory")


async def test_a_voice_is_chosen_and_speaks(console: str, page: "Page") -> None:
    await page.goto(f"{console}/voices")
    await page.click(".voices .entry:has-text('Hindi') >> button:has-text('Take')")
    await page.wait_for_selector(".q-select:has-text('Hindi')")
    await page.fill("textarea", "नमस्ते।")
    await page.click("button:has-text('Speak')")
    await page.wait_for_selector(".where:has-text('by tones')", timeout=30_000)
    await page.wait_for_selector("text=spoken at 24 kHz")
    # the sound itself arrives and has a length
    await page.wait_for_function("document.querySelector('audio').duration > 0.2", timeout=15_000)
    await page.fill("textarea", " ")
    await page.click("button:has-text('Speak')")
    await page.wait_for_selector("text=There is nothing to say.")


async def test_the_library_stands_empty(console: str, page: "Page") -> None:
    await page.goto(f"{console}/library")
    await page.wait_for_selector("text=Nothing here yet.")


@pytest.mark.parametrize("path", ["/", "/library", "/graphs", "/voices", "/models"])
async def test_a_phone_has_no_sideways_scroll(console: str, page: "Page", path: str) -> None:
    await page.set_viewport_size({"width": 390, "height": 800})
    await page.goto(console + path)
    await page.wait_for_selector(".page")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390


async def test_logging_in(guarded: str, page: "Page") -> None:
    await page.goto(guarded)
    await page.fill("input[name=key]", "wrong")
    await page.click("button")
    assert "not issued" in await page.inner_text("[role=alert]")
    await page.fill("input[name=key]", KEYS["team-a"].get_secret_value())
    await page.click("button")
    await page.wait_for_selector("textarea")
    await _ask(page, guarded, "hello there")
