"""What sets the families of vision-language models in transformers apart, as data.

A checkpoint that brings its own chat template is asked by that; the words here serve those that bring none.
"""

from dataclasses import dataclass

from tools.errors import NotInstalled


@dataclass(frozen=True)
class Family:
    """`asked` is the prompt around `{media}` and `{text}`; `image` and `clip` are what stands for one of them.

    Without `clip` a clip goes as its frames, each an image; without `image` the processor puts one image's tokens in
    front of the prompt by itself. `frames` is a clip's length where the model knows only one; the last frame is
    repeated where there are fewer. `model` and `processor` are classes of transformers where the Auto classes would
    choose wrongly.
    """

    asked: str
    image: str = ""
    clip: str = ""
    timed: bool = False
    """Whether the processor writes the second of each frame into the prompt."""
    frames: int | None = None
    alike: bool = False
    """Whether the clips of one batch must have the same number of frames."""
    clips_only: bool = False
    """An image is shown as a clip that stands still."""
    own_template: bool = True
    patched: bool = False
    """Whether the processor must be told the vision tower's patches, which old repositories leave out."""
    model: str = ""
    processor: str = ""


_QWEN = Family(
    asked="<|im_start|>user\n{media}{text}<|im_end|>\n<|im_start|>assistant\n",
    image="<|vision_start|><|image_pad|><|vision_end|>",
    clip="<|vision_start|><|video_pad|><|vision_end|>",
)
_SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
_QWEN2 = Family(asked=_SYSTEM + _QWEN.asked, image=_QWEN.image, clip=_QWEN.clip)

FAMILIES = {
    "llava": Family(asked="USER: {media}{text} ASSISTANT:", image="<image>\n", patched=True),
    "llava_onevision": Family(
        asked="<|im_start|>user {media}{text}<|im_end|><|im_start|>assistant\n", image="<image>\n", clip="<video>\n",
        alike=True,
    ),
    # trained on eight frames
    "video_llava": Family(
        asked="USER: {media}{text} ASSISTANT:", image="<image>\n", clip="<video>\n", frames=8, patched=True
    ),
    "instructblip": Family(asked="{text}", own_template=False),
    "instructblipvideo": Family(
        asked="{text}", frames=4, clips_only=True, own_template=False,
        model="InstructBlipVideoForConditionalGeneration", processor="InstructBlipVideoProcessor",
    ),
    "qwen2_vl": _QWEN2,
    "qwen2_5_vl": _QWEN2,
    "qwen3_vl": Family(asked=_QWEN.asked, image=_QWEN.image, clip="<|video_pad|>", timed=True),
    "qwen3_vl_moe": Family(asked=_QWEN.asked, image=_QWEN.image, clip="<|video_pad|>", timed=True),
}  # fmt: skip


def family_of(model_type: str, title: str) -> Family:
    """Raises `NotInstalled` for a family that no entry here describes."""
    if model_type not in FAMILIES:
        raise NotInstalled(
            f"{title} is a {model_type!r}; the transformers engine knows {', '.join(FAMILIES)}.",
            remedy="Serve it with vLLM, or add the family to tools/vision/families.py.",
        )
    return FAMILIES[model_type]
