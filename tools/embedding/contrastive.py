"""Images and texts in one space by CLIP, SigLIP and SigLIP 2 in transformers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tools.catalog import Row
from tools.embedding import Vectors
from tools.errors import NotInstalled
from tools.vision import Image
from tools.voice.torched import TRANSFORMERS, folder_of, importing, loaded_whole, torch_device

_BATCH = 16
_KINDS = ("clip", "siglip", "siglip2")


class Contrastive:
    """The row's files are the repository of the hub with weights in safetensors. Options: `batch` (16)."""

    needs: ClassVar[tuple[str, ...]] = (*TRANSFORMERS, "torchvision")

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        with importing(row):
            from transformers import AutoConfig, AutoModel, AutoProcessor
        folder, local = folder_of(files), {"local_files_only": True, "trust_remote_code": False}
        self._kind = AutoConfig.from_pretrained(folder, **local).model_type
        if self._kind not in _KINDS:
            raise NotInstalled(f"{row.title} is a {self._kind!r}; this engine knows {', '.join(_KINDS)}.")
        self._processor: Any = AutoProcessor.from_pretrained(folder, **local)
        self._model: Any
        self._model, told = AutoModel.from_pretrained(folder, use_safetensors=True, output_loading_info=True, **local)
        loaded_whole(row, told)
        self._model.eval().to(torch_device(device))
        self._batch = int(row.options.get("batch", _BATCH))
        self._size = row.dimensions or 0

    def images(self, images: list[Image]) -> Vectors:
        return self._joined([self._images(batch) for batch in _batches(images, self._batch)])

    def texts(self, texts: list[str]) -> Vectors:
        return self._joined([self._texts(batch) for batch in _batches(texts, self._batch)])

    def match(self, images: list[Image], texts: list[str]) -> NDArray[np.float32]:
        scale = float(np.exp(self._model.logit_scale.item()))
        logits = self.images(images).astype(np.float64) @ self.texts(texts).T * scale
        if self._kind == "clip":
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)
        return np.asarray(1 / (1 + np.exp(-(logits + self._model.logit_bias.item()))), dtype=np.float32)

    def _images(self, images: list[Image]) -> Vectors:
        from PIL import Image as Pillow

        inputs = self._processor(images=[Pillow.fromarray(image) for image in images], return_tensors="pt")
        return self._pooled("get_image_features", inputs)

    def _texts(self, texts: list[str]) -> Vectors:
        # SigLIP was trained on texts padded to one length, and does worse without
        length = int(self._model.config.text_config.max_position_embeddings)
        padding = True if self._kind == "clip" else "max_length"
        inputs = self._processor(text=texts, padding=padding, truncation=True, max_length=length, return_tensors="pt")
        return self._pooled("get_text_features", inputs)

    def _pooled(self, method: str, inputs: Any) -> Vectors:
        import torch

        with torch.inference_mode():
            found = getattr(self._model, method)(**inputs.to(self._model.device))
            # transformers 5 gives all outputs, before it gave the pooled one
            found = getattr(found, "pooler_output", found)
            return np.asarray(torch.nn.functional.normalize(found.float(), dim=-1).cpu().numpy())

    def _joined(self, parts: list[Vectors]) -> Vectors:
        return np.concatenate(parts) if parts else np.zeros((0, self._size), dtype=np.float32)


def _batches(items: list[Any], size: int) -> list[list[Any]]:
    return [items[first : first + size] for first in range(0, len(items), size)]
