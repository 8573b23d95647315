"""A publisher's transformers checkpoint as a CTranslate2 folder, made once per checkpoint and kept beside the weights.

The work is done in a child process that may use so much memory and time and no network. The checkpoint is read by
transformers without remote code; a pickle is only ever read with `weights_only`.
"""

import asyncio
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from tools.catalog import Row
from tools.errors import EngineFailed, InvalidInput, NotInstalled
from tools.events import Emit, ModelEvent, ignore
from tools.isolation import Limits, process

CONVERT = "convert"
"""The option of a row whose engine reads a CTranslate2 folder where its publisher has a transformers checkpoint."""

_FORMAT = 1
"""Part of every folder's name: raised when the same inputs should be converted again."""
_QUANTIZATIONS = ("int8", "int8_float16", "int8_float32", "int16", "float16", "float32")
_SECONDS = 1800.0
_ROOM = 16 << 30
"""Bytes of address space beside five times the checkpoint; most of it is torch's libraries, never touched."""


async def convert(
    row: Row,
    files: Mapping[str, Path],
    digests: Mapping[str, str],
    to: Path,
    emit: Emit = ignore,
    *,
    seconds: float = _SECONDS,
) -> dict[str, Path]:
    """The files of the row's CTranslate2 folder under `to` by name, converting `files` when that is not done yet.

    `digests` are the sha256 of `files`. The caller holds the row's lock. Raises `NotInstalled` without torch and
    transformers, `EngineFailed` when the checkpoint cannot be read or the time ran out.
    """
    quantization = _quantization(row)
    made = to / _name(digests, quantization)
    if not made.is_dir():
        await _make(row, files, made, emit, quantization=quantization, seconds=seconds)
    return {str(path.relative_to(made)): path for path in sorted(made.rglob("*")) if path.is_file()}


def _quantization(row: Row) -> str:
    if row.options[CONVERT] != "ctranslate2":
        raise InvalidInput(
            f"{row.id!r} wants {row.options[CONVERT]!r}.", remedy="Weights convert to `ctranslate2` only."
        )
    wanted = str(row.options.get("quantization", "int8" if row.device == "cpu" else "float16"))
    if wanted not in _QUANTIZATIONS:
        raise InvalidInput(f"{row.id!r} wants {wanted!r}.", remedy=f"Choose one of {', '.join(_QUANTIZATIONS)}.")
    return wanted


def _name(digests: Mapping[str, str], quantization: str) -> str:
    inputs = json.dumps([_FORMAT, quantization, sorted(digests.items())])
    return f"{quantization}-{hashlib.sha256(inputs.encode()).hexdigest()[:16]}"


async def _make(
    row: Row, files: Mapping[str, Path], made: Path, emit: Emit, *, quantization: str, seconds: float
) -> None:
    if absent := [name for name in ("torch", "transformers") if find_spec(name) is None]:
        raise NotInstalled(f"Converting {row.title} needs {' and '.join(absent)}.", remedy="Run `make gpu`.")

    def tell(note: str, fraction: float) -> None:
        emit(ModelEvent(model=row.id, device=row.device, state="loading", note=note, fraction=fraction))

    made.parent.mkdir(parents=True, exist_ok=True)
    # what a killed conversion left; nobody else works here while the row is locked
    for left in made.parent.glob(".*.part"):
        await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)
    work = made.parent / f".{uuid.uuid4().hex}.part"
    size = sum(path.stat().st_size for path in files.values())
    limits = Limits(memory=_ROOM + 5 * size, cpu_seconds=seconds * (os.cpu_count() or 1), network=False)
    tell(f"converting to CTranslate2 ({quantization})", 0.0)
    try:
        async with asyncio.timeout(seconds), process.spawn("tools.conversion:Converter", limits=limits) as child:
            await child.call(Converter.convert, {name: str(path) for name, path in files.items()}, work, quantization)
        (work / "model").replace(made)
    except TimeoutError as error:
        raise EngineFailed(f"Converting {row.title} took longer than {seconds:g} s.") from error
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, work, ignore_errors=True))
    tell("converted", 1.0)


class Converter:
    """The child's side."""

    def __init__(self) -> None:
        os.environ.update(HF_HUB_OFFLINE="1", CUDA_VISIBLE_DEVICES="", TOKENIZERS_PARALLELISM="false")

    def convert(self, files: dict[str, str], work: Path, quantization: str) -> None:
        """Make `work/model` whole: weights, vocabulary, and every small file that an engine may want."""
        from tools.torchvision_ops import fit_torchvision

        fit_torchvision()
        from ctranslate2.converters import TransformersConverter

        from tools.translation.vocabulary import teach_converter

        teach_converter()
        # only what was verified: transformers must not find anything else that lies in the folder
        source, model = work / "source", work / "model"
        for name, path in files.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).symlink_to(Path(path).resolve())
        TransformersConverter(str(source)).convert(str(model), quantization=quantization)
        for name in files:
            if not name.endswith((".bin", ".safetensors", ".index.json")) and not (model / name).exists():
                (model / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, model / name)
        _keep_tokenizer(source, model)
        _name_languages(model)
        for kept in model.rglob("*"):
            if kept.is_file():
                with kept.open("rb") as file:
                    os.fsync(file.fileno())


def _keep_tokenizer(source: Path, model: Path) -> None:
    """Older checkpoints have vocab.json and merges.txt only; engines without transformers read tokenizer.json."""
    if (model / "tokenizer.json").exists():
        return
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(source), local_files_only=True, trust_remote_code=False)
    if (fast := getattr(tokenizer, "backend_tokenizer", None)) is not None and hasattr(fast, "save"):
        fast.save(str(model / "tokenizer.json"))


def _name_languages(model: Path) -> None:
    """Whisper's language tokens, which the converter finds in newer checkpoints only; without them it knows English."""
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    if config.get("lang_ids") != []:
        return
    vocabulary = json.loads((model / "vocabulary.json").read_text(encoding="utf-8"))
    first, last = vocabulary.index("<|startoftranscript|>") + 1, vocabulary.index("<|translate|>")
    config["lang_ids"] = list(range(first, last))
    (model / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
