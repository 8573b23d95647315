"""Small real documents for the tests, written by the formats' own libraries."""

import io
import zipfile
from pathlib import Path

PARAGRAPH = (
    "The observatory was assembled in a clean room by forty engineers. Each of its eighteen mirror segments is coated "
    "with a layer of gold thinner than a hair. The launch was moved three times because of the weather."
)


def pdf(path: Path) -> Path:
    """Two pages of text under two headings, then a page that is only a picture with the words HELLO 42."""
    from fpdf import FPDF
    from PIL import Image, ImageDraw, ImageFont

    document = FPDF()
    for title, text in (("Mirrors", PARAGRAPH), ("Cameras", "The infrared camera must be kept below forty kelvin.")):
        document.add_page()
        document.set_font("helvetica", size=22)
        document.cell(0, 12, title, new_x="LMARGIN", new_y="NEXT")
        document.ln(6)
        document.set_font("helvetica", size=11)
        document.multi_cell(0, 6, text)
    image = Image.new("RGB", (800, 300), "white")
    ImageDraw.Draw(image).text((60, 90), "HELLO 42", fill="black", font=ImageFont.load_default(size=120))
    document.add_page()
    document.image(image, x=20, y=40, w=160)
    path.write_bytes(bytes(document.output()))
    return path


def docx(path: Path) -> Path:
    import docx as word

    document = word.Document()
    document.add_heading("Field notes", 0)
    document.add_heading("Water", 1)
    document.add_paragraph("The well at Rampur is nineteen metres deep.")
    document.add_heading("Tests", 2)
    rows = [["Village", "pH"], ["Rampur", "7.1"], ["Sitapur", "6.8"]]
    grid = document.add_table(len(rows), 2)
    for row, values in zip(grid.rows, rows, strict=True):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    document.add_heading("Roads", 1)
    document.add_paragraph("The bridge opened in March.")
    document.save(str(path))
    return path


def pptx(path: Path) -> Path:
    import pptx as deck
    from pptx.util import Inches

    show = deck.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "Harvest"
    slide.placeholders[1].text = "Rice yield rose by a fifth."
    slide.notes_slide.notes_text_frame.text = "Thank the farmers."
    second = show.slides.add_slide(show.slide_layouts[5])
    second.shapes.title.text = "Prices"
    grid = second.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
    for (row, column), value in {(0, 0): "Crop", (0, 1): "Rupees", (1, 0): "Wheat", (1, 1): "2275"}.items():
        grid.cell(row, column).text = value
    show.save(str(path))
    return path


def xlsx(path: Path, rows: int = 150) -> Path:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Rain"
    sheet.append(["Day", "Millimetres", "Station"])
    for day in range(1, rows + 1):
        sheet.append([day, day * 1.5, "Pune"])
    book.create_sheet("Wind").append(["Direction", "north"])
    book.save(path)
    return path


def rewrite(path: Path, target: Path, part: str, data: bytes) -> Path:
    """The archive with one part replaced."""
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as after:
        for entry in before.infolist():
            after.writestr(entry.filename, data if entry.filename == part else before.read(entry))
    return target


def png(width: int, height: int) -> bytes:
    from PIL import Image

    data = io.BytesIO()
    Image.new("1", (width, height)).save(data, "PNG", optimize=True)
    return data.getvalue()
