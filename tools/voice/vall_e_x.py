"""VALL-E X (https://arxiv.org/abs/2303.03926) with the weights that Plachtaa trained and published (MIT); 24 kHz.

Microsoft never published its own. A decoder draws the first EnCodec code of every frame after a speaker's, a second one
adds the other seven, and Vocos makes sound of them. It runs in an environment of its own, with the code of
`vall-e-x` as files of its row: the package itself asks for a web interface and Whisper, and fetches when imported.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tools.errors import EngineFailed, InvalidInput, NotInstalled
from tools.voice import Emotion, Gender, Sound, SpeakOptions, Voice
from tools.voice.sentences import breaths
from tools.voice.torchaudio_stand_in import stand_in
from tools.voice.torched import drawing, folder_of, torch_device

if TYPE_CHECKING:
    from tools.catalog import Row

_CODE = "code"
_RATE = 24_000
_LETTERS = {"en": 150, "zh": 40, "ja": 50}
"""Letters of one pass, about 10 s; with the speaker's 3 s before it that stays within what it was trained on."""
_PROMPT_LANGUAGES = ("zh", "ja", "en")
"""Languages by the number that a preset gives for what its speaker said."""
_CODEBOOK = "feature_extractor.codebook_weights"
_BINS = 1024
_BANDWIDTH = 2
"""Vocos' name for 6 kbit/s, which is eight codes a frame."""
_GENDERS: dict[str, Gender] = {"f": "female", "m": "male", "u": "unknown"}


class VallEX:
    """Option `speakers` lists presets of the row as `librispeech_1:u`; each of them speaks all of its languages.

    Option `heads` is the number of attention heads, which no weight tells. It draws by chance, the same for a text that
    is said again. How the speaker of a preset felt is heard, and cannot be chosen.
    """

    needs: ClassVar[tuple[str, ...]] = ("torch", "vocos")
    emotions: ClassVar[frozenset[Emotion]] = frozenset()
    bends_pitch: ClassVar[bool] = False
    bends_speed: ClassVar[bool] = False

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        folder = folder_of(files)
        self._row, self._files, self._device = row, files, device
        with _importing(row, folder / _CODE):
            from tokenizers import Tokenizer
            from vallex.utils.g2p.cleaners import cje_cleaners

            _ready_jieba()
            self._decoder = _decoder(row, files["vallex-checkpoint.pt"]).to(torch_device(device))
            self._vocoder = _Vocoder(row, files, torch_device(device))
        self._clean: Any = cje_cleaners
        self._tokens: Any = Tokenizer.from_file(str(files["bpe_69.json"]))

    @staticmethod
    def voices(row: Row) -> list[Voice]:
        """Each speaker in each language: that a voice crosses over is what it was made for."""
        told = [each.split(":") for each in str(row.options.get("speakers", "")).split()]
        return [
            Voice(
                id=f"vallex-{language}-{name}", language=language, gender=_GENDERS[gender],
                kind="neural", title=f"VALL-E X {name}", name=name,
            )
            for language in row.languages
            for name, gender in told
        ]  # fmt: skip

    def speak(self, text: str, options: SpeakOptions) -> Iterator[Sound]:
        if options.language not in _LETTERS:
            raise InvalidInput(
                f"VALL-E X speaks {', '.join(_LETTERS)}, not {options.language!r}.",
                remedy="Leave `model` out, and an engine that knows the language speaks.",
                param="language",
            )
        speaker = _preset(self._row, self._files, options.voice.name)
        for piece in breaths(text, _LETTERS[options.language]):
            with drawing(piece, self._device):
                yield self._pass(piece, options.language, *speaker)

    def _pass(self, text: str, language: str, codes: Any, prompt: Any, spoken: str) -> Sound:
        import torch

        # the code reports every sentence on stdout
        with contextlib.redirect_stdout(io.StringIO()):
            said = torch.tensor([self._phonemes(text, language)], dtype=torch.int64)
            whole = torch.cat([prompt, said], dim=1).to(torch_device(self._device))
            frames = self._decoder.inference(
                whole,
                torch.tensor([whole.shape[1]], dtype=torch.int32, device=whole.device),
                codes.to(whole.device),
                enroll_x_lens=prompt.shape[1],
                top_k=-100,
                temperature=1,
                prompt_language=spoken,
                text_language=language,
            )
        if not frames.shape[1]:
            raise EngineFailed(f"{self._row.title} said nothing for {text[:40]!r}.")
        return Sound(self._vocoder.sound(frames[0]), _RATE)

    def _phonemes(self, text: str, language: str) -> list[int]:
        """Ids of the text's sounds. The code tells languages by marks in brackets, so the text may have none."""
        mark = f"[{language.upper()}]"
        plain = re.sub(r"[\[\]\s]+", " ", text).strip()
        ids = self._tokens.encode(self._clean(f"{mark}{plain}{mark}")[0].replace(" ", "_")).ids
        if not any(letter.isalnum() for letter in plain) or not ids:
            raise EngineFailed(f"{self._row.title} knows none of the letters of {text[:40]!r}.")
        return list(ids)


