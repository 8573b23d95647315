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
    make_transducer(folder, random)
    vocabulary = {each: ["<unk>", *(f"{'▁' if n % 3 else ''}{each}{n}" for n in range(1, 257))] for each in LANGUAGES}
    masks = {
        each: [256 * n <= column < 256 * (n + 1) or column == CLASSES - 1 for column in range(CLASSES)]
        for n, each in enumerate(LANGUAGES)
    }
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "language_masks.json").write_text(json.dumps(masks), encoding="utf-8")


def make_transducer(folder: Path, random: np.random.Generator) -> None:
    """The prediction net, the projections into a joint space of 640, and a head of 257 tokens for each language."""
    predict = helper.make_graph(
        [
            helper.make_node("Gather", ["embedding", "targets"], ["embedded"]),
            helper.make_node("Transpose", ["embedded"], ["x"], perm=[1, 0, 2]),
            helper.make_node("Split", ["states.1", "ones"], ["first", "kept"], axis=0),
            helper.make_node("Split", ["onnx::Slice_3", "ones"], ["second", "kept_too"], axis=0),
            helper.make_node("LSTM", [*"xwr", "", "", "first", "second"], ["all", "h", "c"], hidden_size=640),
            helper.make_node("Squeeze", ["all", "one"], ["flat"]),
            helper.make_node("Transpose", ["flat"], ["outputs"], perm=[1, 2, 0]),
            helper.make_node("Identity", ["target_length"], ["prednet_lengths"]),
            helper.make_node("Concat", ["h", "kept"], ["states"], axis=0),
            helper.make_node("Concat", ["c", "kept_too"], ["162"], axis=0),
        ],
        "rnnt_decoder",
        [
            _value("targets", "B", "U", kind=TensorProto.INT32), _value("target_length", "B", kind=TensorProto.INT32),
            _value("states.1", 2, "B", 640), _value("onnx::Slice_3", 2, "B", 640),
        ],
        [
            _value("outputs", "B", 640, "U"), _value("prednet_lengths", "B", kind=TensorProto.INT32),
            _value("states", 2, "B", 640), _value("162", 2, "B", 640),
        ],
        [
            numpy_helper.from_array(random.normal(0, 1, (5633, 8)).astype(np.float32), "embedding"),
            numpy_helper.from_array(random.normal(0, 1, (1, 2560, 8)).astype(np.float32), "w"),
            numpy_helper.from_array(random.normal(0, 0.05, (1, 2560, 640)).astype(np.float32), "r"),
            numpy_helper.from_array(np.array([1, 1]), "ones"), numpy_helper.from_array(np.array([1]), "one"),
        ],
    )  # fmt: skip
    onnx.save(_model(predict), str(folder / "rnnt_decoder.onnx"))
    for name, size in (("joint_enc", 1024), ("joint_pred", 640)):
        onnx.save(_model(_linear(name, random.normal(0, 0.03, (size, 640)))), str(folder / f"{name}.onnx"))
    relu = helper.make_graph(
        [helper.make_node("Relu", ["input"], ["output"])], "joint_pre_net",
        [_value("input", "B", "T", 640)], [_value("output", "B", "T", 640)],
    )  # fmt: skip
    onnx.save(_model(relu), str(folder / "joint_pre_net.onnx"))
    for language in LANGUAGES:
        head = random.normal(0, 0.05, (640, 257))
        # the blank wins in about half of the frames
        head[:, 256] = 0.0095
        onnx.save(_model(_linear("head", head)), str(folder / f"joint_post_net_{language}.onnx"))


def _linear(name: str, weight: NDArray[np.float64]) -> Any:
    size, to = weight.shape
    return helper.make_graph(
        [helper.make_node("MatMul", ["input", "weight"], ["output"])],
        name,
        [_value("input", "B", "T", size)],
        [_value("output", "B", "T", to)],
        [numpy_helper.from_array(weight.astype(np.float32), "weight")],
    )


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


@pytest.fixture(scope="module")
def transducing(engine: IndicConformer, tmp_path_factory: pytest.TempPathFactory) -> IndicConformer:
    folder = tmp_path_factory.mktemp("transducer")
    make_indic_conformer(folder / "assets")
    row = published(folder / "assets")
    row = row.model_copy(update={"options": {**row.options, "decoder": "rnnt"}})
    return IndicConformer(row, asyncio.run(WeightStore(folder / "cache").ensure(row)), "cpu")


def test_the_transducer_writes_in_the_language_that_was_said(transducing: IndicConformer) -> None:
    heard = list(transducing.transcribe(sound(20), ListenOptions(language="ta", words=True, batch=2)))
    words = [word for each in heard for word in each.words]
    assert words
    assert all(word.text.replace("ta", "").replace("<unk>", "").isdigit() for word in words)
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert all(0 <= word.start < word.end <= 20 and 0 < word.probability <= 1 for word in words)
    other = transducing.hear([sound(3)], [ListenOptions(language="hi")])[0]
    assert other is not None
    assert "ta" not in other.text


def test_the_transducer_is_the_search_of_the_paper(transducing: IndicConformer) -> None:
    """Again without anything kept: the prediction net runs for every frame and symbol, as its publisher's does."""
    transducer = transducing._transducer
    assert transducer is not None
    encoded = np.random.default_rng(9).normal(0, 0.5, (1024, 12)).astype(np.float32)
    (frames,) = transducer._encoded.run(None, {"input": encoded.T[None]})
    written, states = [5632], (np.zeros((2, 1, 640), np.float32), np.zeros((2, 1, 640), np.float32))
    for frame in frames[0]:
        for _ in range(10):
            given: dict[str, NDArray[Any]] = {"targets": np.array([[written[-1]]], np.int32)}
            given["target_length"] = np.array([1], np.int32)
            given |= {"states.1": states[0], "onnx::Slice_3": states[1]}
            names = ["outputs", "states", "162"]
            output, first, second = transducer._predict.run(names, given)
            (ahead,) = transducer._ahead.run(["output"], {"input": output.transpose(0, 2, 1)})
            (common,) = transducer._common.run(["output"], {"input": frame[None, None] + ahead})
            (logits,) = transducer._head("hi").run(["output"], {"input": common})
            if (token := int(logits.argmax())) == 256:
                break
            written.append(token)
            states = (first, second)
    found = transducer.tokens(encoded, "hi")
    assert [token.number for token in found] == written[1:]
    assert found
    assert transducer.tokens(encoded[:, :0], "hi") == []


def test_an_unknown_decoder_is_told(engine: IndicConformer, tmp_path: Path) -> None:
    row = load_catalog().row("indic-conformer-600m")
    row = row.model_copy(update={"options": {**row.options, "decoder": "beam"}})
    make_indic_conformer(tmp_path / "assets")
    with pytest.raises(InvalidInput, match="'beam'"):
        IndicConformer(row, {path.name: path for path in (tmp_path / "assets").iterdir()}, "cpu")


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
