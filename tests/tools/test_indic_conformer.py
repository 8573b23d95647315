"""IndicConformer on tiny random graphs with the names and shapes of the published ones."""

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tools.catalog import Row, load_catalog
from tools.errors import InvalidInput
from tools.speech import RATE, ListenOptions, Span
from tools.speech.indic_conformer import IndicConformer, _collapsed, _spelt
from tools.speech.nemo_mel import features
from tools.store import WeightStore

LANGUAGES = ["as", "bn", "brx", "doi", "gu", "hi", "kn", "kok", "ks", "mai", "ml",
             "mni", "mr", "ne", "or", "pa", "sa", "sat", "sd", "ta", "te", "ur"]  # fmt: skip
CLASSES = 256 * len(LANGUAGES) + 1


def make_indic_conformer(folder: Path) -> None:
    """`assets` of the hub's repository: the encoder's weights lie in a file per tensor beside the graph."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(11)
    widen = random.normal(0, 1, (1024, 80, 1)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["audio_signal"], ["slow"], kernel_shape=[8], strides=[8], ceil_mode=1),
        helper.make_node("Conv", ["slow", "widen"], ["outputs"]),
        helper.make_node("Add", ["length", "seven"], ["longer"]),
        helper.make_node("Div", ["longer", "eight"], ["encoded_lengths"]),
    ]
    numbers = [numpy_helper.from_array(np.array([n], np.int64), name) for n, name in ((7, "seven"), (8, "eight"))]
    encoder = helper.make_graph(
        nodes,
        "encoder",
        [_value("audio_signal", "B", 80, "T"), _value("length", "B", kind=TensorProto.INT64)],
        [_value("outputs", "B", 1024, "S"), _value("encoded_lengths", "B", kind=TensorProto.INT64)],
        [numpy_helper.from_array(widen, "widen"), *numbers],
    )
    onnx.save(
        _model(encoder),
        str(folder / "encoder.onnx"),
        save_as_external_data=True,
        all_tensors_to_one_file=False,
        size_threshold=1_000,
    )
    head = random.normal(0, 0.03, (CLASSES, 1024, 1)).astype(np.float32)
    decoder = helper.make_graph(
        [
            helper.make_node("Conv", ["encoder_output", "head"], ["scores"]),
            helper.make_node("Transpose", ["scores"], ["logprobs"], perm=[0, 2, 1]),
        ],
        "ctc_decoder",
        [_value("encoder_output", "B", 1024, "S")],
        [_value("logprobs", "B", "S", CLASSES)],
        [numpy_helper.from_array(head, "head")],
    )
    onnx.save(_model(decoder), str(folder / "ctc_decoder.onnx"))
    vocabulary = {each: ["<unk>", *(f"{'▁' if n % 3 else ''}{each}{n}" for n in range(1, 257))] for each in LANGUAGES}
    masks = {
        each: [256 * n <= column < 256 * (n + 1) or column == CLASSES - 1 for column in range(CLASSES)]
        for n, each in enumerate(LANGUAGES)
    }
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "language_masks.json").write_text(json.dumps(masks), encoding="utf-8")


def _value(name: str, *shape: int | str, kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))


def _model(graph: Any) -> Any:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def published(folder: Path) -> Row:
    """The shipped row with its hub replaced by a folder."""
    row = load_catalog().row("indic-conformer-600m")
    files = [file.model_copy(update={"sources": [f"file:{folder / file.name}"]}) for file in row.files]
    return row.model_copy(update={"files": files, "device": "cpu"})


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> IndicConformer:
    """Through the store, which reads in the graph which other files it needs."""
    folder = tmp_path_factory.mktemp("conformer")
    make_indic_conformer(folder / "assets")
    row = published(folder / "assets")
    files = asyncio.run(WeightStore(folder / "cache").ensure(row))
    assert "widen" in files
    return IndicConformer(row, files, "cpu")


def sound(seconds: float, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.2, int(seconds * RATE)).astype(np.float32)


def test_speech_is_written_in_the_language_that_was_said(engine: IndicConformer) -> None:
    audio = sound(40)
    heard = list(engine.transcribe(audio, ListenOptions(language="ta", words=True, batch=2)))
    words = [word for each in heard for word in each.words]
    assert words
    assert all(word.text.replace("ta", "").replace("<unk>", "").isdigit() for word in words)
    assert {each.language for each in heard} == {"ta"}
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert all(0 <= word.start < word.end <= 40 and 0 < word.probability <= 1 for word in words)
    assert words[-1].end > 30
    assert not next(iter(engine.transcribe(audio, ListenOptions(language="ta")))).words


def test_only_the_given_windows_are_heard(engine: IndicConformer) -> None:
    options = ListenOptions(language="hi", words=True, windows=[Span(2.0, 4.0), Span(20.0, 50.0)])
    heard = list(engine.transcribe(sound(60), options))
    assert all(2.0 <= each.start < each.end <= 4.0 or 20.0 <= each.start < each.end <= 50.0 for each in heard)


def test_languages_share_a_pass(engine: IndicConformer) -> None:
    sounds = [sound(2, 1), sound(25, 2), sound(0.01, 3)]
    options = [ListenOptions(language=language) for language in ("bn", "gom", "or")]
    together = engine.hear(sounds, options)
    alone = [engine.hear([each], [option])[0] for each, option in zip(sounds, options, strict=True)]
    assert [each and each.text for each in together] == [each and each.text for each in alone]
    first, second, _ = together
    assert first is not None
    assert second is not None
    assert first.text.startswith(("bn", "<unk>"))
    assert "kok" in second.text
    assert second.language == "gom"
    assert second.words[-1].end > 20
    assert engine.hear([], []) == []


@pytest.mark.parametrize("options", [ListenOptions(), ListenOptions(language="en"), ListenOptions("hi", "translate")])
def test_what_it_cannot_do_is_said(engine: IndicConformer, options: ListenOptions) -> None:
    with pytest.raises(InvalidInput):
        list(engine.transcribe(sound(1), options))
    with pytest.raises(InvalidInput):
        engine.hear([sound(1)], [options])


def test_frames_become_timed_words() -> None:
    """Of four tokens and the blank: repeats are joined, a blank between two equal tokens keeps both."""
    path = [4, 0, 0, 1, 4, 1, 4, 4, 2, 2, 4]
    logits = np.full((len(path), 5), -9.0, np.float32)
    logits[np.arange(len(path)), path] = 3.0
    tokens = _collapsed(logits)
    assert [(token.number, token.first, token.last) for token in tokens] == [
        (0, 1, 3),
        (1, 3, 4),
        (1, 5, 6),
        (2, 8, 10),
    ]
    words = _spelt(tokens, ["▁न", "म", "▁जी", "x"], 0.08, 0.77)
    assert [(word.text, word.start, word.end) for word in words] == [("नमम", 0.08, 0.48), ("जी", 0.64, 0.77)]
    assert all(word.probability > 0.99 for word in words)
    assert _collapsed(np.zeros((0, 5), np.float32)) == []


def test_features_are_those_of_the_formulas() -> None:
    """Each value again by the definition of its parts, without FFT, striding or matrix products."""
    wave = sound(0.06, 5).astype(np.float64)
    emphasised = [wave[0], *(wave[n] - 0.97 * wave[n - 1] for n in range(1, len(wave)))]
    padded = [*emphasised[256:0:-1], *emphasised, *emphasised[-2:-258:-1]]
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * n / 399) for n in range(400)]
    count = 1 + len(wave) // 160
    log = np.zeros((80, count))
    for frame in range(count):
        part = [padded[frame * 160 + 56 + n] * hann[n] for n in range(400)]
        for bin in range(80):
            log[bin, frame] = math.log(_energy(part, bin) + 2**-24)
    expected = (log - log.mean(axis=1, keepdims=True)) / (log.std(axis=1, ddof=1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(features(wave.astype(np.float32)), expected, atol=2e-3)


def _energy(part: list[float], bin: int) -> float:
    low, middle, high = (_hertz(_mel(8_000) * (bin + n) / 81) for n in range(3))
    total = 0.0
    for k in range(257):
        at = k * 16_000 / 512
        if low < at < high:
            weight = (at - low) / (middle - low) if at <= middle else (high - at) / (high - middle)
            turn = 2 * math.pi * k / 512
            real = sum(value * math.cos(turn * n) for n, value in enumerate(part))
            imaginary = sum(value * math.sin(turn * n) for n, value in enumerate(part))
            total += weight * 2 / (high - low) * (real * real + imaginary * imaginary)
    return total


def _mel(hertz: float) -> float:
    return 3 * hertz / 200 if hertz < 1_000 else 15 + 27 * math.log(hertz / 1_000) / math.log(6.4)


def _hertz(mel: float) -> float:
    return 200 * mel / 3 if mel < 15 else 1_000 * 6.4 ** ((mel - 15) / 27)
