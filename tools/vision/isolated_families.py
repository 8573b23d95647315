"""How each family of models with code of its own is loaded and asked.

Learned from what their publishers show of them; none of their code is here.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from PIL import Image as Pillow

from tools.vision import Question


@dataclass(frozen=True)
class Place:
    """Where the files lie, and where the model goes: torch's names of a device and a type."""

    folder: Path
    device: str
    dtype: str

    def load(self, auto: str, part: str = "", **more: Any) -> Any:
        """What one of transformers' Auto classes makes of the folder, or of a folder in it."""
        import transformers

        return getattr(transformers, auto).from_pretrained(
            str(self.folder / part), trust_remote_code=True, local_files_only=True, **more
        )

    def load_model(self, auto: str = "AutoModelForCausalLM", part: str = "", **more: Any) -> Any:
        import torch

        model = self.load(auto, part, torch_dtype=getattr(torch, self.dtype), **more)
        return model.to(self.device).eval()


@dataclass(frozen=True)
class Asked:
    """A question as the model takes it: `generate` is called with `inputs`; an answer ends at one of `ends`."""

    generate: Callable[..., Any]
    inputs: dict[str, Any]
    tokenizer: Any
    ends: set[int]


class Family(Protocol):
    most_images: int

    def asked(self, question: Question) -> AbstractContextManager[Asked]:
        """The question, made ready for as long as the block lasts."""
        ...


class CogVlm:
    """One image and one text; its code makes the prompt."""

    most_images = 1

    def __init__(self, place: Place) -> None:
        self._place = place
        self._tokenizer = place.load("AutoTokenizer", use_fast=False)
        self._model = place.load_model(low_cpu_mem_usage=True)

    @contextmanager
    def asked(self, question: Question) -> Iterator[Asked]:
        model, tokenizer = self._model, self._tokenizer
        text = plain(question.text, tokenizer.all_special_tokens)
        images = [Pillow.fromarray(image) for image in question.images[:1]]
        built = model.build_conversation_input_ids(tokenizer, query=text, history=[], images=images)
        named = ("input_ids", "token_type_ids", "attention_mask")
        inputs = {name: built[name].unsqueeze(0).to(self._place.device) for name in named}
        inputs["images"] = [[image.to(self._place.device, model.dtype) for image in built["images"]]]
        yield Asked(model.generate, inputs, tokenizer, {tokenizer.eos_token_id})


class QwenVl:
    """Text with images between, which its tokenizer opens by their paths; its `chat` makes the prompt."""

    most_images = 6
    signs = (
        *("<img>", "</img>", "<imgpad>", "<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>"),
        *("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    )

    def __init__(self, place: Place) -> None:
        # its tokenizer fetches a font where the working folder has none
        os.chdir(place.folder)
        self._tokenizer = place.load("AutoTokenizer")
        self._model = place.load_model()

    @contextmanager
    def asked(self, question: Question) -> Iterator[Asked]:
        tokenizer = self._tokenizer
        with tempfile.TemporaryDirectory() as folder:
            parts = []
            for number, image in enumerate(question.images):
                path = f"{folder}/{number}.png"
                Pillow.fromarray(image).save(path)
                parts.append({"image": path})
            # whoever writes a sign could name a file of this machine as an image
            parts.append({"text": plain(question.text, self.signs)})
            inputs = {"query": tokenizer.from_list_format(parts), "history": None}
            ends = {tokenizer.eod_id, tokenizer.im_start_id, tokenizer.im_end_id}
            yield Asked(partial(self._model.chat, tokenizer), inputs, tokenizer, ends)


def plain(text: str, signs: Iterable[str]) -> str:
    """The words without the model's own signs: nobody may end the question or add an image by writing them."""
    for sign in sorted({*signs} - {""}, key=len, reverse=True):
        text = text.replace(sign, " ")
    return text


FAMILIES: dict[str, Callable[[Place], Family]] = {"cogvlm": CogVlm, "qwen-vl": QwenVl}
