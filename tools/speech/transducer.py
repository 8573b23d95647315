"""IndicConformer's transducer: what was written so far decides with each frame what comes next (greedy RNN-T).

Graphs, names and search are those of ai4bharat/indic-conformer-600m-multilingual (its model_onnx.py, MIT): a
prediction net, two projections into a joint space, what is common to all languages, and a last layer for each.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.onnx_session import open_session

_START, _BLANK = 5632, 256
_LAYERS, _HIDDEN = 2, 640
_MOST = 10
"""Tokens of one frame."""
_POST = "joint_post_net_"

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Token:
    """`first` and `last` are frames of the encoder, `last` behind the token; `sure` is its mean probability."""

    number: int
    first: int
    last: int
    sure: float


@dataclass(frozen=True)
class _Said:
    """The prediction net after a token: its output in the joint space, and what it remembers."""

    ahead: Floats
    states: tuple[Floats, Floats]


class Transducer:
    """The nets are tiny and run once for each token: on the CPU, where nothing is copied to and fro."""

    def __init__(self, files: Mapping[str, Path], threads: int = 0) -> None:
        graphs = ("rnnt_decoder", "joint_enc", "joint_pred", "joint_pre_net")
        self._predict, self._encoded, self._ahead, self._common = (
            open_session(files[f"{name}.onnx"], "cpu", threads) for name in graphs
        )
        self._files, self._threads = files, threads
        self._last = dict[str, Any]()
        # the exporter numbered the states: they are known by their places only
        self._memory = [each.name for each in self._predict.get_inputs() if not each.name.startswith("target")]

    def tokens(self, encoded: Floats, language: str) -> list[Token]:
        """What is said in the frames of an encoder, `[features, frames]`, in a language's own tokens."""
        (frames,) = self._encoded.run(None, {"input": encoded.T[None]})
        said, found = self._after(_START, (_nothing(), _nothing())), list[Token]()
        for number, frame in enumerate(frames[0]):
            for _ in range(_MOST):
                token, sure = self._next(frame + said.ahead, language)
                if token == _BLANK:
                    break
                found.append(Token(token, number, number + 1, sure))
                said = self._after(token, said.states)
        return found

    def _after(self, token: int, states: Iterable[Floats]) -> _Said:
        given = {"targets": np.array([[token]], np.int32), "target_length": np.array([1], np.int32)}
        output, _, *memory = self._predict.run(None, given | dict(zip(self._memory, states, strict=True)))
        (ahead,) = self._ahead.run(None, {"input": output.transpose(0, 2, 1)})
        return _Said(ahead[0, 0], (memory[0], memory[1]))

    def _next(self, joint: Floats, language: str) -> tuple[int, float]:
        (common,) = self._common.run(None, {"input": joint[None, None]})
        (logits,) = self._head(language).run(None, {"input": common})
        scores = logits.reshape(-1)
        best = int(scores.argmax())
        return best, float(1.0 / np.exp(scores - scores[best]).sum())

    def _head(self, language: str) -> Any:
        if language not in self._last:
            self._last[language] = open_session(self._files[f"{_POST}{language}.onnx"], "cpu", self._threads)
        return self._last[language]


def _nothing() -> Floats:
    return np.zeros((_LAYERS, 1, _HIDDEN), np.float32)
