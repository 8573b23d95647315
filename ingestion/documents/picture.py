"""Still images: bounded before they are decoded, turned upright, and kept as a JPEG that is safe to look at."""

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.documents.block import Block, Bounds, bounded
from tools.errors import TooLarge, UnsupportedMedia

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")
_SIDE = 2_560


def jpeg(image: "Image") -> bytes:
    """An image as JPEG, at most 2560 pixels on its longer side, transparent parts white."""
    from PIL import Image

    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.new("RGB", layer.size, "white")
        image.paste(layer, mask=layer.getchannel("A"))
    image = image.convert("RGB")
    image.thumbnail((_SIDE, _SIDE))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=90)
    return data.getvalue()


def read_image(path: Path, name: str, bounds: Bounds) -> Iterator[Block]:
    """Each image of the file; only a TIFF's are pages, an animation is its first image."""
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        # our own limit, below, is the one that is enforced
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=_FORMATS) as image:
                frames = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
                for number in range(bounded(frames, bounds.pages, "pages")):
                    image.seek(number)
                    if image.width * image.height > bounds.image_pixels:
                        raise TooLarge(
                            f"{name!r} has {image.width} x {image.height} pixels; {bounds.image_pixels:,} are allowed.",
                            remedy="Scale it down, or raise SUTRADHAR_LIMITS__IMAGE_PIXELS.",
                        )
                    upright = ImageOps.exif_transpose(image)
                    yield Block("picture", "", page=number + 1 if frames > 1 else None, image=jpeg(upright))
        except Image.DecompressionBombError as error:
            raise TooLarge(f"{name!r} has too many pixels.", remedy="Scale it down.") from error
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            # the text of a decoder's error may hold addresses of memory
            raise UnsupportedMedia(f"{name!r} is a broken image.", remedy="Save it again and upload it.") from error
