"""Films that are put together from takes, with the truth about their shots: how each begins, what the camera does in
it, and which shot it shows again."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingestion.timeline import Camera, Transition

Image = NDArray[np.uint8]
Draw = Callable[[float], Image]
"""The picture at so many seconds of a take."""

SIZE = (640, 360)
FPS = 25
BLACK = 4
"""Frames that stay black in the middle of a fade."""


@dataclass(frozen=True)
class Take:
    """Some seconds of one view. `camera` None: nobody says what it does. `same` names what is shown, so that takes of
    one name are repetitions. `joined` is how the take follows the one before, over `mixed` frames."""

    draw: Draw
    seconds: float
    same: str
    camera: Camera | None = None
    joined: Transition = "cut"
    mixed: int = 0

    def after(self, joined: Transition, mixed: int) -> "Take":
        return replace(self, joined=joined, mixed=mixed)

    def drawn(self, draw: Draw) -> "Take":
        return replace(self, draw=draw)


@dataclass(frozen=True)
class Truth:
    """One shot as it is: `start` is the middle of a gradual transition, `shown` what is to be seen, `repeats` the
    number of the first shot that shows it, from 0."""

    shown: str
    start: float
    end: float
    transition: Transition
    camera: Camera | None
    repeats: int | None


def texture(seed: int, size: tuple[int, int] = (1600, 720), palette: int | None = None) -> Image:
    """A picture whose spectrum falls as that of natural pictures does (1/f); a `palette` of its own seed."""
    rng = np.random.default_rng(seed)
    width, height = size
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    fall = 1 / np.maximum(np.hypot(fy, fx), 1 / width)
    noise = rng.normal(size=(3, height, width // 2 + 1)) + 1j * rng.normal(size=(3, height, width // 2 + 1))
    layers = np.fft.irfft2(noise * fall, s=(height, width))
    layers /= layers.std(axis=(1, 2), keepdims=True)
    colours = np.random.default_rng(seed if palette is None else palette)
    low, high = colours.uniform(20, 110, 3), colours.uniform(130, 240, 3)
    # mostly light and shade that all colours share, as in nature
    grey = 0.85 * layers[:1] + 0.3 * layers
    shares = 1 / (1 + np.exp(-1.6 * grey))
    return np.moveaxis(low[:, None, None] + shares * (high - low)[:, None, None], 0, 2).astype(np.uint8)


def wide(photo: Image) -> Image:
    """A photograph continued to both sides by its mirror image, so that a camera can pan over it."""
    return np.concatenate([photo[:, ::-1], photo, photo[:, ::-1]], axis=1)


def view(
    picture: Image,
    place: tuple[float, float],
    width: float,
    move: tuple[float, float, float] = (0, 0, 0),
    *,
    shake: float = 0.0,
) -> Draw:
    """What a camera sees: its middle as a share of the picture, its width as a share of the picture's.

    `move` is its speed right and down, in views a second, and how many times narrower it gets each second.
    """
    from PIL import Image as Pillow

    whole = Pillow.fromarray(picture)

    def draw(at: float) -> Image:
        wide = min(width * whole.width / (1 + move[2]) ** at, whole.width, whole.height * SIZE[0] / SIZE[1])
        high = wide * SIZE[1] / SIZE[0]
        right = place[0] * whole.width + move[0] * at * wide + shake * wide * np.sin(17 * at) * np.sin(5 * at + 1)
        down = place[1] * whole.height + move[1] * at * high + shake * high * np.cos(13 * at) * np.sin(7 * at)
        left = float(np.clip(right - wide / 2, 0, max(0.0, whole.width - wide)))
        top = float(np.clip(down - high / 2, 0, max(0.0, whole.height - high)))
        box = (left, top, min(left + wide, whole.width), min(top + high, whole.height))
        return np.asarray(whole.resize(SIZE, Pillow.Resampling.BILINEAR, box=box))

    return draw


def dimmed(draw: Draw, light: float) -> Draw:
    return lambda at: (draw(at) * light).astype(np.uint8)


def breathing(draw: Draw, seconds: float = 2.0) -> Draw:
    """Light that swells and ebbs, as under passing clouds."""
    return lambda at: np.clip(draw(at) * (0.85 + 0.35 * np.sin(2 * np.pi * at / seconds)), 0, 255).astype(np.uint8)


def flashing(draw: Draw, times: Sequence[float], strength: float = 0.8, seconds: float = 0.08) -> Draw:
    def flashed(at: float) -> Image:
        image = draw(at)
        if not any(time <= at < time + seconds for time in times):
            return image
        return (image * (1 - strength) + 255 * strength).astype(np.uint8)

    return flashed


def crossed(draw: Draw, colour: tuple[int, int, int], speed: float, size: tuple[float, float] = (0.35, 0.8)) -> Draw:
    """Something large goes across the picture, in widths a second."""
    wide, high = int(size[0] * SIZE[0]), int(size[1] * SIZE[1])
    thing = np.clip(texture(9, (wide, high)) * 0.5 + np.array(colour) * 0.5, 0, 255).astype(np.uint8)

    def seen(at: float) -> Image:
        image, left = draw(at).copy(), int((speed * at) % 1.6 * SIZE[0]) - wide
        first, last = max(0, left), min(SIZE[0], left + wide)
        if last > first:
            image[SIZE[1] - high :, first:last] = thing[:, first - left : last - left]
        return image

    return seen


def grainy(draw: Draw, amount: float, seed: int = 3) -> Draw:
    grains = np.random.default_rng(seed).normal(0, amount, (8, SIZE[1], SIZE[0], 1)).astype(np.float32)
    return lambda at: np.clip(draw(at) + grains[round(at * FPS) * 5 % 8], 0, 255).astype(np.uint8)


def playing(path: Path, first: int, last: int) -> Draw:
    """Frames of a clip, as many a second as the film has; the last one stays."""
    import av
    from PIL import Image as Pillow

    with av.open(str(path)) as container:
        frames = [
            np.asarray(Pillow.fromarray(each.to_ndarray(format="rgb24")).resize(SIZE, Pillow.Resampling.BILINEAR))
            for number, each in enumerate(container.decode(video=0))
            if first <= number < last
        ]
    return lambda at: frames[min(round(at * FPS), len(frames) - 1)]


def truths(takes: Sequence[Take]) -> list[Truth]:
    """The shots of the film that `frames_of` draws. A take that follows itself is no repetition."""
    starts, at = [0.0], takes[0].seconds
    for take in takes[1:]:
        if take.joined == "dissolve":
            # both takes are in view while they mix
            starts.append(at - take.mixed / FPS / 2)
            at += take.seconds - take.mixed / FPS
        elif take.joined == "fade":
            starts.append(at + BLACK / FPS / 2)
            at += take.seconds + BLACK / FPS
        else:
            starts.append(at)
            at += take.seconds
    found, first = list[Truth](), dict[str, int]()
    for number, (take, start, end) in enumerate(zip(takes, starts, [*starts[1:], at], strict=True)):
        transition = "start" if number == 0 else take.joined
        found.append(Truth(take.same, start, end, transition, take.camera, first.get(take.same)))
        first.setdefault(take.same, number)
    return found


def frames_of(takes: Sequence[Take]) -> Iterator[Image]:
    for number, take in enumerate(takes):
        following = takes[number + 1] if number + 1 < len(takes) else None
        begun = take.mixed if take.joined == "dissolve" and number else 0
        count = round(take.seconds * FPS)
        leaving = following.mixed if following is not None else 0
        for frame in range(begun, count):
            image = take.draw(frame / FPS)
            left = count - frame
            if following is not None and following.joined == "dissolve" and left <= leaving:
                share = (leaving - left + 1) / (leaving + 1)
                image = _mixed(image, following.draw((leaving - left) / FPS), share)
            elif following is not None and following.joined == "fade" and left <= leaving:
                image = (image * (left / (leaving + 1))).astype(np.uint8)
            elif take.joined == "fade" and number and frame < take.mixed:
                image = (image * ((frame + 1) / (take.mixed + 1))).astype(np.uint8)
            yield image
        if following is not None and following.joined == "fade":
            for _ in range(BLACK):
                yield np.zeros((SIZE[1], SIZE[0], 3), np.uint8)


def _mixed(one: Image, other: Image, share: float) -> Image:
    return (one * (1 - share) + other * share).astype(np.uint8)


def shoot(path: Path, takes: Sequence[Take], *, crf: int = 23, gop: int = 250, scenecut: int = 40) -> list[Truth]:
    """Write the film as H.264; returns its shots. Blocking."""
    import av

    options = {"preset": "veryfast", "crf": str(crf), "g": str(gop), "sc_threshold": str(scenecut)}
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number, image in enumerate(frames_of(takes)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return truths(takes)
