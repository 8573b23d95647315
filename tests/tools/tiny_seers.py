"""Tiny vision-language checkpoints with random weights, laid out as their publishers lay them out. Needs torch."""

import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.tools.tiny_voices import loud

LETTERS = string.ascii_letters + string.digits + " .,:;!?'()<>/_-\n"
_SIDE = 28
_PATCH = 14

QWEN_SIGNS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
              "<|video_pad|>"]  # fmt: skip
LLAMA_SIGNS = ["<unk>", "<s>", "</s>", "<image>", "<video>"]
ONEVISION_SIGNS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>"]

_ROPE = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e6}
_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _tell(path: Path, **told: Any) -> None:
    path.write_text(json.dumps(told), encoding="utf-8")


def _tokenizer(folder: Path, signs: list[str], **told: Any) -> dict[str, int]:
    """Single letters, so that whatever a random model says can be read."""
    from tokenizers import AddedToken, Tokenizer, decoders, models

    pieces = [*signs, *LETTERS]
    unknown = signs[0]
    made = Tokenizer(models.BPE({each: place for place, each in enumerate(pieces)}, [], unk_token=unknown))
    made.decoder = decoders.Fuse()
    made.add_special_tokens([AddedToken(each, special=True, normalized=False) for each in signs])
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    _tell(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast", unk_token=unknown, **told)
    return {each: place for place, each in enumerate(pieces)}


def _clip_images(folder: Path, **more: Any) -> None:
    _tell(
        folder / "preprocessor_config.json",
        crop_size={"height": _SIDE, "width": _SIDE}, size={"shortest_edge": _SIDE}, do_center_crop=True,
        do_convert_rgb=True, do_normalize=True, do_rescale=True, do_resize=True, resample=3,
        image_mean=[0.48, 0.46, 0.41], image_std=[0.27, 0.26, 0.28], rescale_factor=1 / 255, **more,
    )  # fmt: skip


def _small(words: int, **more: Any) -> dict[str, Any]:
    return {"vocab_size": words, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 4096, **more}  # fmt: skip


def _clip_tower() -> dict[str, Any]:
    return {"model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3,
            "num_attention_heads": 2, "image_size": _SIDE, "patch_size": _PATCH}  # fmt: skip


def _save(model: Any, folder: Path, spread: float = 0.15) -> list[str]:
    loud(model, spread)
    model.save_pretrained(folder)
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def make_llava(folder: Path) -> list[str]:
    import torch
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    torch.manual_seed(0)
    ids = _tokenizer(folder, LLAMA_SIGNS[:-1], bos_token="<s>", eos_token="</s>")
    _clip_images(folder, image_processor_type="CLIPImageProcessor", processor_class="LlavaProcessor")
    text = _small(len(ids), model_type="llama", bos_token_id=1, eos_token_id=2)
    config = LlavaConfig(vision_config=_clip_tower(), text_config=text, image_token_index=ids["<image>"])
    return _save(LlavaForConditionalGeneration(config), folder)


def make_video_llava(folder: Path) -> list[str]:
    import torch
    from transformers import VideoLlavaConfig, VideoLlavaForConditionalGeneration

    torch.manual_seed(0)
    ids = _tokenizer(folder, LLAMA_SIGNS, bos_token="<s>", eos_token="</s>")
    _clip_images(folder, image_processor_type="VideoLlavaImageProcessor", processor_class="VideoLlavaProcessor")
    config = VideoLlavaConfig(
        vision_config=_clip_tower(), text_config=_small(len(ids), model_type="llama", bos_token_id=1, eos_token_id=2),
        image_token_index=ids["<image>"], video_token_index=ids["<video>"],
    )  # fmt: skip
    return _save(VideoLlavaForConditionalGeneration(config), folder)


def make_instructblip(folder: Path) -> list[str]:
    """One repository for both: the publisher's own of InstructBLIP is the one that InstructBLIP-Video loads."""
    import torch
    from transformers import InstructBlipConfig, InstructBlipForConditionalGeneration

    torch.manual_seed(0)
    signs = [*LLAMA_SIGNS[:3], "[PAD]"]
    ids = _tokenizer(folder, [*signs, "<image>"], bos_token="<s>", eos_token="</s>", pad_token="[PAD]")
    qformer = folder / "qformer_tokenizer"
    qformer.mkdir()
    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "[DEC]",
        *LETTERS.strip(),
        *(f"##{each}" for each in LETTERS),
    ]
    (qformer / "vocab.txt").write_text("\n".join(each for each in pieces if each.strip()), encoding="utf-8")
    _tell(qformer / "tokenizer_config.json", tokenizer_class="BertTokenizer", do_lower_case=True)
    _tell(
        folder / "preprocessor_config.json",
        image_processor_type="BlipImageProcessor", processor_class="InstructBlipProcessor", do_convert_rgb=True,
        do_normalize=True, do_rescale=True, do_resize=True, resample=3, rescale_factor=1 / 255,
        size={"height": _SIDE, "width": _SIDE}, image_mean=[0.48, 0.46, 0.41], image_std=[0.27, 0.26, 0.28],
    )  # fmt: skip
    config = InstructBlipConfig(
        vision_config={"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                       "image_size": _SIDE, "patch_size": _PATCH},
        qformer_config={"vocab_size": len(pieces), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
                        "intermediate_size": 64, "encoder_hidden_size": 32, "cross_attention_frequency": 1},
        text_config=_small(len(ids), model_type="llama", bos_token_id=1, eos_token_id=2),
        num_query_tokens=4, image_token_index=ids["<image>"],
    )  # fmt: skip
    return _save(InstructBlipForConditionalGeneration(config), folder)


def _qwen_images(folder: Path, patch: int, **more: Any) -> None:
    told = {"patch_size": patch, "temporal_patch_size": 2, "merge_size": 2, "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3, "processor_class": "Qwen2VLProcessor", "min_pixels": 784,
            "max_pixels": 12_544}  # fmt: skip
    _tell(folder / "preprocessor_config.json", **{**told, "image_processor_type": "Qwen2VLImageProcessor", **more})
    _tell(folder / "chat_template.json", chat_template=_TEMPLATE)


def make_qwen2_vl(folder: Path) -> list[str]:
    import torch
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    torch.manual_seed(0)
    ids = _tokenizer(folder, QWEN_SIGNS, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    _qwen_images(folder, _PATCH)
    config = Qwen2VLConfig(
        text_config=_small(len(ids), rope_parameters=_ROPE),
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "patch_size": _PATCH},
        **_qwen_ids(ids),
    )  # fmt: skip
    return _save(Qwen2VLForConditionalGeneration(config), folder)


def make_qwen2_5_vl(folder: Path) -> list[str]:
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    torch.manual_seed(0)
    ids = _tokenizer(folder, QWEN_SIGNS, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    _qwen_images(folder, _PATCH, processor_class="Qwen2_5_VLProcessor")
    config = Qwen2_5_VLConfig(
        text_config=_small(len(ids), rope_parameters=_ROPE),
        vision_config={"depth": 2, "hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 32, "num_heads": 2,
                       "patch_size": _PATCH, "window_size": 56, "fullatt_block_indexes": [1], "tokens_per_second": 2},
        **_qwen_ids(ids),
    )  # fmt: skip
    return _save(Qwen2_5_VLForConditionalGeneration(config), folder)


def make_qwen3_vl(folder: Path) -> list[str]:
    import torch
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    torch.manual_seed(0)
    ids = _tokenizer(folder, QWEN_SIGNS, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    size = {"longest_edge": 12_544, "shortest_edge": 784}
    _qwen_images(folder, 16, processor_class="Qwen3VLProcessor", image_processor_type="Qwen2VLImageProcessorFast")
    _tell(folder / "video_preprocessor_config.json", video_processor_type="Qwen3VLVideoProcessor", size=size,
          patch_size=16, temporal_patch_size=2, merge_size=2, image_mean=[0.5] * 3, image_std=[0.5] * 3)  # fmt: skip
    config = Qwen3VLConfig(
        text_config=_small(
            len(ids), head_dim=16, rope_parameters=_ROPE
        ),
        vision_config={"depth": 2, "hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 32, "num_heads": 2,
                       "patch_size": 16, "deepstack_visual_indexes": [0], "num_position_embeddings": 64},
        **_qwen_ids(ids),
    )  # fmt: skip
    return _save(Qwen3VLForConditionalGeneration(config), folder)


def _qwen_ids(ids: dict[str, int]) -> dict[str, int]:
    return {
        "image_token_id": ids["<|image_pad|>"], "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"], "vision_end_token_id": ids["<|vision_end|>"],
        "eos_token_id": ids["<|im_end|>"], "bos_token_id": ids["<|endoftext|>"],
    }  # fmt: skip


def make_llava_onevision(folder: Path) -> list[str]:
    import torch
    from transformers import LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration

    torch.manual_seed(0)
    ids = _tokenizer(folder, ONEVISION_SIGNS, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    pinpoints = [[_SIDE, _SIDE * 2], [_SIDE * 2, _SIDE], [_SIDE * 2, _SIDE * 2]]
    told = {"do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True, "resample": 3,
            "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "rescale_factor": 1 / 255,
            "size": {"height": _SIDE, "width": _SIDE}, "processor_class": "LlavaOnevisionProcessor"}  # fmt: skip
    _tell(folder / "preprocessor_config.json", image_processor_type="LlavaOnevisionImageProcessor",
          image_grid_pinpoints=pinpoints, do_pad=True, **told)  # fmt: skip
    _tell(folder / "processor_config.json", processor_class="LlavaOnevisionProcessor", num_image_tokens=4,
          vision_feature_select_strategy="full", image_token="<image>", video_token="<video>")  # fmt: skip
    _tell(folder / "video_preprocessor_config.json", video_processor_type="LlavaOnevisionVideoProcessor", **told)
    config = LlavaOnevisionConfig(
        vision_config={"model_type": "siglip_vision_model", "hidden_size": 32, "intermediate_size": 64,
                       "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": _SIDE, "patch_size": _PATCH,
                       "vision_use_head": False},
        text_config=_small(len(ids), model_type="qwen2", eos_token_id=ids["<|im_end|>"]),
        image_token_index=ids["<image>"], video_token_index=ids["<video>"], image_grid_pinpoints=pinpoints,
    )  # fmt: skip
    return _save(LlavaOnevisionForConditionalGeneration(config), folder)


def make_clip(folder: Path) -> list[str]:
    import torch
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    signs = ["<|startoftext|>", "<|endoftext|>"]
    ids = _tokenizer(folder, signs, bos_token=signs[0], eos_token=signs[1], pad_token=signs[1])
    _clip_images(folder, image_processor_type="CLIPImageProcessor", processor_class="CLIPProcessor")
    text = _small(len(ids), max_position_embeddings=16, bos_token_id=0, eos_token_id=1, pad_token_id=1)
    text.pop("num_key_value_heads")
    config = CLIPConfig(text_config=text, vision_config=_clip_tower(), projection_dim=24)
    return _save(CLIPModel(config), folder)


def make_siglip(folder: Path) -> list[str]:
    import torch
    from transformers import SiglipConfig, SiglipModel

    torch.manual_seed(0)
    ids = _tokenizer(folder, ["<pad>", "<eos>", "<unk>"], eos_token="<eos>", pad_token="<pad>")
    _tell(
        folder / "preprocessor_config.json",
        image_processor_type="SiglipImageProcessor", processor_class="SiglipProcessor", do_normalize=True,
        do_rescale=True, do_resize=True, resample=2, rescale_factor=1 / 255, size={"height": _SIDE, "width": _SIDE},
        image_mean=[0.5] * 3, image_std=[0.5] * 3,
    )  # fmt: skip
    text = _small(len(ids), max_position_embeddings=16, projection_size=32)
    text.pop("num_key_value_heads")
    vision = {name: value for name, value in _clip_tower().items() if name != "model_type"}
    return _save(SiglipModel(SiglipConfig(text_config=text, vision_config=vision)), folder)


MAKERS: dict[str, Callable[[Path], list[str]]] = {
    "llava": make_llava,
    "video_llava": make_video_llava,
    "instructblip": make_instructblip,
    "instructblipvideo": make_instructblip,
    "qwen2_vl": make_qwen2_vl,
    "qwen2_5_vl": make_qwen2_5_vl,
    "qwen3_vl": make_qwen3_vl,
    "llava_onevision": make_llava_onevision,
}
