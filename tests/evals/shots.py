"""Shots of made films and of real clips: cuts to two frames, fades and dissolves to half a second, what the camera
does, and which shot shows again what an earlier one showed.

The films have what misleads a detector: shots of the same colours, dark ones, fast pans, flashes, large things that
cross the picture, light that changes, grain, strong compression, and pieces of real clips.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
from PIL import Image as Pillow

from ingestion.frames import Sampling
from ingestion.scenes import scenes
from ingestion.timeline import Camera, ShotSeen
from tests import takes as film
from tests.takes import FPS, Image, Take, Truth
from tools.bench import Bench
from tools.catalog import load_catalog
from tools.media.frames import FramePlan
from tools.media.reader import open_media
from tools.open import open_bench
from tools.settings import Settings
from tools.store import WeightStore

CUT_SECONDS, GRADUAL_SECONDS = 2.5 / FPS, 0.5
"""Two frames, and half a frame for the rounding of clocks."""
PHOTOS = ("astronaut.png", "coffee.png", "chelsea.png", "motorcycle_left.png", "page.png")
SEEDS = (101, 102, 103)
REAL: dict[str, tuple[list[float], list[float]]] = {
    "bikes.mp4": ([1.2, 3.04, 5.48, 7.48, 9.68], []),
    "bigbuckbunny.mp4": ([], []),
    "carphone_pristine.mp4": ([], []),
    "nasa_webb.mp4": ([8.008], [5.45]),
}
"""Cuts and gradual transitions of the real clips, as they are to be seen frame by frame."""
MOVES: dict[Camera, tuple[float, float, float]] = {
    "still": (0, 0, 0),
    "pan right": (1, 0, 0),
    "pan left": (-1, 0, 0),
    "tilt down": (0, 1, 0),
    "tilt up": (0, -1, 0),
    "zoom in": (0, 0, 1),
    "zoom out": (0, 0, -1),
    "shaky": (0, 0, 0),
}


@dataclass
class Set:
    """Where takes are shot: pictures, clips, and chance."""

    photos: dict[str, Image]
    clips: dict[str, Path]
    chance: np.random.Generator
    count: int = 0
    _textures: dict[int, Image] = field(default_factory=dict)

    def take(self, *, seconds: float | None = None, camera: Camera | None = None, palette: int | None = None) -> Take:
        """A view of a picture of its own: a photograph, or with a `palette` always a texture in those colours."""
        self.count += 1
        name = str(self.chance.choice(sorted(self.photos)))
        plain = palette is None and self.chance.random() < 0.5
        picture = self.photos[name] if plain else self.texture(self.count, palette)
        # a place of its own on a photograph: another part of it is another shot
        place = (float(self.chance.uniform(0.34, 0.66)), float(self.chance.uniform(0.4, 0.6)))
        return self.on(picture, f"{name if plain else 'texture'} {self.count}", place, seconds, camera)

    def texture(self, number: int, palette: int | None) -> Image:
        seed = int(self.chance.integers(1 << 30))
        self._textures[number] = film.texture(seed, palette=palette)
        return self._textures[number]

    def on(
        self,
        picture: Image,
        same: str,
        place: tuple[float, float],
        seconds: float | None = None,
        camera: Camera | None = None,
    ) -> Take:
        camera = camera or cast("Camera", str(self.chance.choice(list(MOVES))))
        seconds = seconds or float(self.chance.uniform(1.4, 3.2))
        seconds = round(seconds * FPS) / FPS
        speed = float(self.chance.uniform(0.08, 0.2)) if camera.startswith(("pan", "tilt")) else 0.1
        way = MOVES[camera]
        move = (way[0] * speed, way[1] * speed * 0.8, way[2] * speed)
        # small enough to stay within the picture however the camera moves
        width = min(float(self.chance.uniform(0.2, 0.26)), 0.65 * picture.shape[0] / picture.shape[1] * 16 / 9)
        if camera.startswith("tilt"):
            width = min(width, 0.45 * picture.shape[0] / picture.shape[1] * 16 / 9)
            place = (place[0], 0.3 if camera == "tilt down" else 0.7)
        draw = film.view(picture, place, width, move, shake=0.05 if camera == "shaky" else 0.0)
        return Take(draw, seconds, same, camera)

    def clip(self, name: str, first: int, last: int) -> Take:
        return Take(film.playing(self.clips[name], first, last), (last - first) / FPS, f"{name} {first}")


def plain(place: Set) -> list[Take]:
    return [place.take() for _ in range(14)]


def alike(place: Set) -> list[Take]:
    """Shots of the same colours: textures of one palette, and parts of one photograph and of its mirror image."""
    palette = int(place.chance.integers(1000))
    found = [place.take(palette=palette) for _ in range(7)]
    name = str(place.chance.choice(sorted(set(place.photos) - {"page.png"})))
    photo = place.photos[name]
    corners = ((0.38, 0.4), (0.62, 0.62), (0.42, 0.65), (0.6, 0.35))
    return found + [
        place.on(photo[:, ::way], f"corner {n} {way}", at) for n, at in enumerate(corners) for way in (1, -1)
    ]


def dark(place: Set) -> list[Take]:
    found = list[Take]()
    for number in range(12):
        take = place.take()
        draw = film.dimmed(take.draw, float(place.chance.uniform(0.1, 0.25)))
        found.append(take.drawn(film.grainy(draw, 3.0) if number % 2 else draw))
    return found


def distracted(place: Set) -> list[Take]:
    """Fast pans, flashes, large things that cross, light that changes, grain; nothing is said of the camera here."""
    found = list[Take]()
    for number in range(16):
        take = place.take(seconds=float(place.chance.uniform(1.8, 3.0)), camera="still")
        if number % 4 == 0:
            speed = float(place.chance.choice([-1, 1]) * place.chance.uniform(0.5, 1.2))
            wide = film.texture(int(place.chance.integers(1 << 30)), (3200, 720))
            take = take.drawn(film.view(wide, (0.25 if speed > 0 else 0.75, 0.5), 0.16, (speed, 0, 0)))
        elif number % 4 == 1:
            long = float(place.chance.choice([0.04, 0.08, 0.16]))
            take = take.drawn(film.flashing(take.draw, [0.7, 1.3], float(place.chance.uniform(0.5, 1)), long))
        elif number % 4 == 2:
            colour = cast("tuple[int, int, int]", tuple(int(each) for each in place.chance.integers(0, 255, 3)))
            take = take.drawn(film.crossed(take.draw, colour, float(place.chance.uniform(0.5, 1.5))))
        else:
            take = take.drawn(film.grainy(film.breathing(take.draw, float(place.chance.uniform(1, 3))), 6.0))
        found.append(Take(take.draw, take.seconds, take.same))
    return found


def gradual(place: Set) -> list[Take]:
    found = [place.take(seconds=3.0)]
    for number in range(11):
        mixed = int(place.chance.integers(10, 50))
        take = place.take(seconds=mixed / FPS * 2 + 2.0)
        found.append(take.after(("dissolve", "fade", "dissolve", "cut")[number % 4], mixed if number % 4 < 3 else 0))
    return found


def again(place: Set) -> list[Take]:
    """Views that come back, as in a dialogue, among views that are mirrored or of the same colours."""
    views = [place.take(camera="still", palette=number // 2) for number in range(4)]
    order = (0, 1, 0, 2, 1, 3, 0, 2, 3, 1)
    found = [views[each] for each in order]
    photo = place.photos["chelsea.png"]
    for way in (1, -1):
        found.insert(3, place.on(photo[:, ::way], f"mirror {way}", (0.5, 0.5), camera="still"))
    return found


def inserted(place: Set) -> list[Take]:
    """Pieces of real clips between made ones; each piece is of one shot."""
    pieces = [("bikes.mp4", 0, 30), ("bikes.mp4", 76, 137), ("bigbuckbunny.mp4", 0, 60), ("bikes.mp4", 187, 242)]
    pieces += [("carphone_pristine.mp4", 0, 70), ("bikes.mp4", 30, 76), ("bikes.mp4", 137, 187)]
    if "nasa_webb.mp4" in place.clips:
        pieces += [("nasa_webb.mp4", 0, 60), ("nasa_webb.mp4", 155, 198)]
    found = list[Take]()
    for name, first, last in pieces:
        found.append(place.clip(name, first, last))
        if place.chance.random() < 0.5:
            found.append(place.take())
    return found


FILMS: dict[str, tuple[Callable[[Set], list[Take]], dict[str, int]]] = {
    "plain": (plain, {}),
    "alike": (alike, {}),
    "dark": (dark, {}),
    "distracted": (distracted, {}),
    "gradual": (gradual, {}),
    "again": (again, {"crf": 30}),
    "inserted": (inserted, {}),
    "compressed": (plain, {"crf": 38, "gop": 25, "scenecut": 0}),
}


async def found_in(path: Path, bench: Bench, plan: FramePlan | None = None) -> list[ShotSeen]:
    """The shots of a film as watching finds them."""
    media = await bench.media.put(path, name=path.name)
    async with open_media(path, bench.settings.limits) as reader:
        sampling = Sampling(bench, media.sha256, await reader.probe(), plan)
        async for _ in sampling.pictures(reader):
            pass
    result = sampling.result()
    return scenes(result.shots, result.pictures)


def matched(found: Sequence[float], true: Sequence[float], within: float) -> list[tuple[float, float]]:
    """Pairs of what was found and what is so, the nearest first, each at most once."""
    near = sorted((abs(one - other), one, other) for one in found for other in true if abs(one - other) <= within)
    pairs = list[tuple[float, float]]()
    for _, one, other in near:
        if all(one != pair[0] and other != pair[1] for pair in pairs):
            pairs.append((one, other))
    return pairs


@dataclass
class Score:
    right: int = 0
    found: int = 0
    true: int = 0

    def add(self, found: Sequence[float], true: Sequence[float], within: float) -> None:
        self.right += len(matched(found, true, within))
        self.found += len(found)
        self.true += len(true)

    def figures(self) -> dict[str, Any]:
        precision = self.right / self.found if self.found else 1.0
        recall = self.right / self.true if self.true else 1.0
        both = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        return {
            "true": self.true,
            "found": self.found,
            "precision": round(precision, 3),
            "recall": round(recall, 3),
            "f1": round(both, 3),
        }


@dataclass
class Judge:
    """Counts over films."""

    cuts: Score = field(default_factory=Score)
    turns: Score = field(default_factory=Score)
    by_film: dict[str, Score] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def boundaries(self, name: str, found: Sequence[ShotSeen], cuts: Sequence[float], turns: Sequence[float]) -> None:
        began = [each.start for each in found if each.transition == "cut"]
        turned = [each.start for each in found if each.transition in ("fade", "dissolve")]
        for score in (self.cuts, self.by_film.setdefault(name, Score())):
            score.add(began, cuts, CUT_SECONDS)
        self.turns.add(turned, turns, GRADUAL_SECONDS)

    def shots(self, found: Sequence[ShotSeen], true: Sequence[Truth]) -> None:
        kinds = {round(each.start, 3): each.transition for each in true}
        gradual = [each for each in found if each.transition in ("fade", "dissolve")]
        starts = {round(each.start, 3): each.transition for each in gradual}
        pairs = matched(list(starts), [at for at, kind in kinds.items() if kind in ("fade", "dissolve")], 0.5)
        self.counts["kinds"] += sum(starts[one] == kinds[other] for one, other in pairs)
        of = [_most_of(each, true) for each in found]
        for each, number in zip(found, of, strict=True):
            self._repeat(true[number], None if each.repeats is None else true[of[each.repeats]])
        for shown in true:
            if shown.camera is not None and shown.end - shown.start >= 1.0:
                same = max(found, key=lambda each: min(each.end, shown.end) - max(each.start, shown.start))
                self.counts["cameras"] += 1
                self.counts["camera_right"] += same.camera == shown.camera
                self.counts["camera_unknown"] += same.camera == "unknown"
        self.counts["repeats"] += sum(each.repeats is not None for each in true)

    def _repeat(self, of: Truth, said: Truth | None) -> None:
        if said is not None:
            right = said.shown == of.shown
            self.counts["repeats_right"] += right and said is not of
            self.counts["repeats_false"] += not right

    def figures(self) -> dict[str, Any]:
        counts, cameras = self.counts, max(1, self.counts["cameras"])
        return {
            "cuts": self.cuts.figures(),
            "gradual": self.turns.figures() | {"kinds_right": counts["kinds"]},
            "cuts_f1_by_film": {name: each.figures()["f1"] for name, each in self.by_film.items()},
            "repeats": {each: counts[each] for each in ("repeats", "repeats_right", "repeats_false")},
            "camera": {
                "shots": counts["cameras"],
                "right": round(counts["camera_right"] / cameras, 3),
                "not_said": round(counts["camera_unknown"] / cameras, 3),
            },
        }


def _most_of(found: ShotSeen, true: Sequence[Truth]) -> int:
    return max(range(len(true)), key=lambda n: min(true[n].end, found.end) - max(true[n].start, found.start))


def _photos(files: dict[str, Path]) -> dict[str, Image]:
    return {name: film.wide(np.asarray(Pillow.open(files[name]).convert("RGB"))) for name in PHOTOS}


async def run(home: Path, data: Path | None, quick: bool) -> dict[str, Any]:
    """With `data` its clip is cut in and judged too."""
    settings = Settings(home=home)
    files = dict(await WeightStore(settings.cache, offline=settings.offline).ensure(load_catalog().row("sample-media")))
    if data is not None:
        files["nasa_webb.mp4"] = data / "video" / "nasa_webb.mp4"
    real = Judge()
    with TemporaryDirectory(dir=home) as folder:
        async with open_bench(Settings(home=Path(folder, "home"))) as bench:
            made = await _made(files, Path(folder), bench, SEEDS[:1] if quick else SEEDS)
            for name, (cuts, turns) in REAL.items():
                if name in files:
                    real.boundaries(name, await found_in(files[name], bench), cuts, turns)
    told = real.figures()
    return {"made": made.figures(), "real": {"cuts": told["cuts"], "gradual": real.turns.figures()}}


async def _made(files: dict[str, Path], folder: Path, bench: Bench, seeds: Sequence[int]) -> Judge:
    judge = Judge()
    photos = await asyncio.to_thread(_photos, files)
    for seed in seeds:
        for name, (compose, encoding) in FILMS.items():
            place = Set(photos, files, np.random.default_rng([seed, len(name)]))
            takes, path = await asyncio.to_thread(compose, place), folder / f"{name}-{seed}.mp4"
            true = await asyncio.to_thread(partial(film.shoot, path, takes, **encoding))
            found = await found_in(path, bench)
            cuts = [each.start for each in true if each.transition == "cut"]
            turns = [each.start for each in true if each.transition in ("fade", "dissolve")]
            judge.boundaries(name, found, cuts, turns)
            judge.shots(found, true)
    return judge
