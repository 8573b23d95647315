"""Reading Indian scripts, on lines drawn with real fonts; the program, its packs and the fonts come from the system."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont, features

from tests.tools.test_looking import coded, kept
from tools.bench import Bench
from tools.catalog import load_catalog
from tools.errors import EngineFailed, InvalidInput, NotInstalled
from tools.looking import ReadInput, read_text
from tools.open import open_bench
from tools.settings import Settings
from tools.vision import Image
from tools.vision.tesseract import Tesseract

pytestmark = pytest.mark.anyio

FONTS = {
    "hi": Path("/usr/share/fonts/truetype/lohit-devanagari/Lohit-Devanagari.ttf"),
    "ta": Path("/usr/share/fonts/truetype/lohit-tamil/Lohit-Tamil.ttf"),
}
LINES = {
    "hi": ["रेलगाड़ी प्लेटफ़ॉर्म बारह से जाएगी", "कृपया अपना सामान साथ रखें", "विज्ञान और प्रौद्योगिकी संस्थान", "सूर्य पूर्व में उगता है"],
    "ta": ["தயவுசெய்து வரிசையில் நிற்கவும்", "சென்னை மத்திய ரயில் நிலையம்", "அறிவியல் மற்றும் தொழில்நுட்பம்", "இந்தியா ஒரு பெரிய நாடு"],
}


@pytest.fixture(scope="module")
def reader() -> Tesseract:
    if shutil.which("tesseract") is None:
        pytest.skip("needs tesseract: apt install tesseract-ocr tesseract-ocr-hin tesseract-ocr-tam")
    return Tesseract(load_catalog().row("tesseract-indic"), {}, "cpu")


def drawn(lines: list[str], language: str, size: int, *, ink: str = "black", paper: str = "white") -> Image:
    if not FONTS[language].exists() or not features.check("raqm"):
        pytest.skip("needs fonts that shape: apt install fonts-lohit-deva fonts-lohit-taml, and Pillow with raqm")
    font = ImageFont.truetype(FONTS[language], size)
    width = round(max(font.getlength(line) for line in lines)) + 2 * size
    page = Pillow.new("RGB", (width, round(size * (2.2 * len(lines) + 0.8))), paper)
    for number, line in enumerate(lines):
        ImageDraw.Draw(page).text((size, round(size * (0.6 + 2.2 * number))), line, font=font, fill=ink)
    return np.asarray(page)


def wrong(said: list[str], read: list[str]) -> float:
    """Character error rate."""
    import jiwer

    return float(jiwer.cer(" ".join(said), " ".join(read)))


def needs(reader: Tesseract, language: str) -> None:
    if {"hi": "hin", "ta": "tam"}[language] not in reader._packs:
        pytest.skip(f"needs the pack of {language!r}")


@pytest.mark.parametrize("language", LINES)
@pytest.mark.parametrize(("size", "most"), [(14, 0.06), (20, 0.02), (32, 0.02)])
@pytest.mark.parametrize("colours", [("black", "white"), ("white", "navy")])
def test_single_lines(reader: Tesseract, language: str, size: int, most: float, colours: tuple[str, str]) -> None:
    needs(reader, language)
    images = [drawn([line], language, size, ink=colours[0], paper=colours[1]) for line in LINES[language]]
    found = reader.read(images, language)
    assert wrong(LINES[language], [" ".join(line.text for line in lines) for lines in found]) <= most


@pytest.mark.parametrize("language", LINES)
def test_a_page_comes_line_by_line_with_places(reader: Tesseract, language: str) -> None:
    needs(reader, language)
    page = drawn(LINES[language], language, 28)
    for known in (language, None):
        (found,) = reader.read([page], known)
        assert len(found) == 4
        assert wrong(LINES[language], [line.text for line in found]) <= 0.02
    tops = [line.box[1] for line in found]
    assert np.diff(tops) == pytest.approx([2.2 / 9.6] * 3, abs=0.015)
    assert tops[0] == pytest.approx(0.9 / 9.6, abs=0.04)
    assert all(line.box[0] == pytest.approx(28 / page.shape[1], abs=0.02) for line in found)
    assert min(line.confidence for line in found) > 0.7


def test_nothing_is_read_on_nothing(reader: Tesseract) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3)).astype(np.uint8)
    blank, dot = np.full((300, 400, 3), 200, np.uint8), np.zeros((1, 1, 3), np.uint8)
    assert reader.read([blank, dot]) == [[], []]
    assert sum(len(line.text) for line in reader.read([noise])[0]) < 20
    assert reader.read([]) == []


def test_a_language_without_a_pack_is_told(reader: Tesseract) -> None:
    reader._packs = reader._packs - {"guj"}
    with pytest.raises(NotInstalled, match="apt install tesseract-ocr-guj"):
        reader.read([], "gu")
    with pytest.raises(InvalidInput, match="'fr'"):
        reader.read([], "fr")


def test_without_the_program_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NotInstalled, match="apt install tesseract-ocr"):
        Tesseract(load_catalog().row("tesseract-indic"), {}, "cpu")


def test_a_program_that_fails_is_told(reader: Tesseract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "tesseract"
    program.write_text("#!/bin/sh\necho 'no such pack' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(reader, "_program", str(program))
    with pytest.raises(EngineFailed, match="no such pack"):
        reader.read([np.eye(64, dtype=np.uint8)[:, :, None].repeat(3, 2) * 255], "hi")


@pytest.fixture
async def bench(settings: Settings) -> AsyncIterator[Bench]:
    async with open_bench(settings) as bench:
        yield bench


async def test_the_tool_takes_it_for_an_indian_language(reader: Tesseract, bench: Bench) -> None:
    needs(reader, "hi")
    ref = await kept(bench, coded(Pillow.fromarray(drawn(LINES["hi"][:2], "hi", 28))))
    answer = await read_text(ReadInput(images=[ref], language="hi"), bench)
    assert answer.model == "tesseract-indic"
    assert "does not know 'hi'" in answer.reason
    assert wrong(LINES["hi"][:2], [line.text for line in answer.images[0].lines]) <= 0.02
    latin = await read_text(ReadInput(images=[ref], language="en"), bench)
    assert latin.model == "pp-ocrv6-small"
