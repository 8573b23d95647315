"""What a voice says, at the rate and in the manner that was asked for."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tools.voice import Emotion, Pcm

RATE = 44_100
"""Hz of everything that is given out, unless a format has a rate of its own."""
_FADE = 0.005
_SILENT = 10 ** (-45 / 20)
_LOUDEST = 0.985


@dataclass(frozen=True)
class Prosody:
    """Factors on the voice's own pitch and speed, and decibels on its loudness."""

    pitch: float = 1.0
    speed: float = 1.0
    gain: float = 0.0


# after the tendencies in Scherer 2003 (Speech Communication 40): joy and anger are higher, faster and louder, sadness
# is the opposite; small enough that the voice stays itself
PROSODY: dict[Emotion, Prosody] = {
    "neutral": Prosody(),
    "happy": Prosody(pitch=1.06, speed=1.06, gain=1.5),
    "sad": Prosody(pitch=0.95, speed=0.86, gain=-3.0),
    "angry": Prosody(pitch=1.03, speed=1.10, gain=3.0),
}


def resample(samples: Pcm, rate: int, to: int) -> Pcm:
    """By libswresample with 128 taps: with its default of 32, speech at 22 kHz gets images at -13 dB near its edge."""
    if rate == to or len(samples) == 0:
        return samples
    return _filtered(samples, rate, "aresample", f"{to}:filter_size=128:cutoff=0.98:linear_interp=0")


def stretched(samples: Pcm, rate: int, speed: float) -> Pcm:
    """Faster or slower at the same pitch, for a voice that has no speeds of its own (WSOLA, by libavfilter)."""
    if speed == 1 or len(samples) == 0:
        return samples
    return _filtered(samples, rate, "atempo", f"{min(max(speed, 0.5), 100.0):.4f}")


def _filtered(samples: Pcm, rate: int, name: str, settings: str) -> Pcm:
    import av
    from av.error import BlockingIOError as Waiting
    from av.error import EOFError as Ended

    graph = av.filter.Graph()
    steps = [
        graph.add_abuffer(sample_rate=rate, format="flt", layout="mono"),
        graph.add(name, settings),
        graph.add("aformat", "sample_fmts=flt:channel_layouts=mono"),
        graph.add("abuffersink"),
    ]
    for before, after in pairwise(steps):
        before.link_to(after)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), format="flt", layout="mono")
    frame.sample_rate = rate
    graph.push(frame)
    graph.push(None)
    parts = list[Pcm]()
    try:
        while True:
            parts.append(graph.pull().to_ndarray().reshape(-1).astype(np.float32, copy=False))
    except (Ended, Waiting):
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def finish(samples: Pcm, rate: int, prosody: Prosody, *, bent: float = 1.0, speed: float = 1.0, to: int = RATE) -> Pcm:
    """One sentence as it is given out; `bent` and `speed` are a pitch and a speed that the engine could not make.

    That pitch comes from playing the sound faster or slower; the engine spoke slower or faster to make up for it.
    """
    sound = resample(stretched(trimmed(samples, rate), rate, speed), round(rate * bent), to) * np.float32(
        10 ** (prosody.gain / 20)
    )
    peak = float(np.abs(sound).max(initial=0.0))
    if peak > _LOUDEST:
        # turned down as a whole, because cutting its peaks off would be heard
        sound = sound * np.float32(_LOUDEST / peak)
    fade = min(round(_FADE * to), len(sound) // 2)
    if fade:
        ramp = np.linspace(0, 1, fade, dtype=np.float32)
        sound[:fade] *= ramp
        sound[-fade:] *= ramp[::-1]
    return sound


def trimmed(samples: Pcm, rate: int, keep: float = 0.04) -> Pcm:
    """Without the silence around it, which differs from engine to engine; a little stays."""
    loud = np.flatnonzero(np.abs(samples) > _SILENT * max(float(np.abs(samples).max(initial=0.0)), 1e-9))
    if len(loud) == 0:
        return samples[:0]
    pad = round(keep * rate)
    return samples[max(0, loud[0] - pad) : loud[-1] + pad].copy()


def silence(seconds: float, rate: int = RATE) -> Pcm:
    return np.zeros(round(seconds * rate), dtype=np.float32)


def int16(samples: Pcm) -> bytes:
    """Little-endian 16 bit PCM."""
    return (np.clip(samples, -1, 1) * 32_767).round().astype("<i2").tobytes()
