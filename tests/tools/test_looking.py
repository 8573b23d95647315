"""Opening images within bounds, and the tools that look at them."""

import io
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tools.bench import Bench
from tools.errors import InvalidInput, NotFound, TooLarge, UnsupportedMedia
from tools.looking import DetectInput, FaceInput, ReadInput, find_faces, find_objects, read_text
from tools.media.images import open_image, open_images
from tools.open import open_bench
from tools.settings import Limits, Settings

pytestmark = pytest.mark.anyio

BLIND = {
    "text-reading": ["blind-reader"],
    "object-detection": ["blind-detector"],
    "face-landmarks": ["blind-to-faces"],
}


@pytest.fixture
async def bench(settings: Settings) -> AsyncIterator[Bench]:
    async with open_bench(settings.model_copy(update={"serves": BLIND})) as bench:
        yield bench


def coded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


async def kept(bench: Bench, data: bytes, name: str = "frames/1.000.jpg") -> str:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"a film"

    media = await bench.media.put(chunks(), name="film.mp4")
    return await bench.media.derive(media.sha256, name, data)


def test_every_kind_of_image_becomes_rgb() -> None:
    red = Image.new("RGB", (40, 20), "red")
    ghost = Image.new("RGBA", (40, 20), (0, 0, 0, 0))
    deep = Image.fromarray(np.full((20, 40), 51_400, dtype=np.uint16))
    kinds = {
        "jpeg": (coded(red, "JPEG"), (254, 0, 0)),
        "palette": (coded(red.convert("P")), (255, 0, 0)),
        "transparent": (coded(ghost), (255, 255, 255)),
        "grey": (coded(Image.new("L", (40, 20), 7)), (7, 7, 7)),
        "16 bits": (coded(deep), (200, 200, 200)),
        "cmyk": (coded(Image.new("CMYK", (40, 20), (0, 255, 255, 0)), "JPEG"), (254, 0, 0)),
    }
    for kind, (data, colour) in kinds.items():
        image = open_image(data, Limits())
        assert image.shape == (20, 40, 3), kind
        assert image[10, 20].tolist() == pytest.approx(colour, abs=3), kind


def test_a_turned_photograph_is_put_upright() -> None:
    image = Image.new("RGB", (40, 20), "white")
    image.paste("black", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = open_image(coded(image, "JPEG", exif=exif), Limits())
    assert upright.shape == (40, 20, 3)
    assert upright[5].mean() < 10
    assert upright[35].mean() > 245


def test_a_large_image_is_reduced_and_a_huge_one_refused_unread() -> None:
    large = coded(Image.new("RGB", (3_000, 1_000)), "JPEG")
    assert open_image(large, Limits(), longest=600).shape == (200, 600, 3)
    bomb = coded(Image.new("1", (20_000, 20_000)))
    with pytest.raises(TooLarge, match="too many pixels"):
        open_image(bomb, Limits())
    with pytest.raises(TooLarge, match="3000 x 1000"):
        open_image(large, Limits(image_pixels=2_999_999))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        coded(Image.new("RGB", (64, 64)))[:60],
        b"\xff\xd8\xff\xe0" * 9,
    ],
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match="cannot be read"):
        open_image(data, Limits())


async def test_images_come_in_order_by_the_batch(bench: Bench) -> None:
    refs = [await kept(bench, coded(Image.new("L", (8, 8), shade)), f"frames/{shade}.png") for shade in range(5)]
    batches = [batch async for batch in open_images(bench.media, refs, Limits(), batch=2)]
    assert [[int(image[0, 0, 0]) for image in batch] for batch in batches] == [[0, 1], [2, 3], [4]]


async def test_one_answer_for_each_image_in_order(bench: Bench) -> None:
    refs = [await kept(bench, coded(Image.new("RGB", (8, 8))), f"frames/{number}.png") for number in range(11)]
    text = await read_text(ReadInput(images=refs), bench)
    things = await find_objects(DetectInput(images=refs), bench)
    faces = await find_faces(FaceInput(images=refs), bench)
    for answer in (text.images, things.images, faces.images):
        assert [each.image for each in answer] == refs
    assert (text.model, things.model, faces.model) == ("blind-reader", "blind-detector", "blind-to-faces")


async def test_a_broken_or_missing_image_is_named(bench: Bench) -> None:
    broken = await kept(bench, b"not an image")
    with pytest.raises(UnsupportedMedia, match=r"1\.000\.jpg"):
        await read_text(ReadInput(images=[broken]), bench)
    with pytest.raises(NotFound, match=r"2\.000\.jpg"):
        await find_faces(FaceInput(images=[broken.replace("1.000", "2.000")]), bench)


def test_arguments_are_bounded() -> None:
    lists: list[list[str]] = [[], ["x"], ["0" * 64] * 513]
    for images in lists:
        with pytest.raises(InvalidInput, match="images"):
            read_text.parse({"images": images})
    with pytest.raises(InvalidInput, match="threshold"):
        find_objects.parse({"images": ["0" * 64], "threshold": 0})


@pytest.mark.weights
async def test_the_default_models_look_at_a_frame(
    settings: Settings, weights: Callable[[str], Mapping[str, Path]]
) -> None:
    portrait = Path(weights("sample-media")["astronaut.png"])
    for model in ("centernet-coco", "blazeface-mesh"):
        weights(model)
    frame = Image.open(portrait).convert("RGB")
    ImageDraw.Draw(frame).rectangle((0, 440, 512, 512), fill="white")
    ImageDraw.Draw(frame).text((20, 450), "Eileen Collins", font=ImageFont.load_default(size=40), fill="black")
    async with open_bench(settings) as bench:
        ref = await kept(bench, coded(frame, "JPEG", quality=90))
        text = await read_text(ReadInput(images=[ref]), bench)
        things = await find_objects(DetectInput(images=[ref]), bench)
        faces = await find_faces(FaceInput(images=[ref], landmarks=True), bench)
    assert "Eileen Collins" in [line.text for line in text.images[0].lines]
    assert [each.label for each in things.images[0].objects] == ["person"]
    (face,) = faces.images[0].faces
    assert face.box == pytest.approx((0.34, 0.14, 0.55, 0.345), abs=0.03)
    assert len(face.landmarks or []) == 468
