import io
import zipfile
from pathlib import Path

import pytest

from ingestion.documents.block import Bounds
from ingestion.documents.guard import find_format
from ingestion.documents.reader import Reader
from tests.ingestion import papers
from tools.errors import TooLarge, UnsupportedMedia

_LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><w:document xmlns:w="x">&c;</w:document>'
)


def refuse(path: Path, kind: type[Exception], words: str, **bounds: int) -> None:
    with pytest.raises(kind, match=words):
        list(Reader(path, path.name, Bounds(**bounds)).read())


def test_the_bytes_decide_not_the_name(tmp_path: Path) -> None:
    assert find_format(papers.docx(tmp_path / "report.pdf"), "report.pdf") == "docx"
    assert find_format(papers.pdf(tmp_path / "report.docx"), "report.docx") == "pdf"
    (tmp_path / "noise.txt").write_bytes(bytes(range(256)) * 10)
    assert find_format(tmp_path / "noise.txt", "noise.txt") is None


def test_text_called_mp4_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_text("ffconcat version 1.0\nfile other_tenant.mp4\n")
    refuse(tmp_path / "clip.mp4", UnsupportedMedia, "plain text, not what its name says")


def test_zip_bomb_is_refused_before_unpacking(tmp_path: Path) -> None:
    bomb = papers.rewrite(papers.docx(tmp_path / "a.docx"), tmp_path / "b.docx", "word/document.xml", bytes(50 << 20))
    assert bomb.stat().st_size < 200_000
    refuse(bomb, TooLarge, "compressed")
    refuse(bomb, TooLarge, "would unpack to", archive_bytes=10 << 20)


def test_a_size_that_lies_binds_the_reader(tmp_path: Path) -> None:
    """The directory says 100 bytes, the data holds 50 MB."""
    bomb = papers.rewrite(papers.docx(tmp_path / "a.docx"), tmp_path / "b.docx", "word/document.xml", bytes(50 << 20))
    data = bytearray(bomb.read_bytes())
    at = data.find(b"word/document.xml", data.find(b"PK\x01\x02")) - 46
    data[at + 24 : at + 28] = (100).to_bytes(4, "little")
    bomb.write_bytes(data)
    refuse(bomb, UnsupportedMedia, "broken archive|not a readable")


def test_encrypted_archive_is_refused(tmp_path: Path) -> None:
    data = bytearray(papers.docx(tmp_path / "a.docx").read_bytes())
    at = data.find(b"PK\x01\x02")
    data[at + 8] |= 1
    (tmp_path / "a.docx").write_bytes(data)
    refuse(tmp_path / "a.docx", UnsupportedMedia, "encrypted")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_billion_laughs_and_external_entities(tmp_path: Path, encoding: str) -> None:
    source = papers.docx(tmp_path / "a.docx")
    xml = _LAUGHS.replace('version="1.0"', f'version="1.0" encoding="{encoding}"').encode(encoding)
    refuse(papers.rewrite(source, tmp_path / "b.docx", "word/document.xml", xml), UnsupportedMedia, "XML entities")
    (tmp_path / "e.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><text>x</text></svg>')
    refuse(tmp_path / "e.svg", UnsupportedMedia, "SVG")


def test_xhtml_entities_stay_closed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("SECRET")
    (tmp_path / "a.html").write_text(
        f'<!DOCTYPE html [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]><html><body><p>a &x; b</p></body></html>'
    )
    text = " ".join(block.text for block in Reader(tmp_path / "a.html", "a.html", Bounds()).read())
    assert "SECRET" not in text


def test_encrypted_and_broken_pdf(tmp_path: Path) -> None:
    from fpdf import FPDF

    document = FPDF()
    document.add_page()
    document.set_encryption(owner_password="o", user_password="u")
    (tmp_path / "locked.pdf").write_bytes(bytes(document.output()))
    refuse(tmp_path / "locked.pdf", UnsupportedMedia, "encrypted")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7\n" + b"nonsense " * 50)
    refuse(tmp_path / "broken.pdf", UnsupportedMedia, "broken PDF")


def test_too_many_pages(tmp_path: Path) -> None:
    refuse(papers.pdf(tmp_path / "a.pdf"), TooLarge, "3 pages; 2 are allowed", pages=2)
    refuse(papers.pptx(tmp_path / "a.pptx"), TooLarge, "2 slides; 1 are allowed", pages=1)


def test_pixel_bomb(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(papers.png(16_000, 16_000))
    refuse(tmp_path / "a.png", TooLarge, "pixels")
    (tmp_path / "b.png").write_bytes(papers.png(300, 300)[:60])
    refuse(tmp_path / "b.png", UnsupportedMedia, "broken image")


def test_old_office_and_other_archives(tmp_path: Path) -> None:
    (tmp_path / "a.doc").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    refuse(tmp_path / "a.doc", UnsupportedMedia, "old binary Office")
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("../../evil.txt", "x")
    (tmp_path / "a.docx").write_bytes(data.getvalue())
    refuse(tmp_path / "a.docx", UnsupportedMedia, "archive, but not a Word")
