"""What is told of films whose content is known: statements that are wrong (none may be), and present facts found."""

import logging
import re
import wave
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from graphs.catalog import Ask
from graphs.events import Answer, RunFinished
from graphs.runs import Runs, open_runs
from graphs.video.state import Moment, Statement, VideoResult
from knowledge.library import LIBRARY
from knowledge.open import open_knowledge
from tools.bench import Bench
from tools.catalog import load_catalog
from tools.open import open_bench
from tools.settings import Budget, Settings
from tools.speaking import SynthesizeInput, synthesize
from tools.store import WeightStore
from tools.writing.text import words

_log = logging.getLogger(__name__)

SIZE = (640, 360)
FPS = 24
_RATE = 44_100
_SLACK = 0.6
"""Seconds by which a statement's time may miss its scene."""

Frame = NDArray[np.uint8]
Draw = Callable[[float], Frame]
"""A frame of a scene at a fraction 0..1 of it."""


@dataclass(frozen=True)
class Scene:
    """`things` are the names that may be said of it, the first the one to find; `wrong` is told of nothing else."""

    draw: Draw
    seconds: float = 5.0
    speech: str = ""
    people: int = 0
    things: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    camera: str = ""
    dark: bool = False
    repeats: int | None = None
    start: float = field(default=0.0, compare=False)

    @property
    def end(self) -> float:
        return self.start + self.seconds


@dataclass(frozen=True)
class Film:
    name: str
    scenes: tuple[Scene, ...]

    @property
    def timed(self) -> list[Scene]:
        at, found = 0.0, list[Scene]()
        for each in self.scenes:
            found.append(replace(each, start=at))
            at += each.seconds
        return found


