"""What is on one image: things, faces, text, and in words where a vision-language model is installed."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from graphs.relating.relations import Passage
from tools.bench import Bench
from tools.describing import DescribeImagesInput, describe_images
from tools.errors import NotInstalled
from tools.looking import (
    DetectInput,
    FaceInput,
    ReadInput,
    SeenFace,
    SeenObject,
    SeenText,
    find_faces,
    find_objects,
    read_text,
)
from tools.served import ModelInput
from tools.toolbox import Tool


class ImageSeen(BaseModel):
    """`missing` says of each sense that could not look why not, and how to install it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int
    height: int
    objects: list[SeenObject] = []
    faces: list[SeenFace] = []
    lines: list[SeenText] = []
    description: str = ""
    models: dict[str, str] = {}
    missing: dict[str, str] = {}


async def look(ref: str, size: tuple[int, int], bench: Bench) -> ImageSeen:
    """What each installed sense sees on a stored image of this width and height."""
    found = dict[str, Any]()
    models, missing = dict[str, str](), dict[str, str]()
    senses: dict[str, tuple[Tool[Any, Any], ModelInput]] = {
        "objects": (find_objects, DetectInput(images=[ref])),
        "faces": (find_faces, FaceInput(images=[ref])),
        "lines": (read_text, ReadInput(images=[ref])),
        "description": (describe_images, DescribeImagesInput(images=[ref])),
    }
    for sense, (tool, wanted) in senses.items():
        try:
            seen = await bench.call(tool, wanted)
        except NotInstalled as error:
            missing[sense] = f"not installed: {error}"
            continue
        models[sense] = seen.model
        found[sense] = getattr(seen.images[0], "text" if sense == "description" else sense)
    told = {"width": size[0], "height": size[1], "models": models, "missing": missing}
    return ImageSeen.model_validate(told | found)


def of_image(seen: ImageSeen) -> list[Passage]:
    things = [
        Passage(part="image", modality="object", text=each.label, box=each.box, seen=True) for each in seen.objects
    ]
    written = [Passage(part="image", modality="screen_text", text=each.text[:400], box=each.box) for each in seen.lines]
    told = [Passage(part="image", modality="caption", text=seen.description[:400])] if seen.description else []
    return [*things, *written, *told]
