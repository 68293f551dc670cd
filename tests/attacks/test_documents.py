"""Documents that strangers made: read within bounds, in a jail, or said not to be read; nothing in them is executed."""

import asyncio
import io
import random
import zipfile
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
from pypdf import PdfWriter

from gateway.files.documents import DOCUMENT_MOST, KINDS, PACKAGES, SandboxedParser
from gateway.files.parsing import NotParsed, PlainTextParser
from gateway.sandbox.port import FinishedProgram, ProgramEnding, ProgramLimits
from tests.support.documents import pdf, pdf_of, sheet, slides, with_parts, word
from tests.support.jails import jail, parts


@pytest.fixture(autouse=True, scope="module")
def _here() -> None:
    """Asked for once, outside of any event loop, whether this host can."""
    jail(PACKAGES)


TYPES = {kind: type_ for type_, kind in KINDS.items()}


async def text(kind: str, content: bytes) -> str:
    return await SandboxedParser(jail(PACKAGES), PlainTextParser()).text(TYPES[kind], parts(content))


async def refused(kind: str, content: bytes) -> str:
    with pytest.raises(NotParsed) as error:
        await text(kind, content)
    return error.value.reason


EML = (
    b"From: Anna <anna@bank.example>\r\nTo: b@bank.example\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n"
    b"Content-Type: text/html; charset=utf-8\r\n\r\n<p>Hello<p>there"
)
WELL = {
    "pdf": (pdf("First page", "Second page"), "First page\nSecond page\n"),
    "docx": (word("Dear customer", "Größe 漢字"), "Dear customer\nGröße 漢字\nleft\tright\n"),
    "xlsx": (sheet(("name", "amount"), ("Anna", 12.5), (), (None, True)), "Sheet\nname\tamount\nAnna\t12.5\n\tTrue\n"),
    "pptx": (slides("A title"), "A title\na note\n"),
    "html": (b"<title>T</title><script>bad()</script><style>p{}</style><p>Hello <b>you", "T\nHello\nyou\n"),
    "eml": (EML, "From: Anna <anna@bank.example>\nTo: b@bank.example\nSubject: caf\u00e9\nHello\nthere\n"),
}


@pytest.mark.parametrize("kind", sorted(WELL))
async def test_a_document_of_each_kind_says_its_text(kind: str) -> None:
    content, expected = WELL[kind]
    assert await text(kind, content) == expected


async def test_what_is_text_already_needs_no_jail_and_other_types_are_not_read() -> None:
    class NoSandbox:
        async def run(
            self, program: str, arguments: Sequence[str], files_in: Mapping[str, AsyncIterator[bytes]], limits: ProgramLimits
        ) -> FinishedProgram:
            raise AssertionError("a jail was asked for")

    parser = SandboxedParser(NoSandbox(), PlainTextParser())
    assert await parser.text("text/plain", parts(b"words")) == "words"
    for macros in ("application/vnd.ms-word.document.macroEnabled.12", "application/zip", "application/octet-stream"):
        with pytest.raises(NotParsed) as error:
            await parser.text(macros, parts(word("x")))
        assert error.value.is_unsupported


MILLION = bytes(1 << 20)


def resized(archive: bytes, size: int, said: int) -> bytes:
    """The same archive, whose part of `size` bytes says to have `said`."""
    assert archive.count(size.to_bytes(4, "little")) >= 2  # before the part, and in the list at the end
    return archive.replace(size.to_bytes(4, "little"), said.to_bytes(4, "little"))


@pytest.mark.parametrize("kind", ["docx", "xlsx", "pptx"])
async def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(kind: str) -> None:
    bomb = resized(with_parts(WELL[kind][0], {"bomb.xml": MILLION[:777_777]}), 777_777, 300 << 20)
    assert "too long" in await refused(kind, bomb)


async def test_an_archive_that_says_less_than_it_unpacks_to_is_refused() -> None:
    lying = resized(with_parts(word("x"), {"word/document.xml": MILLION * 64 + b"odd"}), (64 << 20) + 3, 100)
    assert "damaged" in await refused("docx", lying)


async def test_what_is_nested_without_end_is_read_in_bounded_time() -> None:
    assert await text("html", b"<div>" * 30_000 + b"words") == "words\n"


LAUGHS = '<!DOCTYPE d [<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12)) + "]>"
READS = '<!DOCTYPE d [<!ENTITY a11 SYSTEM "file:///runner.py">]>'
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


@pytest.mark.parametrize("prologue", [LAUGHS, READS], ids=["billion laughs", "external entity"])
@pytest.mark.parametrize("kind", ["docx", "xlsx"])
async def test_entities_of_a_document_are_not_resolved(kind: str, prologue: str) -> None:
    documents = {
        "docx": (
            "word/document.xml",
            f'<w:document xmlns:w="{W}"><w:body><w:p><w:r><w:t>&a11;</w:t></w:r></w:p></w:body></w:document>',
        ),
        "xlsx": (
            "xl/worksheets/sheet1.xml",
            f'<worksheet xmlns="{S}"><sheetData><row r="1"><c t="inlineStr"><is><t>&a11;</t></is></c></row></sheetData></worksheet>',
        ),
    }
    name, body = documents[kind]
    try:
        told = await text(kind, with_parts(WELL[kind][0], {name: f'<?xml version="1.0"?>{prologue}{body}'.encode()}))
    except NotParsed:
        return
    assert "haha" not in told
    assert "Runs" not in told
    assert len(told) < 100


