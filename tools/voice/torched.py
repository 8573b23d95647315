"""What the engines that run on PyTorch share. Imported without it; torch itself is imported when an engine is built."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import NotInstalled
from tools.torchvision_ops import fit_torchvision

if TYPE_CHECKING:
    from tools.catalog import Row

TRANSFORMERS = ("torch", "transformers")
"""Packages of the engines on transformers; `make gpu` brings them."""


@contextmanager
def importing(row: Row) -> Iterator[None]:
    """Says how to come by a package whose import fails."""
    try:
        fit_torchvision()
        yield
    except ImportError as error:
        raise NotInstalled(
            f"{row.title} needs PyTorch and its libraries ({error}).", remedy="Run `make gpu`."
        ) from error


def folder_of(files: Mapping[str, Path]) -> Path:
    """The checkpoint's root: `speaker_embeddings/a.npy` lies one folder further down than `config.json`."""
    name, path = min(files.items(), key=lambda item: item[0].count("/"))
    return path.parents[name.count("/")]


def torch_device(device: str) -> str:
    return device.replace("gpu", "cuda")


@contextmanager
def drawing(text: str, device: str) -> Iterator[None]:
    """Chance that depends on the text alone, so that a text that is said again sounds the same; without gradients."""
    import torch

    kind = device.partition(":")[0]
    devices = [int(device.partition(":")[2] or 0)] if kind == "gpu" else []
    with torch.random.fork_rng(devices=devices), torch.inference_mode():
        torch.manual_seed(zlib.crc32(text.encode()))
        yield


def loaded_whole(row: Row, told: Mapping[str, Any], needed: str = "") -> None:
    """Raises `NotInstalled` for a checkpoint that lacks weights: they would be drawn by chance and speak noise."""
    missing = sorted(name for name in told["missing_keys"] if name.startswith(needed))
    if missing or told["mismatched_keys"]:
        wrong = (missing or [str(each) for each in told["mismatched_keys"]])[:3]
        raise NotInstalled(
            f"The checkpoint of {row.title} does not fit its configuration: {', '.join(wrong)}.",
            remedy=f"Fetch it again: `sutradhar models fetch {row.id}`.",
        )