def photo(path: Path) -> Draw:
    """A photograph, shown whole."""
    with Image.open(path) as image:
        board = Image.new("RGB", SIZE, (40, 40, 40))
        shown = image.convert("RGB")
        shown.thumbnail(SIZE)
        board.paste(shown, ((SIZE[0] - shown.width) // 2, (SIZE[1] - shown.height) // 2))
    frame = np.asarray(board)
    return lambda _: frame


def slide(*lines: str, colour: str = "white", ink: str = "black") -> Draw:
    board = Image.new("RGB", SIZE, colour)
    draw, font = ImageDraw.Draw(board), ImageFont.load_default(44)
    for at, line in enumerate(lines):
        draw.text((50, 70 + 90 * at), line, fill=ink, font=font)
    frame = np.asarray(board)
    return lambda _: frame


def plain(colour: tuple[int, int, int]) -> Draw:
    frame = np.full((SIZE[1], SIZE[0], 3), colour, np.uint8)
    return lambda _: frame


def panorama(seed: int) -> Draw:
    """A window that moves to the right over a wide field of soft blots."""
    wide = _blots(SIZE[0] * 2, seed)
    return lambda at: wide[:, int(at * SIZE[0]) : int(at * SIZE[0]) + SIZE[0]]


def approach(seed: int) -> Draw:
    """A zoom into the middle of such a field."""
    image = Image.fromarray(_blots(SIZE[0], seed))

    def draw(at: float) -> Frame:
        width, height = (round(each * (1 - 0.45 * at)) for each in SIZE)
        left, top = (SIZE[0] - width) // 2, (SIZE[1] - height) // 2
        return np.asarray(image.crop((left, top, left + width, top + height)).resize(SIZE))

    return draw


def _blots(width: int, seed: int) -> Frame:
    coarse = np.random.default_rng(seed).integers(30, 220, (SIZE[1] // 30, width // 30, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, SIZE[1]), Image.Resampling.BICUBIC))


def films(samples: dict[str, Path], quick: bool) -> list[Film]:
    astronaut, coffee = photo(samples["astronaut.png"]), photo(samples["coffee.png"])
    portrait = Scene(astronaut, people=1, things=("person",), speech="An astronaut trains for many years.")
    title = Scene(
        slide("Harbour Report", "Autumn edition"),
        texts=("Harbour Report", "Autumn edition"),
        speech="Welcome to the harbour report.",
    )
    cup = Scene(coffee, things=("cup", "dining table", "bowl"), speech="The coffee is served in a red cup.")
    first = Film(
        "harbour report.mp4",
        (title, portrait, cup, Scene(plain((6, 6, 8)), dark=True), replace(portrait, speech="", repeats=1)),
    )
    motorcycle = Scene(
        photo(samples["motorcycle_left.png"]),
        things=("motorcycle", "vehicle", "bicycle"),
        speech="This motorcycle stands in the garage.",
    )
    cat = Scene(photo(samples["chelsea.png"]), things=("cat", "animal"), speech="The cat watches everybody.")
    gate = Scene(
        slide("GATE 12", "Closed on Sunday", colour="navy", ink="white"), texts=("GATE 12", "Closed on Sunday")
    )
    second = Film("garage tour.mp4", (motorcycle, cat, Scene(panorama(3), camera="pans right"), gate))
    third = Film(
        "silent colours.mp4",
        (Scene(plain((200, 30, 30))), Scene(approach(5), camera="zooms in"), Scene(plain((30, 60, 200)))),
    )
    return [first] if quick else [first, second, third]


async def shoot(film: Film, path: Path, bench: Bench) -> Path:
    """The film with its speech; each line begins half a second into its scene."""
    import av

    sound = await _sound(film, bench)
    with av.open(str(path), "w", container_options={"movflags": "faststart"}) as container:
        picture: Any = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "20"})
        picture.width, picture.height, picture.pix_fmt = *SIZE, "yuv420p"
        track: Any = container.add_stream("aac", rate=_RATE, layout="mono") if sound is not None else None
        number = 0
        for scene in film.scenes:
            count = round(scene.seconds * FPS)
            for at in range(count):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(scene.draw(at / count)), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, FPS)
                container.mux(picture.encode(frame))
                number += 1
        container.mux(picture.encode(None))
        if track is not None and sound is not None:
            for start in range(0, len(sound), 1024):
                part = av.AudioFrame.from_ndarray(sound[None, start : start + 1024], format="fltp", layout="mono")
                part.sample_rate, part.pts, part.time_base = _RATE, start, Fraction(1, _RATE)
                container.mux(track.encode(part))
            container.mux(track.encode(None))
    return path


async def _sound(film: Film, bench: Bench) -> NDArray[np.float32] | None:
    if not any(each.speech for each in film.scenes):
        return None
    track = np.zeros(round(sum(each.seconds for each in film.scenes) * _RATE), np.float32)
    for scene in film.timed:
        if scene.speech:
            spoken = await bench.call(synthesize, SynthesizeInput(text=scene.speech, language="en"))
            samples = _samples(await bench.media.local(spoken.media))
            first = round((scene.start + 0.5) * _RATE)
            fitting = samples[: len(track) - first]
            track[first : first + len(fitting)] += fitting
    return track


def _samples(path: Path) -> NDArray[np.float32]:
    with wave.open(str(path)) as file:
        data = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return (data / 32768).astype(np.float32)


ASKED: tuple[dict[str, Any], ...] = (
    {"task": "describe", "detail_level": "high"},
    {"task": "summarize", "summary_length": "long"},
    {"task": "analyze", "analysis_type": "comprehensive"},
)


async def tell(runs: Runs, path: Path, options: dict[str, Any]) -> tuple[VideoResult, RunFinished]:
    bench = runs.bench
    media = await bench.media.put(path, name=path.name)
    await bench.part(LIBRARY).own(bench.tenant, media.sha256, path.name)
    ask = Ask(question=path.name, sources=[media.sha256], options=options)
    run = await runs.start("video", ask, budget=Budget(seconds=900))
    answer, end = None, RunFinished(run=run, status="failed")
    async for _, event in runs.stream(run):
        if isinstance(event, Answer):
            answer = event
        elif isinstance(event, RunFinished):
            end = event
    assert answer is not None, end.reason
    _log.info("%s %s\n%s", path.name, options, answer.text)
    return VideoResult.model_validate(answer.result), end


def is_true(statement: Statement, film: Film) -> bool:
    """Whether a statement is true of every place that it names."""
    whole = film.timed[-1].end
    for each in statement.moments:
        if each.end - each.start >= whole - 1.0:
            continue
        if not any(_of(statement, scene, film) for scene in _scenes(each, film)):
            return False
    return _length(statement, film) if statement.text.startswith("The video lasts") else True


def _scenes(moment: Moment, film: Film) -> list[Scene]:
    middle = (moment.start + moment.end) / 2
    return [each for each in film.timed if each.start - _SLACK <= middle < each.end + _SLACK]


def _of(statement: Statement, scene: Scene, film: Film) -> bool:
    checks: dict[str, Callable[[str, Scene], bool]] = {
        "people": _people,
        "objects": lambda text, scene: all(any(thing in name for thing in scene.things) for name in _named(text)),
        "text": _written,
        "speech": lambda text, _: text[0].isdigit() or text.startswith("Nothing") or _said(text, film),
        "camera": _camera,
        "light": lambda text, scene: scene.dark,
        "sound": lambda text, scene: not scene.speech or "without speech" not in text,
        "scene": lambda text, _: not re.search("fade|dissolve", text),
    }
    return statement.about in checks and checks[statement.about](statement.text, scene)


def _written(text: str, scene: Scene) -> bool:
    lines = [line for quote in re.findall("“(.*?)”", text) for line in quote.split(" / ")]
    return all(any(_alike(line, known) for known in scene.texts) for line in lines)


def _camera(text: str, scene: Scene) -> bool:
    if text.startswith("The camera"):
        return bool(scene.camera) and scene.camera in text
    return bool(scene.camera) == ("much" in text)


def _people(text: str, scene: Scene) -> bool:
    count = {"a": 1, "one": 1, "two": 2, "three": 3}
    told = next((count[word] for word in words(text) if word in count), 0)
    return 0 < told <= scene.people


def _named(text: str) -> list[str]:
    return [part.strip() for part in re.split(r", | and ", re.sub(r" (?:is|are) in view\.$", "", text))]


def _said(text: str, film: Film) -> bool:
    heard = text.partition(": ")[2].strip("“”")
    return any(_alike(heard, each.speech) for each in film.scenes if each.speech)


def _alike(one: str, other: str) -> bool:
    return SequenceMatcher(None, " ".join(words(one)), " ".join(words(other)), autojunk=False).ratio() >= 0.85


def _length(statement: Statement, film: Film) -> bool:
    """The length to a tenth, and as many shots as there are scenes."""
    told = re.search(r"lasts ([\d.]+) s and has (\w+) shots?", statement.text)
    numbers = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight"]
    return bool(told) and abs(float(told[1]) - film.timed[-1].end) < 0.2 and told[2] == numbers[len(film.scenes)]  # type: ignore[index]


def facts(film: Film, statements: Sequence[Statement]) -> dict[str, tuple[int, int]]:
    """Of each kind of fact that is there: how many were told, and how many there are."""
    told, counts = " \n".join(each.text for each in statements), Counter[str]()
    total = Counter[str]()

    def count(kind: str, found: bool) -> None:
        total[kind] += 1
        counts[kind] += found

    for scene in film.timed:
        here = [each for each in statements if any(scene in _scenes(moment, film) for moment in each.moments)]
        if scene.people:
            count("people", any(each.about == "people" for each in here))
        elif scene.things:
            count("things", any(each.about == "objects" for each in here))
        for text in scene.texts:
            count("texts", text.lower() in told.lower())
        if scene.speech:
            count(
                "speech",
                any(each.about == "speech" and _alike(each.text.partition(": ")[2], scene.speech) for each in here),
            )
        if scene.camera:
            count("camera", scene.camera in " ".join(each.text for each in here))
        if scene.dark:
            count("dark", "dark" in " ".join(each.text for each in here))
        if scene.repeats is not None:
            count("repeats", "is shown again" in told)
    return {kind: (counts[kind], total[kind]) for kind in total}


async def run(home: Path, data: Path | None, quick: bool = False) -> dict[str, Any]:
    """Made films through the whole of it; the photographs are those of the catalogue's `sample-media`."""
    wrong, told, seconds, calls = list[str](), 0, list[float](), 0
    found, there = Counter[str](), Counter[str]()
    with TemporaryDirectory(dir=home) as folder:
        settings = Settings(home=Path(folder) / "home")
        store = WeightStore(settings.cache, offline=settings.offline)
        samples = await store.ensure(load_catalog().row("sample-media"))
        async with open_bench(settings) as bare, open_knowledge(bare) as bench, open_runs(bench) as runs:
            for film in films({name: Path(path) for name, path in samples.items()}, quick):
                path = await shoot(film, Path(folder) / film.name, bench)
                statements = dict[str, Statement]()
                for options in ASKED[:1] if quick else ASKED:
                    result, end = await tell(runs, path, options)
                    statements |= {f"{each.text} {each.moments[0].start}": each for each in result.statements}
                    seconds.append(end.usage.seconds)
                    calls += end.usage.chat_calls
                told += len(statements)
                wrong += [f"{film.name}: {each.text}" for each in statements.values() if not is_true(each, film)]
                for kind, (hits, total) in facts(film, list(statements.values())).items():
                    found[kind] += hits
                    there[kind] += total
    return {
        "statements": told,
        "wrong": len(wrong),
        "wrong_statements": wrong[:20],
        "facts": there.total(),
        "facts_found": round(found.total() / max(there.total(), 1), 3),
        "found_by_kind": {kind: f"{found[kind]} of {there[kind]}" for kind in there},
        "seconds": [round(each, 1) for each in seconds],
        "chat_calls": calls,
    }
