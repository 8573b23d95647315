"""How each family of models with code of its own is loaded and asked.

Learned from what their publishers show of them; none of their code is here.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from PIL import Image as Pillow

from tools.errors import NotInstalled
from tools.vision import Question


@dataclass(frozen=True)
class Place:
    """Where the files lie, and where the model goes: torch's names of a device and a type."""

    folder: Path
    device: str
    dtype: str

    def load(self, kind: Any, part: str = "", **more: Any) -> Any:
        """What a class of transformers, by name, or one like it makes of the folder, or of a folder in it."""
        import transformers

        kind = getattr(transformers, kind) if isinstance(kind, str) else kind
        return kind.from_pretrained(str(self.folder / part), local_files_only=True, **more)

    def load_model(self, kind: Any, part: str = "", **more: Any) -> Any:
        import torch

        model = self.load(kind, part, torch_dtype=getattr(torch, self.dtype), **more)
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
        self._tokenizer = place.load("AutoTokenizer", trust_remote_code=True, use_fast=False)
        self._model = place.load_model("AutoModelForCausalLM", trust_remote_code=True, low_cpu_mem_usage=True)

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
        self._tokenizer = place.load("AutoTokenizer", trust_remote_code=True)
        self._model = place.load_model("AutoModelForCausalLM", trust_remote_code=True)

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


class VideoChatGpt:
    """A clip as its frames, pooled over time and over space, in front of a LLaMA; code and three checkpoints apart."""

    most_images = 100
    signs = ("<vid_patch>", "<vid_start>", "<vid_end>")
    trained = "video_chatgpt-7B.bin"
    _words = (
        "You are Video-ChatGPT, a large vision-language assistant. You are able to understand the video content that "
        "the user provides, and assist the user with a variety of tasks using natural language.Follow the instructions "
        "carefully and explain your answers in detail based on the provided video. "
        "USER: {text}\n<vid_start>{places}<vid_end> ASSISTANT:"
    )
    """As it was trained, with the missing space."""

    def __init__(self, place: Place) -> None:
        import torch

        sys.path.insert(0, str(place.folder / "code"))
        from video_chatgpt.model import VideoChatGPTLlamaForCausalLM  # type: ignore[import-not-found,unused-ignore]

        self._place = place
        self._tokenizer = place.load("AutoTokenizer", "llava", use_fast=False)
        self._model = place.load_model(VideoChatGPTLlamaForCausalLM, "llava", low_cpu_mem_usage=True)
        if len(self._tokenizer) != self._model.config.vocab_size:
            raise NotInstalled(
                f"The LLaMA below Video-ChatGPT knows {self._model.config.vocab_size:,} words, its tokenizer "
                f"{len(self._tokenizer):,}.",
                remedy="Name the file of its added tokens in the row.",
            )
        self._tokenizer.add_tokens([*self.signs], special_tokens=True)
        self._model.resize_token_embeddings(len(self._tokenizer))
        # tensors only: nothing of the pickle is run
        trained = torch.load(place.folder / self.trained, map_location="cpu", weights_only=True)  # noqa: TID251
        if unknown := self._model.load_state_dict(trained, strict=False).unexpected_keys:
            raise NotInstalled(f"The weights of Video-ChatGPT do not fit its code: {', '.join(unknown[:3])}.")
        self._eye = place.load_model("CLIPVisionModel", "clip")
        self._images = place.load("CLIPImageProcessor", "clip")
        known, vision = self._tokenizer.convert_tokens_to_ids([*self.signs]), self._model.get_model().vision_config
        vision.vid_patch_token, vision.vid_start_token, vision.vid_end_token = known
        vision.use_vid_start_end = True

    @contextmanager
    def asked(self, question: Question) -> Iterator[Asked]:
        tokenizer = self._tokenizer
        seen = self._pooled([Pillow.fromarray(image) for image in question.images])
        text = plain(question.text, tokenizer.all_special_tokens)
        words = self._words.format(text=text, places=self.signs[0] * seen.shape[0])
        ids = tokenizer([words], return_tensors="pt").input_ids.to(self._place.device)
        inputs = {"inputs": ids, "video_spatio_temporal_features": seen[None]}
        yield Asked(self._model.generate, inputs, tokenizer, {tokenizer.eos_token_id})

    def _pooled(self, frames: list[Any]) -> Any:
        """`[100 + patches, channels]`: each frame's mean, nothing where there are no more, then each patch's mean."""
        import torch

        side = self._eye.config.image_size
        shown = [frame.resize((side, side)) for frame in frames]
        pixels = self._images.preprocess(shown, return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            seen = self._eye(pixels.to(self._place.device, self._eye.dtype), output_hidden_states=True)
        patches = seen.hidden_states[-2][:, 1:].float()
        moments = torch.nn.functional.pad(patches.mean(1), (0, 0, 0, self.most_images - len(frames)))
        return torch.cat([moments, patches.mean(0)]).to(self._model.dtype)


def plain(text: str, signs: Iterable[str]) -> str:
    """The words without the model's own signs: nobody may end the question or add an image by writing them."""
    for sign in sorted({*signs} - {""}, key=len, reverse=True):
        text = text.replace(sign, " ")
    return text
