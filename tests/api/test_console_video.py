"""The console's video page in a real Chromium: upload, watch, seek by scene, read, download."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright.async_api", reason="needs playwright")

from tests.api.test_console import PROGRAM, page, serve_program
from tests.tools.films import film

if TYPE_CHECKING:
    from playwright.async_api import Page

__all__ = ["page"]

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = PROGRAM.replace("tests.api.fakes import open_fake_host", "tests.api.video_home import open_tour")
    home = tmp_path_factory.mktemp("console") / "home"
    yield from serve_program(program.replace("open_fake_host", "open_tour"), home, "{}")


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Debian's Chromium plays VP9 without asking for a licence
    return film(tmp_path_factory.mktemp("film") / "tour.webm", codec="libvpx-vp9", frames=100)


async def test_a_video_is_uploaded_watched_and_sought(console: str, page: "Page", tour: Path) -> None:
    await page.goto(f"{console}/video")
    await page.wait_for_selector("text=The video is shown here.")
    await page.set_input_files("input[type=file]", str(tour))
    await page.wait_for_selector(".side video", timeout=15_000)
    await page.click("button:has-text('Watch')")
    await page.wait_for_selector(".stage:has-text('frames')")
    await page.wait_for_selector(".scene >> nth=2", timeout=30_000)
    assert "Two people are in view." in await page.inner_text(".said-at >> nth=1")
    assert "CLEAN ROOM 4" in await page.inner_text(".scene >> nth=0")
    await page.wait_for_function("document.querySelector('.scene img').naturalWidth > 0")
    await page.wait_for_function("document.querySelector('video').duration > 3")
    await page.click(".said-at:has-text('CLEAN ROOM 4') >> nth=0 >> .chip")
    await page.wait_for_function("document.querySelector('video').currentTime >= 3")
    names = await page.locator(".files a").all_inner_texts()
    assert {"tour-storyboard.jpg", "tour.srt", "tour-report.pdf"} <= set(names)
    await page.click(".q-expansion-item:has-text('left out')")
    await page.wait_for_selector("text=No vision-language model is installed")


async def test_what_is_no_video_is_said(console: str, page: "Page", tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("no film at all " * 500)
    await page.goto(f"{console}/video")
    await page.set_input_files("input[type=file]", str(text))
    await page.wait_for_selector(".q-notification:has-text('is not a video or sound')")
    await page.click("button:has-text('Watch')")
    await page.wait_for_selector("text=Upload or choose a video first.")
