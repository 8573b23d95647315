"""Cut the demonstration's film from real parts: photographs and clips with titles, under a reading of Dickens."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, repeat
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SIZE = (1280, 720)
RATE = 24
VOICE_RATE = 44_100


@dataclass(frozen=True)
class Scene:
    """Seconds `start`..`end` of the film show `picture` (a photograph or a clip) under a title."""

    start: float
    end: float
    picture: str
    title: str


SCENES = (
    Scene(0.0, 9.0, "astronaut.png", "Portrait of an astronaut"),
    Scene(9.0, 17.5, "motorcycle_left.png", "Motorcycle in the workshop"),
    Scene(17.5, 24.5, "bikes.mp4", "Bicycles in the street"),
    Scene(24.5, 34.0, "coffee.png", "A cup of coffee"),
    Scene(34.0, 41.0, "carphone_pristine.mp4", "A telephone call in the car"),
)

SPEECH = "two_cities.wav"


def cut_film(samples: dict[str, Path], target: Path) -> None:
    """Write the film as H.264 and AAC in MP4; `samples` maps the names above to files. Blocking, about 10 s."""
    part = target.with_suffix(".part.mp4")
    with av.open(str(part), "w", options={"movflags": "+faststart"}) as film:
        picture = film.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "23"})
        picture.width, picture.height = SIZE
        picture.pix_fmt, picture.time_base = "yuv420p", Fraction(1, RATE)
        voice = film.add_stream("aac", rate=VOICE_RATE)
        speech, spoken = _speech(samples[SPEECH]), 0
        for n, image in enumerate(_frames(samples)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, RATE)
            film.mux(picture.encode(frame))
            # picture and sound lie side by side in the file, so that a player can start before it has all of it
            while spoken * RATE <= n * VOICE_RATE and (sound := next(speech, None)):
                spoken += sound.samples
                film.mux(voice.encode(sound))
        film.mux(picture.encode())
        film.mux(voice.encode())
    part.rename(target)


def _frames(samples: dict[str, Path]) -> Iterator[NDArray[np.uint8]]:
    for scene in SCENES:
        count = round(scene.end * RATE) - round(scene.start * RATE)
        if scene.picture.endswith(".mp4"):
            yield from (_titled(picture, scene.title) for picture in islice(_clip(samples[scene.picture]), count))
        else:
            yield from repeat(_titled(_photo(samples[scene.picture]), scene.title), count)


def _photo(path: Path) -> Image.Image:
    with Image.open(path) as photo:
        return _fitted(photo.convert("RGB"))


def _clip(path: Path) -> Iterator[Image.Image]:
    while True:
        with av.open(str(path)) as clip:
            for frame in clip.decode(video=0):
                yield _fitted(frame.to_image())  # type: ignore[no-untyped-call]


def _fitted(picture: Image.Image) -> Image.Image:
    width, height = SIZE
    scale = min(width / picture.width, height / picture.height)
    small = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BILINEAR)
    canvas = Image.new("RGB", SIZE, (18, 18, 22))
    canvas.paste(small, ((width - small.width) // 2, (height - small.height) // 2))
    return canvas


def _titled(picture: Image.Image, title: str) -> NDArray[np.uint8]:
    titled = picture.copy()
    draw = ImageDraw.Draw(titled)
    draw.rectangle((0, SIZE[1] - 84, SIZE[0], SIZE[1]), fill=(18, 18, 22))
    draw.text((SIZE[0] // 2, SIZE[1] - 42), title, font=ImageFont.load_default(44), fill="white", anchor="mm")
    return np.asarray(titled)


def _speech(path: Path) -> Iterator[av.AudioFrame]:
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=VOICE_RATE)
    with av.open(str(path)) as source:
        for frame in source.decode(audio=0):
            yield from resampler.resample(frame)
