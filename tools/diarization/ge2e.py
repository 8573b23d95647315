"""A GE2E speaker encoder (Wan et al. 2018) as Resemblyzer publishes it (Apache-2.0), on ONNX Runtime: three LSTM layers
over 40 mel bands, a linear layer, and vectors of length 1 in which one speaker's stretches lie close together.

Front end and stretches follow resemblyzer/{audio,voice_encoder}.py 0.1.4; its detector of speech does not run here.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.catalog import Row
from tools.diarization import Turn, Voices
from tools.diarization.checkpoint import read_tensors
from tools.diarization.clustering import speakers_of, turns_of
from tools.onnx_session import open_session
from tools.speech import RATE, Pcm, Span
from tools.speech.mel import bank

Floats = NDArray[np.float32]

BANDS = 40
_FFT, _HOP = 400, 160
_FRAMES = 160
"""Of one stretch: 1.6 s, what the encoder was trained on."""
_STEP = 40
"""Frames between two stretches: 0.4 s."""
_LEAST = 0.4
"""Seconds of speech that a voice is known by."""
_LAYERS = 3
_LOUDNESS = -30.0
"""dBFS to which quieter speech is raised."""
_AT_ONCE = 32
"""Stretches that the encoder hears together: more are no faster and take 2 MB each."""
_BLOCK = 1_000
"""Frames of a spectrogram that are made together."""


class Ge2e:
    """Options of the row: `threshold` (similarity from which two groups of stretches are one speaker)."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        (weights,) = files.values()
        state = read_tensors(weights, "model_state")
        self._session = open_session(network(state), "cpu")
        self._threshold = float(row.options.get("threshold", 0.75))

    def listen(self, audio: Pcm, turns: list[Span]) -> Voices:
        starts, ends, mels = list[float](), list[float](), list[Floats]()
        for turn in turns:
            sound = audio[int(turn.start * RATE) : int(turn.end * RATE)]
            if len(sound) < _LEAST * RATE:
                continue
            for start, end, mel in _stretches(sound):
                starts.append(turn.start + start)
                ends.append(turn.start + end)
                mels.append(mel)
        groups = [np.stack(mels[at : at + _AT_ONCE]) for at in range(0, len(mels), _AT_ONCE)]
        prints = np.concatenate([self.embed(group) for group in groups]) if groups else np.zeros((0, 1), np.float32)
        return Voices(np.array(starts), np.array(ends), prints)

    def turns(self, voices: Voices, spoken: list[Span], speakers: int | None) -> list[Turn]:
        return turns_of(voices, speakers_of(voices, self._threshold, speakers), spoken)

    def embed(self, mels: Floats) -> Floats:
        """Unit vectors of spectrograms, shape `[n, frames, BANDS]`."""
        (raw,) = self._session.run(["raw"], {"mels": mels.transpose(1, 0, 2)})
        return np.asarray(raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-9), np.float32)


def network(state: Mapping[str, Floats]) -> bytes:
    """The encoder as an ONNX graph: `mels` of shape `[frames, n, BANDS]` to `raw` vectors, not yet of length 1."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights, below = list[Any](), dict[str, Floats](), "mels"
    for layer in range(_LAYERS):
        inward, across = (_gates(state[f"lstm.weight_{kind}_l{layer}"]) for kind in ("ih", "hh"))
        biases = np.concatenate([_gates(state[f"lstm.bias_{kind}_l{layer}"]) for kind in ("ih", "hh")])
        named = {f"{part}{layer}": value[None] for part, value in zip("WRB", (inward, across, biases), strict=True)}
        weights |= named
        outputs = [f"all{layer}", f"last{layer}"]
        nodes.append(helper.make_node("LSTM", [below, *named], outputs, hidden_size=across.shape[1]))
        nodes.append(helper.make_node("Squeeze", [outputs[0], "one"], [f"states{layer}"]))
        below = f"states{layer}"
    weights |= {"linear": state["linear.weight"], "bias": state["linear.bias"]}
    nodes += [
        helper.make_node("Squeeze", [f"last{_LAYERS - 1}", "zero"], ["last"]),
        helper.make_node("Gemm", ["last", "linear", "bias"], ["vectors"], transB=1),
        helper.make_node("Relu", ["vectors"], ["raw"]),
    ]
    size = len(state["linear.bias"])
    graph = helper.make_graph(
        nodes,
        "ge2e",
        [helper.make_tensor_value_info("mels", TensorProto.FLOAT, [None, None, BANDS])],
        [helper.make_tensor_value_info("raw", TensorProto.FLOAT, [None, size])],
        [
            *(numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in weights.items()),
            numpy_helper.from_array(np.array([1]), "one"),
            numpy_helper.from_array(np.array([0]), "zero"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def _gates(weights: Floats) -> Floats:
    """PyTorch keeps an LSTM's gates in the order input, forget, cell, output; ONNX as input, output, forget, cell."""
    kept, forgotten, cell, output = np.split(weights, 4)
    return np.concatenate((kept, output, forgotten, cell))


def _stretches(sound: Pcm) -> Iterator[tuple[float, float, Floats]]:
    """Start and end in seconds and spectrogram of each stretch; a sound that is shorter is padded with silence."""
    length = len(sound) / RATE
    mel = spectrogram(_raised(np.pad(sound, (0, max(0, _FRAMES * _HOP - len(sound))))))
    last = max(0, len(sound) // _HOP - _FRAMES)
    for first in sorted({*range(0, last + 1, _STEP), last}):
        yield first * _HOP / RATE, min(length, (first + _FRAMES) * _HOP / RATE), mel[first : first + _FRAMES]


def spectrogram(sound: Pcm) -> Floats:
    """Power in mel bands every 10 ms, as librosa makes it; shape `[frames, BANDS]`."""
    padded = np.pad(sound, _FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP]
    window, bands = np.hanning(_FFT + 1)[:-1], bank(BANDS, _FFT).T
    found = np.empty((len(frames), BANDS), np.float32)
    for first in range(0, len(frames), _BLOCK):
        block = np.fft.rfft(frames[first : first + _BLOCK] * window, axis=1)
        found[first : first + _BLOCK] = np.square(np.abs(block)) @ bands
    return found


def _raised(sound: Pcm) -> Pcm:
    loudness = 10 * np.log10(max(float(np.mean(np.square(sound, dtype=np.float64))), 1e-12))
    return np.asarray(sound * 10 ** (max(0.0, _LOUDNESS - loudness) / 20), np.float32)
