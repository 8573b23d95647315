"""Stretches of speech into speakers: agglomerative clustering by mean similarity, then each moment to its speaker."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.diarization import Turn, Voices, name_of
from tools.speech import Span

_MOST = 1_500
"""Stretches that are clustered; of a longer recording, so many at even distances."""
_RARE = 6
"""Stretches that a speaker has at least, about 3.6 s of speech; fewer are a noise or a laugh."""
_SWITCH = 0.3
"""Similarity that another speaker must win over the stretches of a turn before it changes hands."""
_TICK = 0.1

Labels = NDArray[np.int64]


def speakers_of(voices: Voices, threshold: float, speakers: int | None) -> NDArray[np.float32]:
    """The mean voice of each speaker, unit vectors of shape `[speakers, dimensions]`.

    Groups are joined while their mean similarity is `threshold` or more, or until there are `speakers` of them.
    """
    if not len(voices.prints):
        return np.zeros((0, voices.prints.shape[1]), np.float32)
    some = np.unique(np.linspace(0, len(voices.prints) - 1, _MOST).round().astype(int))
    prints = voices.prints[some]
    groups = _joined(prints, threshold, speakers)
    kept = [group for group in groups if len(group) >= min(_RARE, len(prints))] if speakers is None else groups
    kept = kept or [max(groups, key=len)]
    means = np.stack([prints[group].mean(axis=0) for group in kept])
    return np.asarray(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9), np.float32)


def _joined(prints: NDArray[np.float32], threshold: float, speakers: int | None) -> list[list[int]]:
    """Average linkage: the two groups whose members are most alike become one, and so on."""
    alike = (prints @ prints.T).astype(np.float64)
    np.fill_diagonal(alike, -np.inf)
    groups = {number: [number] for number in range(len(prints))}
    best, near = alike.max(axis=1), alike.argmax(axis=1)
    while len(groups) > (speakers or 1):
        one = int(best.argmax())
        if speakers is None and best[one] < threshold:
            break
        two = int(near[one])
        sizes = len(groups[one]), len(groups[two])
        row = (alike[one] * sizes[0] + alike[two] * sizes[1]) / sum(sizes)
        row[[one, two]] = -np.inf
        alike[one] = alike[:, one] = row
        alike[two] = alike[:, two] = best[two] = -np.inf
        groups[one] += groups.pop(two)
        best[one], near[one] = row.max(), row.argmax()
        stale = np.flatnonzero((near == one) | (near == two))
        stale = stale[np.isfinite(best[stale])]
        best[stale], near[stale] = alike[stale].max(axis=1), alike[stale].argmax(axis=1)
        closer = row > best
        best[closer], near[closer] = row[closer], one
    return list(groups.values())


def turns_of(voices: Voices, speakers: NDArray[np.float32], spoken: list[Span]) -> list[Turn]:
    """Who speaks in each stretch of speech; a stretch changes hands where another speaker is clearly closer."""
    alike = voices.prints @ speakers.T if len(speakers) else np.zeros((len(voices.starts), 1), np.float32)
    middles = (voices.starts + voices.ends) / 2
    runs, unknown = list[_Run](), list[Span]()
    for span in spoken:
        mine = np.flatnonzero((voices.starts >= span.start - _TICK) & (voices.ends <= span.end + _TICK))
        if len(mine):
            runs += _runs(span, middles[mine], _path(alike[mine]))
        else:
            unknown.append(span)
    return _named(runs + [_Run(span.start, span.end, _nearest(runs, span)) for span in unknown])


class _Run(NamedTuple):
    start: float
    end: float
    speaker: int


def _path(alike: NDArray[np.float32]) -> Labels:
    """The likeliest speaker of each stretch where every change costs `_SWITCH` (Viterbi)."""
    score, came = alike[0].astype(np.float64), np.zeros(alike.shape, dtype=np.int64)
    for number, row in enumerate(alike[1:], 1):
        change = score.max() - _SWITCH
        came[number] = np.where(score >= change, np.arange(len(score)), score.argmax())
        score = np.maximum(score, change) + row
    path = np.zeros(len(alike), dtype=np.int64)
    path[-1] = score.argmax()
    for number in range(len(alike) - 1, 0, -1):
        path[number - 1] = came[number, path[number]]
    return path


def _runs(span: Span, middles: NDArray[np.float64], path: Labels) -> list[_Run]:
    """A change lies between the middles of the stretches before and after it."""
    changes = np.flatnonzero(np.diff(path)) + 1
    edges = [span.start, *((middles[changes - 1] + middles[changes]) / 2).tolist(), span.end]
    firsts = [0, *changes.tolist()]
    return [_Run(start, end, int(path[first])) for start, end, first in zip(edges, edges[1:], firsts, strict=False)]


def _nearest(runs: list[_Run], span: Span) -> int:
    """What is too short to be known by its voice is said by whoever speaks nearest to it."""
    return min(runs, key=lambda run: abs(run.start - span.start)).speaker if runs else 0


def _named(runs: list[_Run]) -> list[Turn]:
    runs = sorted(runs)
    order = list(dict.fromkeys(run.speaker for run in runs))
    return [Turn(round(run.start, 3), round(run.end, 3), name_of(order.index(run.speaker))) for run in runs]
