"""What coqui-tts and vocos take from torchaudio to build their models, where no torchaudio fits the torch.

coqui-tts imports torchaudio when it is imported. Speaking itself needs none of it: XTTS holds a spectrogram layer
in its speaker encoder, whose tables are in the checkpoint and which only works on a recording of a voice to be cloned.
vocos imports mel scales for vocoders other than ours.
torchaudio's wheels fit one build of torch; the registries have none for torch without CUDA.
"""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

from tools.errors import NotInstalled


def stand_in() -> bool:
    """Put the stand-in where `import torchaudio` finds it, unless the real one works; says whether it did.

    For a process that runs nothing but this engine.
    """
    try:
        import torchaudio.transforms  # noqa: F401
    except (ImportError, OSError):
        for name in [each for each in sys.modules if each.partition(".")[0] in {"torchaudio", "torchcodec"}]:
            del sys.modules[name]
        audio, codec = _module("torchaudio"), _module("torchcodec")
        transforms, functional = _module("torchaudio.transforms"), _module("torchaudio.functional")
        inner = _module("torchaudio.functional.functional")
        layer = _spectrogram_layer()
        for module, name, value in (
            (audio, "transforms", transforms),
            (audio, "functional", functional),
            (audio, "load", _refuse),
            (functional, "resample", _refuse),
            (functional, "functional", inner),
            (inner, "_hz_to_mel", _refuse),
            (inner, "_mel_to_hz", _refuse),
            (transforms, "MelSpectrogram", layer),
            (transforms, "Resample", _refuse),
        ):
            setattr(module, name, value)
        sys.modules |= {each.__name__: each for each in (audio, codec, transforms, functional, inner)}
        return True
    return False


def _module(name: str) -> ModuleType:
    module = ModuleType(name)
    # libraries ask for it to see whether a package is there
    module.__spec__ = ModuleSpec(name, None)
    return module


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise NotInstalled(
        "Listening to a recorded voice needs a torchaudio that fits this torch.",
        remedy="Install torchaudio from the same place as torch.",
    )


def _spectrogram_layer() -> type:
    import torch

    class Spectrogram(torch.nn.Module):  # type: ignore[misc]
        """The tables that a checkpoint has, by their names."""

        def __init__(self, *, n_fft: int = 400, win_length: int | None = None, n_mels: int = 128, **rest: Any) -> None:
            super().__init__()
            self.spectrogram = torch.nn.Module()
            self.spectrogram.register_buffer("window", torch.zeros(win_length or n_fft))
            self.mel_scale = torch.nn.Module()
            self.mel_scale.register_buffer("fb", torch.zeros(n_fft // 2 + 1, n_mels))

        def forward(self, sound: Any) -> NoReturn:
            _refuse()

    return Spectrogram
