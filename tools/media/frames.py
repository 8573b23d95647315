"""Which frames to look at, and what was seen: the words between a decoder and whoever wants its pictures."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""RGB, shape `[height, width, 3]`, upright."""

Changes = NDArray[np.float32]
"""Shape `[n, 4]`: time, change of colours and change of structure against the frame decoded before, and brightness (all
0..1)."""


Motion = NDArray[np.float32]
"""Shape `[n, 7]`: see `tools.media.motion`."""


@dataclass(frozen=True)
class FramePlan:
    """`full` decodes every frame and keeps one per `step` seconds; `keyframes` decodes only keyframes and fills gaps
    wider than `step`. Pictures are scaled to `side` pixels at most (0: as they are).

    With `skip_same` a frame that looks like the last picture comes without one.
    """

    mode: Literal["full", "keyframes"] = "full"
    step: float = 1.0
    side: int = 1280
    start: float = 0.0
    end: float | None = None
    skip_same: bool = False


@dataclass(frozen=True)
class Frame:
    """One sampled frame; `image` is None when it looks like the last picture. The last decoded frame always comes.

    `changes` are those of all frames decoded since the last sample, `motion` that of some of them, as
    `tools.media.motion` measures it.
    """

    time: float
    image: Image | None
    key: bool = False
    changes: Changes = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    motion: Motion = field(default_factory=lambda: np.zeros((0, 7), np.float32))


class FrameReader(Protocol):
    """Reads frames of one medium in order of time."""

    def frames(self, plan: FramePlan) -> Iterator[Frame]: ...
