"""Text in the scripts of India by Tesseract (Apache-2.0), a program that the system's packages bring."""

import csv
import io
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from tools.catalog import Row
from tools.errors import EngineFailed, InvalidInput, NotInstalled
from tools.vision import Image, TextLine

PACKS = {
    "as": "asm", "bn": "ben", "en": "eng", "gu": "guj", "hi": "hin", "kn": "kan", "ml": "mal", "mr": "mar", "ne": "nep",
    "or": "ori", "pa": "pan", "sa": "san", "sd": "snd", "ta": "tam", "te": "tel", "ur": "urd",
}  # fmt: skip
"""Tesseract's packs by ISO 639-1."""
_SECONDS = 60.0
_TALL = 32
"""Pixels of a letter's line that Tesseract reads well (its own advice: capitals of 20 to 40 pixels)."""
_SHORTEST = 640
"""Pixels of the shorter side up to which an image is enlarged."""
_WIDEST = 2_560
_STRIP = 0.25
"""Height by width below which an image is one line or two."""
_STRAY = re.compile("\N{ZERO WIDTH NON-JOINER}+$|(?<=[\N{TAMIL SIGN ANUSVARA}-\u0bff])\N{ZERO WIDTH NON-JOINER}")
"""It ends words with joiners that nobody wrote, and Tamil has none at all."""
_FLAT = 4.0
_MARGIN = 12


class Tesseract:
    """Options of the row: `confidence` (0.3), the least of a line, 0..1; `threads` that share the engine."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        self._row = row
        self._least = float(row.options.get("confidence", 0.3))
        self._program = shutil.which("tesseract")
        if self._program is None:
            raise NotInstalled(
                f"{row.title} needs the program `tesseract`.",
                remedy="Run `apt install tesseract-ocr tesseract-ocr-hin` (or the packs of your languages).",
            )
        self._packs = _installed(self._program)

    def read(self, images: list[Image], language: str | None = None) -> list[list[TextLine]]:
        """The lines of text on each image, top to bottom; without a language with all packs that are installed."""
        packs = self._wanted(language)
        with ThreadPoolExecutor(min(len(images), os.cpu_count() or 1) or 1) as pool:
            return list(pool.map(lambda image: self._read(image, packs), images))

    def _wanted(self, language: str | None) -> str:
        if language is None:
            found = [pack for pack in PACKS.values() if pack in self._packs]
            return "+".join(sorted(found, key=lambda pack: pack == "eng"))
        pack = PACKS.get(language)
        if pack is None:
            raise InvalidInput(f"{self._row.title} has no pack for {language!r}.", param="language")
        if pack not in self._packs:
            raise NotInstalled(
                f"{self._row.title} has no pack for {language!r} here.",
                remedy=f"Run `apt install tesseract-ocr-{pack}`.",
            )
        # Indian pages are full of English words and numbers
        return f"{pack}+eng" if "eng" in self._packs and pack != "eng" else pack

    def _read(self, image: Image, packs: str) -> list[TextLine]:
        if min(image.shape[:2]) < 2 or float(image.std()) < _FLAT:
            return []
        legible, scale = _legible(image)
        file = io.BytesIO()
        Pillow.fromarray(legible).save(file, "PNG", compress_level=1)
        # one block where there is room for a line or two, else wherever text is
        layout = "6" if image.shape[0] < _STRIP * image.shape[1] else "3"
        told = self._run(["stdin", "stdout", "-l", packs, "--psm", layout, "tsv"], file.getvalue())
        return [line for line in _lines(told, image, scale) if line.confidence >= self._least]

    def _run(self, arguments: list[str], picture: bytes) -> str:
        # each image has a core; threads inside it would only fight over them
        environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
        try:
            done = subprocess.run(
                [str(self._program), *arguments], input=picture, capture_output=True, timeout=_SECONDS, env=environment,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise EngineFailed(f"{self._row.title} took longer than {_SECONDS:g} s over one image.") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()[-300:]
            raise EngineFailed(f"{self._row.title} failed: {said or f'code {done.returncode}'}")
        return done.stdout.decode("utf-8", errors="replace")


def _installed(program: str) -> set[str]:
    done = subprocess.run([program, "--list-langs"], capture_output=True, timeout=_SECONDS, check=False)
    return set(done.stdout.decode(errors="replace").split())


def _legible(image: Image) -> tuple[Image, float]:
    """The image in grey, enlarged where it is small, with a margin of its own colour; and how much larger it is."""
    picture = Pillow.fromarray(image).convert("L")
    width, height = picture.size
    small = _TALL * 2 / height if height < _STRIP * width else _SHORTEST / min(width, height)
    scale = max(1.0, min(small, _WIDEST / max(width, height)))
    if scale > 1:
        picture = picture.resize((round(width * scale), round(height * scale)), Pillow.Resampling.LANCZOS)
    grey = np.asarray(picture)
    edge = int(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    return np.pad(grey, _MARGIN, constant_values=edge), scale


@dataclass
class _Line:
    words: list[str] = field(default_factory=list)
    sureness: list[float] = field(default_factory=list)
    boxes: list[tuple[int, int, int, int]] = field(default_factory=list)


def _lines(told: str, image: Image, scale: float) -> Iterator[TextLine]:
    """Tesseract's table has a row for each page, block, paragraph, line and word; words are level 5."""
    found = dict[tuple[str, ...], _Line]()
    for row in csv.DictReader(io.StringIO(told), delimiter="\t", quoting=csv.QUOTE_NONE):
        if row["level"] != "5" or not row["text"].strip():
            continue
        line = found.setdefault((row["block_num"], row["par_num"], row["line_num"]), _Line())
        left, top, width, height = (int(row[name]) for name in ("left", "top", "width", "height"))
        line.words.append(_STRAY.sub("", row["text"].strip()))
        line.sureness.append(float(row["conf"]) / 100)
        line.boxes.append((left, top, left + width, top + height))
    tall, wide = image.shape[:2]
    for line in found.values():
        edges = np.array(line.boxes, dtype=np.float64)
        corners = np.concatenate([edges[:, :2].min(axis=0), edges[:, 2:].max(axis=0)])
        box = np.clip((corners - _MARGIN) / scale / np.array([wide, tall, wide, tall]), 0, 1).round(4).tolist()
        yield TextLine(" ".join(line.words), tuple(box), round(float(np.mean(line.sureness)), 4))
