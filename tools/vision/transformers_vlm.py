"""Vision-language models in transformers: LLaVA, InstructBLIP, Video-LLaVA, Qwen-VL, LLaVA-OneVision."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image as Pillow

from tools.catalog import Row
from tools.errors import InvalidInput
from tools.vision import Image, Question
from tools.vision.families import Family, family_of
from tools.vision.generating import Words, generate
from tools.vision.pictures import spread
from tools.voice.torched import TRANSFORMERS, folder_of, importing, loaded_whole, torch_device

_MILLISECONDS = 1_000


class TransformersVlm:
    """The row's files are the repository of the hub with weights in safetensors; code in it is never run.

    Options of the row: `family` (that of the checkpoint), `dtype` (bfloat16 on a GPU, float32 on a processor).
    Answers are the most probable ones, so that the same question has the same answer.
    """

    needs: ClassVar[tuple[str, ...]] = (*TRANSFORMERS, "torchvision")

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        with importing(row):
            import torch
            import transformers
        folder = folder_of(files)
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        self._row, self._family = row, family_of(str(row.options.get("family", config.model_type)), row.title)
        local = {"local_files_only": True, "trust_remote_code": False}
        processor = getattr(transformers, self._family.processor or "AutoProcessor")
        self._processor: Any = processor.from_pretrained(folder, **local)
        kind = getattr(transformers, self._family.model or "AutoModelForImageTextToText")
        dtype = getattr(torch, str(row.options.get("dtype", "float32" if device == "cpu" else "bfloat16")))
        self._model: Any
        self._model, told = kind.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, output_loading_info=True, **local
        )
        loaded_whole(row, told)
        self._model.eval().to(torch_device(device))
        self._tokenizer: Any = self._processor.tokenizer
        self._prepare()

    def answer(self, questions: list[Question]) -> Iterator[list[str]]:
        """Images and clips go through the model apart, each kind in one batch."""
        kinds = defaultdict[int, list[int]](list)
        for place, each in enumerate(questions):
            kinds[self._kind(each)].append(place)
        for kind, places in kinds.items():
            for step in self._pass([questions[place] for place in places], kind > 0):
                pieces = [""] * len(questions)
                for place, piece in zip(places, step, strict=True):
                    pieces[place] = piece
                yield pieces

    def _kind(self, question: Question) -> int:
        """Questions of one kind go together: 0 are images, clips 1 or their number of frames where that must agree."""
        if question.times is None:
            return 0
        return len(question.images) if self._family.alike else 1

    def _prepare(self) -> None:
        """What old repositories leave out."""
        tokenizer, config = self._tokenizer, self._model.config
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
        tokenizer.padding_side = "left"
        if qformer := getattr(self._processor, "qformer_tokenizer", None):
            qformer.padding_side = "right"
        if not self._family.image:
            self._mark()
        if self._family.patched and config.vision_config.model_type == "clip_vision_model":
            self._processor.patch_size = config.vision_config.patch_size
            self._processor.vision_feature_select_strategy = config.vision_feature_select_strategy
            # the class token of CLIP
            self._processor.num_additional_image_tokens = 1
        ends = getattr(self._model.generation_config, "eos_token_id", None)
        listed = ends if isinstance(ends, list) else [ends]
        self._ends = {each for each in (*listed, tokenizer.eos_token_id) if each is not None}

    def _mark(self) -> None:
        """Agree with InstructBLIP on the token that holds an image's place, which its processor adds by itself."""
        config, kind = self._model.config, "video" if self._family.clips_only else "image"
        sign = str(getattr(self._processor, f"{kind}_token"))
        place = self._tokenizer.convert_tokens_to_ids(sign)
        setattr(config, f"{kind}_token_index", place)
        self._processor.num_query_tokens = config.num_query_tokens
        if place >= self._model.get_input_embeddings().num_embeddings:
            # what the new row holds does not matter: the image's features take its place
            self._model.resize_token_embeddings(place + 1, mean_resizing=False)

    def _pass(self, questions: list[Question], clips: bool) -> Iterator[list[str]]:
        inputs = self._inputs(questions, clips).to(self._model.device, self._model.dtype)
        most = [each.most_tokens for each in questions]
        self._check(int(inputs["input_ids"].shape[1]) + max(most))
        words = [Words(self._tokenizer, self._ends, each) for each in most]
        steps = generate(
            self._model,
            inputs,
            most,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            eos_token_id=sorted(self._ends),
            pad_token_id=self._tokenizer.pad_token_id,
        )
        for step in steps:
            pieces = [each.take(token) for each, token in zip(words, step, strict=True)]
            if any(pieces):
                yield pieces

    def _check(self, tokens: int) -> None:
        if self._row.context and tokens > self._row.context:
            raise InvalidInput(
                f"The images, the question and the answer take {tokens:,} tokens; {self._row.title} has room for "
                f"{self._row.context:,}.",
                remedy="Ask about fewer images, or for a shorter answer.",
                param="images",
            )

    def _inputs(self, questions: list[Question], clips: bool) -> Any:
        family = self._family
        moving = family.clips_only or (clips and bool(family.clip))
        texts = [self._asked(each, moving) for each in questions]
        if moving:
            shown = [_film(each.images, family) for each in questions]
            # InstructBLIP's processor for videos calls them images
            media = {"images": shown} if family.clips_only else {"videos": shown, **self._times(questions)}
        else:
            media = {"images": [[Pillow.fromarray(image) for image in each.images] for each in questions]}
            if not family.image:
                media = {"images": [self._only(images) for images in media["images"]]}
        return self._processor(text=texts, padding=True, return_tensors="pt", **media)

    def _only(self, images: list[Any]) -> Any:
        if len(images) > 1:
            raise InvalidInput(
                f"{self._row.title} sees one image at a time, not {len(images)}.", remedy="Ask about each alone."
            )
        return images[0]

    def _times(self, questions: list[Question]) -> dict[str, Any]:
        """Where each frame lies in its clip: exactly, or as frames a second where the family knows only that."""
        metadata = []
        for each in questions:
            given = each.times or [0.0]
            times = [given[place] for place in _shown(len(given), self._family)]
            pace = (len(times) - 1) / (times[-1] - times[0]) if times[-1] > times[0] else 1.0
            timed = self._family.timed
            places = [round(time * _MILLISECONDS) for time in times] if timed else list(range(len(times)))
            fps = float(_MILLISECONDS) if timed else pace
            metadata.append({"fps": fps, "frames_indices": places, "total_num_frames": places[-1] + 1})
        # as Qwen's own code has it; the option goes when transformers does so by itself
        capped = hasattr(self._processor.video_processor, "cap_pixels_per_frame")
        rest = {"cap_pixels_per_frame": True} if capped else {}
        return {"do_sample_frames": False, "video_metadata": metadata, **rest}

    def _asked(self, question: Question, moving: bool) -> str:
        family, text = self._family, self._plain(question.text)
        count = 1 if moving else len(question.images)
        kind, sign = ("video", family.clip) if moving else ("image", family.image)
        if not (family.own_template and self._processor.chat_template):
            return family.asked.format(media=sign * count, text=text)
        content = [*({"type": kind} for _ in range(count)), {"type": "text", "text": text}]
        told: str = self._processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        # the processor wraps each moment itself
        return told.replace("<|vision_start|><|video_pad|><|vision_end|>", family.clip) if family.timed else told

    def _plain(self, text: str) -> str:
        """The words without the model's own signs: nobody may end the question or add an image by writing them."""
        signs = {*self._tokenizer.all_special_tokens, *self._tokenizer.get_added_vocab()}
        for sign in sorted(signs - {""}, key=len, reverse=True):
            text = text.replace(sign, " ")
        return text


def _shown(count: int, family: Family) -> list[int]:
    """The places of the frames shown; where the family wants more than there are, the last one stays."""
    if family.frames is None:
        return list(range(count))
    places = spread(count, family.frames)
    return [*places, *[count - 1] * (family.frames - len(places))]


def _film(images: list[Image], family: Family) -> Image:
    """Frames of one size, `[n, height, width, 3]`."""
    height, width = images[0].shape[:2]
    frames = [
        image
        if image.shape[:2] == (height, width)
        else np.asarray(Pillow.fromarray(image).resize((width, height), Pillow.Resampling.BICUBIC))
        for image in (images[place] for place in _shown(len(images), family))
    ]
    return np.stack(frames)
