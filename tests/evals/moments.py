"""«When …» on a film of 75 s and 6 scenes that this makes itself: does the cited window overlap the true one?"""

import csv
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from graphs.runs import open_runs
from ingestion.ingest import ingest
from knowledge.open import open_knowledge
from tests.asking import Asked, ask
from tools.open import open_bench
from tools.settings import Settings

KNOWLEDGE_BASE = "moments"
SIZE, FRAMES, RATE, SCENE = (640, 360), 12, 44_100, 12.5
TITLES = (
    "Harvest of the mango orchard",
    "Budget meeting in March",
    "Repairing the old bicycle",
    "Night train to Varanasi",
    "Lessons from the pottery workshop",
    "Thank you and goodbye",
)
ABSENT = ("When does a volcano erupt?", "When is the word 'submarine' said?", "When does the title 'Tax law' appear?")


@dataclass(frozen=True)
class Truth:
    """What is asked, and the seconds in which it is so; no window for what is not in the film."""

    question: str
    start: float = 0.0
    end: float = 0.0


@dataclass(frozen=True)
class Clip:
    path: Path
    text: str


def clips_of(data: Path | None) -> list[Clip]:
    """Read speech, at most as long as a scene, one clip for each second scene."""
    if data is None:
        return []
    rows = (data / "speech" / "ljspeech.csv").read_text(encoding="utf-8").splitlines()
    read = [row for row in csv.reader(rows, delimiter="|" if "|" in rows[0] else ",") if row]
    paths = {path.stem: path for path in (data / "speech").glob("LJ*.flac")}
    clips = [Clip(paths[Path(row[0]).stem], row[-1]) for row in read if Path(row[0]).stem in paths]
    return [each for each in clips if len(_samples(each.path)) < (SCENE - 1) * RATE]


def make_film(target: Path, spoken: dict[int, Clip]) -> list[Truth]:
    """Write the film; `spoken` are clips by scene, each beginning one second into it. Blocking."""
    truths = [
        Truth(f'When is the title "{title}" shown?', n * SCENE, (n + 1) * SCENE) for n, title in enumerate(TITLES)
    ]
    with av.open(str(target), "w") as film:
        picture = film.add_stream("libx264", rate=FRAMES, options={"preset": "veryfast", "g": "24"})
        picture.width, picture.height, picture.pix_fmt = *SIZE, "yuv420p"
        track = film.add_stream("aac", rate=RATE, layout="mono") if spoken else None
        for n, image in enumerate(_frames()):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, FRAMES)
            film.mux(picture.encode(frame))
        film.mux(picture.encode())
        if track is not None:
            sound = np.zeros(int(len(TITLES) * SCENE * RATE), dtype=np.float32)
            for scene, clip in spoken.items():
                voice, first = _samples(clip.path), int((scene * SCENE + 1) * RATE)
                sound[first : first + len(voice)] = voice
                words = " ".join(clip.text.split()[:6]).strip(",;.")
                end = scene * SCENE + 1 + len(voice) / RATE
                truths.append(Truth(f"When is «{words}» said?", scene * SCENE + 1, end))
            _write_sound(film, track, sound)
    return truths


def _frames() -> Iterator[NDArray[np.uint8]]:
    for n, title in enumerate(TITLES):
        image = Image.new("RGB", SIZE, ((37 * n) % 90, 40 + 20 * n, 160 - 20 * n))
        draw = ImageDraw.Draw(image)
        draw.ellipse((60 * n, 40, 60 * n + 120, 160), fill=(220, 180 - 20 * n, 40 * n))
        draw.text((SIZE[0] // 2, SIZE[1] - 60), title, font=ImageFont.load_default(32), fill="white", anchor="mm")
        still = np.asarray(image)
        for _ in range(int(SCENE * FRAMES)):
            yield still


def _samples(path: Path) -> NDArray[np.float32]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(str(path)) as source:
        pieces = [out.to_ndarray()[0] for frame in source.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate(pieces)


def _write_sound(film: Any, stream: Any, sound: NDArray[np.float32]) -> None:
    for first in range(0, len(sound), 1024):
        frame = av.AudioFrame.from_ndarray(sound[None, first : first + 1024], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, first, Fraction(1, RATE)
        film.mux(stream.encode(frame))
    film.mux(stream.encode())


def overlaps(asked: Asked, truth: Truth) -> bool:
    """Whether every cited window of the first citation lies over the true one."""
    cited = asked.answer.citations if asked.answer else []
    return bool(cited) and (cited[0].start or 0.0) < truth.end and (cited[0].end or 0.0) > truth.start


def figures_of(pairs: Sequence[tuple[Truth, Asked]], absent: Sequence[Asked]) -> dict[str, Any]:
    kinds = {
        kind: [overlaps(asked, truth) for truth, asked in pairs if kind in truth.question] for kind in ("shown", "said")
    }
    every = [*(asked for _, asked in pairs), *absent]
    return {
        "questions": len(pairs),
        "overlap": round(statistics.mean(overlaps(asked, truth) for truth, asked in pairs), 3),
        **{f"overlap_{kind}": round(statistics.mean(hits), 3) for kind, hits in kinds.items() if hits},
        "absent": len(absent),
        "invented": sum(bool(each.answer and each.answer.answered) for each in absent),
        "chat_calls_mean": round(statistics.mean(each.usage.chat_calls for each in every), 2),
        "evidence_p50_s": round(statistics.median(each.evidence for each in every), 3),
        "seconds_p50": round(statistics.median(each.seconds for each in every), 3),
    }


async def run(home: Path, data: Path | None, quick: bool) -> dict[str, Any]:
    """Without `data` the film has no speech and only its titles are asked for."""
    with TemporaryDirectory(dir=home) as folder:
        film = Path(folder) / "film.mp4"
        clips = clips_of(data)
        truths = make_film(film, dict(zip(range(0, len(TITLES), 3 if quick else 1), clips, strict=False)))
        async with (
            open_bench(Settings(home=Path(folder) / "home")) as plain,
            open_knowledge(plain) as bench,
            open_runs(bench) as runs,
        ):
            await ingest(film, bench, knowledge_base=KNOWLEDGE_BASE)
            pairs = [(truth, await ask(runs, truth.question, KNOWLEDGE_BASE)) for truth in truths]
            return figures_of(pairs, [await ask(runs, question, KNOWLEDGE_BASE) for question in ABSENT])
