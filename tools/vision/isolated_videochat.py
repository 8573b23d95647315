"""VideoChat2 HD with Mistral: its code out of its repository, and the five checkpoints that it is made of."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tools.errors import NotInstalled
from tools.vision import Question
from tools.vision.isolated_families import Asked, Place, plain

_TILE = 224
_PATCHES = (_TILE // 16) ** 2
_TRAINED_FRAMES = 4
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"]


class Named(dict[str, Any]):
    """A JSON object as its code reads it: by attribute, too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


class VideoChat2:
    """Frames in tiles of 224 pixels and as a whole, through a Q-Former into a Mistral."""

    most_images = 1
    signs = ("[INST]", "[/INST]", "<Video>", "</Video>", "<Image>", "</Image>")
    trained = "videochat2_hd_mistral_7b_stage4.pth"

    def __init__(self, place: Place) -> None:
        import torch

        # its code asks for BERT by its name on the hub, which is a folder here
        os.chdir(place.folder)
        sys.path.insert(0, str(place.folder / "code"))
        from videochat2.mistral.videochat2_it_hd_mistral import (  # type: ignore[import-not-found,unused-ignore]
            VideoChat2_it_hd_mistral,
        )

        self._config = _config(place)
        model = VideoChat2_it_hd_mistral(config=self._config)
        _adapt(model)
        # tensors only: nothing of the pickle is run
        state = torch.load(place.folder / self.trained, map_location="cpu", weights_only=True)  # noqa: TID251
        told = model.load_state_dict(state.get("model", state), strict=False)
        lost = [name for name in told.missing_keys if "lora_" in name]
        if wrong := [*told.unexpected_keys, *lost]:
            raise NotInstalled(f"The weights of VideoChat2 do not fit its code: {', '.join(wrong[:3])}.")
        self._place = place
        self._model = (model.float() if place.device == "cpu" else model).to(place.device).eval()

    @contextmanager
    def asked(self, question: Question) -> Iterator[Asked]:
        import torch

        llm, tokenizer = self._model.mistral_model, self._model.mistral_tokenizer
        kind = "Image" if question.times is None else "Video"
        text = plain(question.text, [*self.signs, *tokenizer.all_special_tokens])
        parts = f"[INST] <{kind}>", f"</{kind}> [/INST] [INST] {text} [/INST]"
        with torch.inference_mode():
            seen = self._seen(question)
            embed, words = llm.get_input_embeddings(), []
            for first, part in enumerate(parts):
                ids = tokenizer(part, return_tensors="pt", add_special_tokens=first == 0).input_ids
                words.append(embed(ids.to(self._place.device)))
            prompt = torch.cat([words[0], seen.to(words[0].dtype), words[1]], dim=1)
        inputs = {"inputs_embeds": prompt, "attention_mask": torch.ones(prompt.shape[:2], device=prompt.device)}
        yield Asked(llm.generate, inputs, tokenizer, {tokenizer.eos_token_id})

    def _seen(self, question: Question) -> Any:
        """`[1, tokens, channels]` of the frames."""
        import torch

        frames = torch.from_numpy(np.stack([_sized(image, question.images[0]) for image in question.images]))
        height, width = frames.shape[1:3]
        columns, rows = _tiles(height, width, int(self._config.dynamic_config.hd_num))
        pixels = frames.permute(0, 3, 1, 2).float()
        pixels = torch.nn.functional.interpolate(
            pixels, size=(rows * _TILE, columns * _TILE), mode="bicubic", align_corners=False
        )
        mean, spread = (torch.tensor(each)[None, :, None, None] for each in (_MEAN, _SPREAD))
        pixels = (pixels / 255 - mean) / spread
        encoder = self._model.vision_encoder.encoder
        encoder.pos_embed = _places(len(frames), encoder.pos_embed.shape[-1])
        told = ["Watch the video and answer the question."]
        return self._model.encode_img([pixels.to(self._place.device)], told)[0][0]


def _config(place: Place) -> Named:
    """Its own, with our places in it."""
    told = json.loads((place.folder / "config.json").read_text(encoding="utf-8"), object_hook=Named)["model"]
    ours = {
        "vit_blip_model_path": str(place.folder / "umt_l16_qformer.pth"),
        "mistral_model_path": str(place.folder / "mistral"),
        "videochat2_model_path": str(place.folder / "videochat2_mistral_7b_stage2.pth"),
        "use_flash_attention": False,
    }
    told.vision_encoder.update(num_frames=_TRAINED_FRAMES, use_checkpoint=False)
    return Named(told, **ours)


def _adapt(model: Any) -> None:
    """The low-rank layers that its last stage was trained in."""
    from peft import LoraConfig, TaskType, get_peft_model  # type: ignore[import-not-found,unused-ignore]

    layers = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        inference_mode=True,
        r=16,
        lora_alpha=32,
        lora_dropout=0.0,
        target_modules=_TARGETS,
    )
    model.mistral_model = get_peft_model(model.mistral_model, layers)


def _sized(image: Any, first: Any) -> Any:
    from PIL import Image as Pillow

    height, width = first.shape[:2]
    return image if image.shape == first.shape else np.asarray(Pillow.fromarray(image).resize((width, height)))


def _tiles(height: int, width: int, most: int) -> tuple[int, int]:
    """Columns and rows of at most `most` tiles with the nearest shape; more of them for a picture that fills them."""
    able = [(columns, rows) for columns in range(1, most + 1) for rows in range(1, most // columns + 1)]
    nearest = min(abs(columns / rows - width / height) for columns, rows in able)
    alike = [each for each in able if abs(each[0] / each[1] - width / height) - nearest < 1e-9]
    filled = [each for each in alike if height * width > 0.5 * _TILE**2 * each[0] * each[1]]
    return max(filled or alike[:1], key=lambda each: each[0] * each[1])


def _places(frames: int, width: int) -> Any:
    """Where each patch lies in the clip, `[1, frames * patches, width]`: waves (Vaswani et al., 2017) of the frames of
    its training, drawn out over these."""
    import torch

    count = _TRAINED_FRAMES * _PATCHES
    pace = torch.pow(10_000.0, -2 * (torch.arange(width, dtype=torch.float64) // 2) / width)
    waves = torch.arange(count, dtype=torch.float64)[:, None] * pace
    waves[:, 0::2], waves[:, 1::2] = waves[:, 0::2].sin(), waves[:, 1::2].cos()
    moments = waves.float().reshape(_TRAINED_FRAMES, _PATCHES * width).T[None]
    if frames != _TRAINED_FRAMES:
        moments = torch.nn.functional.interpolate(moments, size=frames, mode="linear")
    return moments[0].T.reshape(1, frames * _PATCHES, width)
