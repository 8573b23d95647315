"""Seeing: boxes and conversion on made-up numbers, the networks on real photographs and drawn text."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tools.errors import InvalidInput
from tools.vision.boxes import overlap, suppress
from tools.vision.centernet import _decode
from tools.vision.tfjs import convert

Engine = Callable[[str], Any]
Photo = Callable[[str], NDArray[np.uint8]]
Files = Callable[[str], Mapping[str, Path]]


def slide(width: int, height: int, lines: list[str], size: int) -> NDArray[np.uint8]:
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        place = (round(width * 0.1), round(height * 0.2 + number * size * 2))
        draw.text(place, line, font=ImageFont.load_default(size=size), fill="black")
    return np.asarray(image)


def inside(box: tuple[float, float, float, float], outer: tuple[float, float, float, float]) -> bool:
    return box[0] >= outer[0] and box[1] >= outer[1] and box[2] <= outer[2] and box[3] <= outer[3]


def floats(*values: tuple[float, ...]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def test_overlap() -> None:
    box = floats((0, 0, 1, 1))[0]
    assert overlap(box, floats((0, 0, 1, 1), (0.5, 0, 1.5, 1), (2, 2, 3, 3))).tolist() == pytest.approx([1, 1 / 3, 0])


def test_one_box_per_thing() -> None:
    boxes = floats((0, 0, 1, 1), (0, 0, 1, 0.9), (0, 0, 1, 0.7), (0, 0, 0.4, 0.4))
    scores = floats((0.5, 0.9, 0.4, 0.3))[0]
    assert suppress(boxes, scores, np.array([0, 1, 1, 1])) == [1, 3]
    assert suppress(boxes, scores, np.array([0, 1, 0, 1])) == [1, 2, 3]
    assert suppress(boxes[:0], scores[:0], np.array([], dtype=np.int64)) == []


def test_a_peak_becomes_a_box() -> None:
    heat = np.zeros((128, 128, 80), dtype=np.float32)
    heat[64, 32, 0], heat[64, 33, 0], heat[127, 127, 16] = 0.9, 0.8, 0.5
    sides = np.full((128, 128, 4), 51.2, dtype=np.float32)
    person, dog = _decode(heat, sides, 0.3)
    assert (person.label, dog.label) == ("person", "dog")
    assert person.box == pytest.approx((0.15, 0.4, 0.35, 0.6), abs=1e-3)
    assert dog.box[2:] == (1.0, 1.0)


def graph(folder: Path, op: str = "Relu6") -> tuple[Path, Path]:
    """A network of one padded convolution over 4 x 4 x 2 with two filters, and one more operation."""
    kernel = np.arange(36, dtype=np.float32).reshape(3, 3, 2, 2) / 50
    attributes = {
        "strides": {"list": {"i": ["1", "2", "2", "1"]}},
        "dilations": {"list": {"i": ["1", "1", "1", "1"]}},
        "padding": {"s": base64.b64encode(b"SAME").decode()},
        "fused_ops": {"list": {"s": [base64.b64encode(b"BiasAdd").decode()]}},
    }
    shape = {"shape": {"dim": [{"size": str(size)} for size in (1, 4, 4, 2)]}}
    nodes = [
        {"name": "x", "op": "Placeholder", "attr": {"shape": shape}},
        {"name": "k", "op": "Const"},
        {"name": "b", "op": "Const"},
        {"name": "c", "op": "_FusedConv2D", "input": ["x", "k", "b"], "attr": attributes},
        {"name": "y", "op": op, "input": ["c"]},
    ]
    weights = [
        {"name": "k", "shape": [3, 3, 2, 2], "dtype": "float32", "quantization": {"dtype": "float16"}},
        {"name": "b", "shape": [2], "dtype": "float32"},
    ]
    model = {"modelTopology": {"node": nodes}, "weightsManifest": [{"weights": weights}]}
    (folder / "m.json").write_text(json.dumps(model), encoding="utf-8")
    data = kernel.astype(np.float16).tobytes() + np.array([1, -1], dtype=np.float32).tobytes()
    (folder / "m.bin").write_bytes(data)
    return folder / "m.json", folder / "m.bin"


def test_a_converted_graph_computes_what_tensorflow_would(tmp_path: Path) -> None:
    session = onnxruntime.InferenceSession(convert(*graph(tmp_path), ["y"]).SerializeToString())
    image = np.random.default_rng(0).random((3, 4, 4, 2), dtype=np.float32)
    (result,) = session.run(None, {session.get_inputs()[0].name: image})
    kernel = (np.arange(36, dtype=np.float32).reshape(3, 3, 2, 2) / 50).astype(np.float16).astype(np.float32)
    # TensorFlow pads 4 cells under a stride of 2 by one cell at the end only
    padded = np.pad(image, ((0, 0), (0, 1), (0, 1), (0, 0)))
    expected = np.zeros((3, 2, 2, 2), dtype=np.float32)
    for row in range(2):
        for column in range(2):
            patch = padded[:, row * 2 : row * 2 + 3, column * 2 : column * 2 + 3]
            expected[:, row, column] = np.tensordot(patch, kernel, axes=3) + np.array([1, -1])
    np.testing.assert_allclose(result, np.clip(expected, 0, 6), atol=1e-5)


def test_a_graph_with_an_unknown_operation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'Erf'"):
        convert(*graph(tmp_path, "Erf"), ["y"])


@pytest.mark.weights
@pytest.mark.parametrize(
    ("name", "label", "place"),
    [
        ("astronaut.png", "person", (0.0, 0.0, 0.75, 1.0)),
        ("coffee.png", "cup", (0.25, 0.03, 0.72, 0.75)),
        ("motorcycle_left.png", "motorcycle", (0.1, 0.08, 0.95, 0.95)),
    ],
)
def test_centernet_sees_the_main_thing(
    engine: Engine, photo: Photo, name: str, label: str, place: tuple[float, float, float, float]
) -> None:
    (found,) = engine("centernet-coco").detect([photo(name)], 0.3)
    assert found[0].label == label
    assert inside(found[0].box, place)
    width, height = found[0].box[2] - found[0].box[0], found[0].box[3] - found[0].box[1]
    assert width * height > 0.2
    assert [each.confidence for each in found] == sorted((each.confidence for each in found), reverse=True)


@pytest.mark.weights
def test_centernet_sees_alike_alone_and_in_a_batch(engine: Engine, photo: Photo, weights: Files) -> None:
    images = [photo(name) for name in ("astronaut.png", "coffee.png", "chelsea.png", "astronaut.png", "coffee.png")]
    together = engine("centernet-coco").detect(images, 0.3)
    assert together[:3] == [engine("centernet-coco").detect([image], 0.3)[0] for image in images[:3]]
    assert together[3:] == together[:2]
    assert engine("centernet-coco").detect([], 0.3) == []
    assert engine("centernet-coco").detect([np.zeros((1, 1, 3), dtype=np.uint8)], 0.3) == [[]]
    assert (weights("centernet-coco")["centernet.json"].parent / "centernet.onnx").exists()


def test_ocr_reads_a_slide_line_by_line(engine: Engine) -> None:
    lines = ["Quarterly review 2026", "Revenue grew by 14.2 %", "Hire 12 engineers in Pune"]
    (found,) = engine("pp-ocrv6-small").read([slide(960, 540, lines, 32)])
    assert [line.text for line in found] == lines
    assert all(line.confidence > 0.9 for line in found)
    assert found[0].box[0] == pytest.approx(0.1, abs=0.02)
    assert [line.box[1] for line in found] == pytest.approx([0.21, 0.33, 0.45], abs=0.03)


def test_ocr_enlarges_what_is_small_and_tells_places_on_the_image_it_was_given(engine: Engine) -> None:
    image = slide(200, 120, ["Small harbour"], 9)
    (found,) = engine("pp-ocrv6-small").read([image])
    assert [line.text for line in found] == ["Small harbour"]
    assert inside(found[0].box, (0.05, 0.15, 0.6, 0.35))


def test_ocr_reads_small_print_of_a_large_frame(engine: Engine) -> None:
    """Lines are found on a copy of less than half the size, on which nobody could read them."""
    lines = ["Platform twelve departs", "Please keep your luggage"]
    (found,) = engine("pp-ocrv6-small").read([slide(1920, 1080, lines, 16)])
    assert [line.text for line in found] == lines


def test_ocr_knows_colours_by_their_names(engine: Engine) -> None:
    image = Image.new("RGB", (640, 200), (150, 0, 0))
    ImageDraw.Draw(image).text(
        (40, 60), "Danger: high voltage", font=ImageFont.load_default(size=40), fill=(255, 255, 0)
    )
    (found,) = engine("pp-ocrv6-small").read([np.asarray(image)])
    assert [line.text for line in found] == ["Danger: high voltage"]


def test_ocr_passes_over_empty_images_at_once(engine: Engine) -> None:
    reader = engine("pp-ocrv6-small")
    empty = [np.full((1080, 1920, 3), 7, dtype=np.uint8), np.zeros((4, 4, 3), dtype=np.uint8)]
    began = time.perf_counter()
    assert reader.read(empty) == [[], []]
    assert time.perf_counter() - began < 0.2


@pytest.mark.weights
def test_ocr_reads_a_photographed_page_and_nothing_on_a_cat(engine: Engine, photo: Photo) -> None:
    page, cat = engine("pp-ocrv6-small").read([photo("page.png"), photo("chelsea.png")])
    assert "Region-based segmentation" in [line.text for line in page]
    assert cat == []
