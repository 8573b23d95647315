"""What is on one image: things, faces, text, and in words where a vision-language model is installed."""

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
    found, models, missing = dict[str, object](), dict[str, str](), dict[str, str]()
    senses = {
        "objects": lambda: bench.call(find_objects, DetectInput(images=[ref])),
        "faces": lambda: bench.call(find_faces, FaceInput(images=[ref])),
        "lines": lambda: bench.call(read_text, ReadInput(images=[ref])),
        "description": lambda: bench.call(describe_images, DescribeImagesInput(images=[ref])),
    }
    for sense, work in senses.items():
        try:
            seen = await work()
        except NotInstalled as error:
            missing[sense] = f"not installed: {error}"
            continue
        models[sense] = seen.model
        found[sense] = getattr(seen.images[0], "text" if sense == "description" else sense)
    return ImageSeen.model_validate(
        {"width": size[0], "height": size[1], "models": models, "missing": missing, **found}
    )


def of_image(seen: ImageSeen) -> list[Passage]:
    things = [
        Passage(part="image", modality="object", text=each.label, box=each.box, seen=True) for each in seen.objects
    ]
    written = [Passage(part="image", modality="screen_text", text=each.text[:400], box=each.box) for each in seen.lines]
    told = [Passage(part="image", modality="caption", text=seen.description[:400])] if seen.description else []
    return [*things, *written, *told]