class _Vocoder:
    """Vocos for EnCodec's codes. Its own loader would fetch EnCodec, whose codebooks its checkpoint has already."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        import torch
        import yaml
        from vocos.heads import ISTFTHead
        from vocos.models import VocosBackbone

        told = yaml.safe_load(files["vocos/config.yaml"].read_text(encoding="utf-8"))
        weights = _weights(row, files["vocos/pytorch_model.bin"])
        parts = {"backbone": VocosBackbone, "head": ISTFTHead}
        self._parts: Any = torch.nn.ModuleDict({name: part(**told[name]["init_args"]) for name, part in parts.items()})
        own = {name: value for name, value in weights.items() if name.partition(".")[0] in parts}
        _fill(row, self._parts, own)
        if _CODEBOOK not in weights:
            raise _unfit(row, f"Vocos lacks {_CODEBOOK}")
        self._codebook: Any = weights[_CODEBOOK].to(device)
        self._parts.eval().to(device)

    def sound(self, codes: Any) -> Any:
        """Samples of codes `[frames, quantizers]`: each quantizer's table follows the last in the codebook."""
        import torch

        places = codes + torch.arange(codes.shape[1], device=codes.device) * _BINS
        features = self._codebook[places].sum(dim=1).T[None]
        bandwidth = torch.tensor([_BANDWIDTH], device=codes.device)
        wave = self._parts["head"](self._parts["backbone"](features, bandwidth_id=bandwidth))
        return np.ascontiguousarray(wave.reshape(-1).float().cpu().numpy())


@contextlib.contextmanager
def _importing(row: Row, code: Path) -> Iterator[None]:
    """The code's folder on the path, in place of its module for training data, which would ask for Lhotse."""
    sys.path.insert(0, str(code))
    data = ModuleType("vallex.data.input_strategies")
    data.PromptedFeatures = object  # type: ignore[attr-defined]
    sys.modules |= {"vallex.data": ModuleType("vallex.data"), data.__name__: data}
    try:
        stand_in()
        yield
    except ImportError as error:
        raise NotInstalled(
            f"{row.title} runs in an environment of its own, and this one lacks what it needs ({error}).",
            remedy=f"Its row names the packages: `sutradhar models show {row.id}`.",
        ) from error


def _ready_jieba() -> None:
    """Build the table of Chinese words. jieba keeps it, unpickled unseen, where everyone may write: not here."""
    import jieba

    with tempfile.TemporaryDirectory() as scratch:
        jieba.setLogLevel("WARNING")
        jieba.dt.tmp_dir = scratch
        jieba.initialize()


def _decoder(row: Row, path: Path) -> Any:
    """The two decoders, as large as the checkpoint says."""
    from vallex.models.vallex import VALLE

    weights = _weights(row, path).get("model") or {}
    layers = {name.split(".")[2] for name in weights if name.startswith("ar_decoder.layers.")}
    table = weights.get("ar_text_embedding.word_embeddings.weight")
    if table is None or not layers:
        raise _unfit(row, "there is no decoder in it")
    model = VALLE(
        table.shape[1],
        int(row.options.get("heads", 16)),
        len(layers),
        norm_first=True,
        add_prenet=False,
        prefix_mode=1,
        share_embedding=True,
        nar_scale_factor=1.0,
        prepend_bos=True,
        num_quantizers=8,
    )
    _fill(row, model, weights)
    return model.eval()


def _weights(row: Row, path: Path) -> dict[str, Any]:
    """The tensors of a pickle, and nothing else of it."""
    import pickle

    import torch

    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))  # noqa: TID251
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise _unfit(row, f"{path.name} holds more than tensors, or is broken: {str(error)[:200]}") from error


def _fill(row: Row, model: Any, weights: Mapping[str, Any]) -> None:
    try:
        model.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise _unfit(row, str(error)[:300]) from error


def _unfit(row: Row, why: str) -> NotInstalled:
    return NotInstalled(
        f"The checkpoint of {row.title} does not fit: {why}.",
        remedy=f"Fetch it again: `sutradhar models fetch {row.id}`.",
    )


def _preset(row: Row, files: Mapping[str, Path], name: str) -> tuple[Any, Any, str]:
    """A speaker's codes `[1, frames, 8]`, the ids of what was said `[1, n]`, and its language."""
    import torch

    path = files.get(f"presets/{name}.npz")
    if path is None:
        raise InvalidInput(f"{row.title} has no voice {name!r}.", remedy="Name a voice of the list.", param="voice")
    try:
        with np.load(path, allow_pickle=False) as parts:
            codes, said, spoken = (parts[each] for each in ("audio_tokens", "text_tokens", "lang_code"))
        return torch.from_numpy(codes).long(), torch.from_numpy(said).long(), _PROMPT_LANGUAGES[int(spoken)]
    except (ValueError, OSError, KeyError, IndexError) as error:
        raise _unfit(row, f"the preset {name!r} cannot be read: {error}") from error