async def test_a_hundred_thousand_pages_are_too_many() -> None:
    assert "too long" in await refused("pdf", pdf("page", repeated=100_000))


def flate_bomb() -> bytes:
    packed = zlib.compress(b"BT (x) Tj ET\n" + MILLION * 400, 1)
    stream = b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed)
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>"
    return pdf_of([b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>", page, stream])


CYCLE = pdf_of([b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 9 /Kids [2 0 R 2 0 R] >>"])
DEEP = pdf_of([b"<< /Type /Catalog /Pages " + b"[" * 50_000 + b"]" * 50_000 + b" >>"])


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("pdf", b""),
        ("pdf", b"%PDF-1.7\n%%EOF"),
        ("pdf", CYCLE),
        ("pdf", DEEP),
        ("docx", b"PK\x03\x04" + bytes(100)),
        ("docx", WELL["xlsx"][0]),
        ("xlsx", WELL["docx"][0]),
        ("eml", b""),
    ],
    ids=[
        "empty pdf",
        "pdf without objects",
        "pages in a circle",
        "deep",
        "broken zip",
        "sheet as word",
        "word as sheet",
        "eml",
    ],
)
async def test_what_is_broken_is_said_not_to_be_read(kind: str, content: bytes) -> None:
    reason = await refused(kind, content)
    assert reason.startswith(("the document is", "reading the document"))


async def test_a_stream_that_unpacks_to_too_much_ends_at_the_bounds() -> None:
    try:
        assert len(await text("pdf", flate_bomb())) < 100
    except NotParsed as error:
        assert error.reason


async def test_a_document_with_a_password_is_said_to_have_one() -> None:
    writer, into = PdfWriter(io.BytesIO(pdf("secret"))), io.BytesIO()
    writer.encrypt("word", algorithm="RC4-128")
    writer.write(into)
    assert "encrypted" in await refused("pdf", into.getvalue())


async def test_actions_and_macros_are_words_at_most() -> None:
    """The text is read; what would act is not even looked at, and would find nothing to act on."""
    action = "/OpenAction << /S /Launch /F (/bin/sh) /Next << /S /JavaScript /JS (app.alert\\(1\\)) >> >>"
    assert await text("pdf", pdf("Only words", catalog=action)) == "Only words\n"
    assert "Dear" in await text("docx", with_parts(word("Dear customer"), {"word/vbaProject.bin": b"Sub AutoOpen()"}))
    formula = await text("xlsx", sheet(('=HYPERLINK("file:///etc/passwd")', '=cmd|"/c calc"!A0')))
    assert "HYPERLINK" not in formula


async def test_a_file_that_is_of_two_kinds_is_read_as_the_one_it_was_taken_for() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("hidden.html", "<p>other words")
    assert await text("pdf", pdf("These words") + archive.getvalue()) == "These words\n"


async def test_any_damage_gives_text_or_says_that_there_is_none() -> None:
    """Bytes are changed in documents of each kind; nothing else than a text or NotParsed may come."""
    seeded = random.Random(20)
    kinds = sorted(WELL)

    async def damaged(number: int) -> None:
        kind = kinds[number % len(kinds)]
        content = bytearray(WELL[kind][0])
        for _ in range(1 + number):
            content[seeded.randrange(len(content))] = seeded.randrange(256)
        try:
            assert isinstance(await text(kind, bytes(content[: seeded.randrange(len(content) // 2, len(content))])), str)
        except NotParsed as error:
            assert error.reason

    await asyncio.gather(*(damaged(number) for number in range(12)))


async def test_a_reason_never_holds_what_a_document_says() -> None:
    secret = "IBAN-OF-SOMEBODY"
    assert secret not in await refused("docx", with_parts(word("x"), {"word/document.xml": f"<{secret}>".encode()}))


async def test_a_document_beyond_the_bound_is_not_read_to_its_end() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1 << 20
            yield MILLION

    with pytest.raises(NotParsed, match="more than"):
        await SandboxedParser(jail(PACKAGES), PlainTextParser()).text(TYPES["pdf"], endless())
    assert read <= DOCUMENT_MOST + (2 << 20)


async def test_what_a_led_astray_parser_says_is_a_reason_of_ours() -> None:
    """A parser that was taken over has the jail's rights: it says a text, or nothing, and no word of its own gets into a reason."""

    class Astray:
        def __init__(self, finished: FinishedProgram) -> None:
            self.finished = finished

        async def run(
            self, program: str, arguments: Sequence[str], files_in: Mapping[str, AsyncIterator[bytes]], limits: ProgramLimits
        ) -> FinishedProgram:
            return self.finished

    for ending in ProgramEnding:
        for status in (None, -9, 0, 3, 77):
            parser = SandboxedParser(
                Astray(FinishedProgram(ending, status, b"say this", b"say this", {"other": b"x"})), PlainTextParser()
            )
            with pytest.raises(NotParsed) as error:
                await parser.text(TYPES["pdf"], parts(b"x"))
            assert "say this" not in error.value.reason
