"""Runs in the jail: the text of one document, in the file `out/text`. Imports nothing of ours, and never runs anywhere else.

Asked with a kind; the document is the file `document`. What stands in the way is said by the status alone: see `REFUSED`.
"""

import sys
import zipfile
from collections.abc import Iterator
from email import message_from_binary_file
from email.message import EmailMessage, Message
from email.policy import default
from typing import NoReturn

PAGES_MOST = 2_000
CELLS_MOST = 500_000
TEXT_MOST = 8 * 1024 * 1024
"""Characters."""

_UNPACKED_MOST = 256 * 1024 * 1024
_PARTS_MOST = 10_000

ENCRYPTED, TOO_LONG, MALFORMED = 3, 4, 5
REFUSED = {
    ENCRYPTED: "the document is encrypted: save it without a password",
    TOO_LONG: f"the document is too long: more than {PAGES_MOST} pages, {CELLS_MOST} cells or {TEXT_MOST} characters",
    MALFORMED: "the document is damaged, or not what its type says",
}

DOCUMENT = "document"
TEXT = "text"


def main() -> None:
    kinds = {"pdf": _pdf, "docx": _docx, "xlsx": _xlsx, "pptx": _pptx, "html": _html, "eml": _eml}
    read = kinds[sys.argv[1]]
    room = TEXT_MOST
    try:
        with open(f"out/{TEXT}", "w", encoding="utf-8", errors="replace") as text:
            for part in read():
                room -= len(part) + 1
                if room < 0:
                    _refuse(TOO_LONG)
                text.write(f"{part}\n")
    except MemoryError:
        _refuse(TOO_LONG)
    except Exception:  # noqa: BLE001  # whatever a library makes of what a stranger wrote
        _refuse(MALFORMED)


def _refuse(status: int) -> NoReturn:
    raise SystemExit(status)


def _pdf() -> Iterator[str]:
    from pypdf import PdfReader

    reader = PdfReader(DOCUMENT)
    if reader.is_encrypted:
        _refuse(ENCRYPTED)
    if len(reader.pages) > PAGES_MOST:
        _refuse(TOO_LONG)
    for page in reader.pages:
        yield page.extract_text()


def _packed() -> None:
    """Refuses an archive that says to be, or to hold, too much. None unpacks to more than it says."""
    with zipfile.ZipFile(DOCUMENT) as archive:
        parts = archive.infolist()
        if len(parts) > _PARTS_MOST or sum(part.file_size for part in parts) > _UNPACKED_MOST:
            _refuse(TOO_LONG)
        if any(part.flag_bits & 1 for part in parts):
            _refuse(ENCRYPTED)


def _docx() -> Iterator[str]:
    from docx import Document
    from docx.text.paragraph import Paragraph

    _packed()
    for block in Document(DOCUMENT).iter_inner_content():
        if isinstance(block, Paragraph):
            yield block.text
        else:
            for row in block.rows:
                yield "\t".join(cell.text for cell in row.cells)


def _xlsx() -> Iterator[str]:
    from openpyxl import load_workbook

    _packed()
    count = 0
    with open(DOCUMENT, "rb") as file:  # by its name it would want another
        for sheet in load_workbook(file, read_only=True, data_only=True, keep_links=False).worksheets:
            yield sheet.title
            for row in sheet.iter_rows(values_only=True):
                count += len(row)
                if count > CELLS_MOST:
                    _refuse(TOO_LONG)
                if any(value is not None for value in row):
                    yield "\t".join("" if value is None else str(value) for value in row)


def _pptx() -> Iterator[str]:
    from pptx import Presentation

    _packed()
    slides = Presentation(DOCUMENT).slides
    if len(slides) > PAGES_MOST:
        _refuse(TOO_LONG)
    for slide in slides:
        for shape in slide.shapes:
            if shape.has_text_frame:
                yield shape.text_frame.text
            if shape.has_table:
                for row in shape.table.rows:
                    yield "\t".join(cell.text for cell in row.cells)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            yield slide.notes_slide.notes_text_frame.text


def _html() -> Iterator[str]:
    with open(DOCUMENT, "rb") as file:
        yield _words(file.read())


def _words(html: bytes | str) -> str:
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(html, "html.parser")
    for name in ("script", "style", "template", "noscript"):
        for element in soup.find_all(name):
            element.decompose()
    return soup.get_text("\n", strip=True)


def _eml() -> Iterator[str]:
    """Of the whole message: who wrote to whom, when and about what, and its text. Attachments are documents of their own."""
    with open(DOCUMENT, "rb") as file:
        message: Message = message_from_binary_file(file, policy=default)
    if not isinstance(message, EmailMessage) or not message.keys():
        _refuse(MALFORMED)
    for name in ("From", "To", "Cc", "Date", "Subject"):
        if message[name] is not None:
            yield f"{name}: {message[name]}"
    body = message.get_body(("plain", "html"))
    if body is not None:
        content = body.get_content()
        yield _words(content) if body.get_content_subtype() == "html" else content


if __name__ == "__main__":
    main()
