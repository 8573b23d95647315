"""A whole document through the limited child, with the model tools of a fake host."""

from pathlib import Path
from typing import Any

import pytest

from ingestion.documents.segments import document_segments
from knowledge.segment import Segment
from tests.ingestion import papers
from tools.bench import Bench
from tools.errors import NotInstalled, TooLarge, UnsupportedMedia
from tools.looking import FacesOnImages, ObjectsOnImage, ObjectsOnImages, ReadImage, ReadImages, SeenObject, SeenText
from tools.media.store import MediaStore
from tools.settings import Limits, Settings
from tools.toolbox import Tool

pytestmark = pytest.mark.anyio


class Host:
    """Reads `HELLO 42` on every picture and sees two dogs; has no face detector."""

    def __init__(self) -> None:
        self.looked = list[str]()

    async def call(self, tool: Tool[Any, Any], input: Any, bench: Bench) -> Any:
        self.looked.append(f"{tool.name} {input.images[0].partition('/')[2]}")
        assert (await bench.media.read(input.images[0])).startswith(b"\xff\xd8")
        if tool.name == "read_text":
            line = SeenText(text="HELLO 42", box=(0.1, 0.2, 0.6, 0.3), confidence=0.9)
            return ReadImages(images=[ReadImage(image=input.images[0], lines=[line])], model="ocr")
        if tool.name == "find_objects":
            dog = SeenObject(label="dog", box=(0, 0, 1, 1), confidence=0.9)
            return ObjectsOnImages(images=[ObjectsOnImage(image=input.images[0], objects=[dog, dog])], model="d")
        assert tool.output is FacesOnImages
        raise NotInstalled("no faces")


@pytest.fixture
def host() -> Host:
    return Host()


async def read(path: Path, settings: Settings, host: Host, name: str = "") -> list[Segment]:
    media = MediaStore(settings.home / "media", settings.home / "tmp", max_bytes=1 << 30)
    bench = Bench(settings=settings, catalog=None, models=None, media=media, host=host)  # type: ignore[arg-type]
    kept = await media.put(path, name=name or path.name)
    return await document_segments(kept, bench, "notes", lambda note: None)


async def test_pdf_with_a_scanned_page(tmp_path: Path, settings: Settings, host: Host) -> None:
    path = papers.pdf(tmp_path / "a.pdf")
    segments = await read(path, settings, host)
    assert [(each.modality, each.page, each.made.model) for each in segments] == [
        ("page", 1, "reader"),
        ("page", 2, "reader"),
        ("page", 3, "ocr"),
    ]
    scan = segments[2]
    assert (scan.text, scan.box, scan.image) == ("HELLO 42", (0.1, 0.2, 0.6, 0.3), f"{scan.source}/pages/3.jpg")
    assert host.looked == ["read_text pages/3.jpg"]
    assert {each.knowledge_base for each in segments} == {"notes"}
    again = await read(path, settings, host, name="other name.pdf")
    assert [each.id for each in again] == [each.id for each in segments]


async def test_picture_is_described(tmp_path: Path, settings: Settings, host: Host) -> None:
    (tmp_path / "a.png").write_bytes(papers.png(300, 200))
    (segment,) = await read(tmp_path / "a.png", settings, host)
    assert (segment.modality, segment.text) == ("image", "Objects: 2 x dog. Text: HELLO 42")


async def test_captions_keep_their_time(tmp_path: Path, settings: Settings, host: Host) -> None:
    (tmp_path / "a.srt").write_text("1\n00:00:01,000 --> 00:00:02,500\nHello.\n")
    (segment,) = await read(tmp_path / "a.srt", settings, host)
    assert (segment.modality, segment.start, segment.end) == ("caption", 1.0, 2.5)


async def test_refusals_of_the_child_arrive_as_they_are(tmp_path: Path, settings: Settings, host: Host) -> None:
    bomb = papers.rewrite(papers.docx(tmp_path / "a.docx"), tmp_path / "b.docx", "word/document.xml", bytes(50 << 20))
    with pytest.raises(TooLarge, match="compressed"):
        await read(bomb, settings, host)
    (tmp_path / "empty.txt").write_text("  \n")
    with pytest.raises(UnsupportedMedia, match="nothing to read"):
        await read(tmp_path / "empty.txt", settings, host)


async def test_a_reader_that_eats_memory_dies_alone(tmp_path: Path, settings: Settings, host: Host) -> None:
    (tmp_path / "a.txt").write_bytes(b"word " * (12 << 20))
    walls = settings.model_copy(update={"limits": Limits(child_memory=400 << 20)})
    with pytest.raises(UnsupportedMedia, match="its reader ended"):
        await read(tmp_path / "a.txt", walls, host)
