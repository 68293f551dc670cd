"""Documents to text in a sandbox: what strangers wrote is read by libraries that may be led astray, where that leads nowhere."""

from collections.abc import AsyncIterator
from pathlib import Path

from gateway.files import document_program
from gateway.files.document_program import DOCUMENT, MALFORMED, REFUSED, TEXT, TOO_LONG
from gateway.files.parsing import NotParsed, Parser
from gateway.sandbox.port import MEBIBYTE, ProgramEnding, ProgramLimits, Sandbox

PACKAGES = (
    *("pypdf", "docx", "openpyxl", "pptx", "bs4"),
    *("soupsieve", "typing_extensions", "lxml", "et_xmlfile", "defusedxml", "PIL", "pillow.libs", "xlsxwriter"),  # what those need
)
"""What the program imports, and what that imports."""

DOCUMENT_MOST = 64 * MEBIBYTE
"""Bytes of a document that is read."""

_OPEN_XML = "application/vnd.openxmlformats-officedocument."
KINDS = {
    "application/pdf": "pdf",
    f"{_OPEN_XML}wordprocessingml.document": "docx",
    f"{_OPEN_XML}spreadsheetml.sheet": "xlsx",
    f"{_OPEN_XML}presentationml.presentation": "pptx",
    "text/html": "html",
    "message/rfc822": "eml",
}
"""What is read here, by media type. No format with macros: none would run, but who sends one wants one to."""

LIMITS = ProgramLimits(
    wall_s=60,
    cpu_s=45,
    memory_bytes=768 * MEBIBYTE,
    box_bytes=DOCUMENT_MOST + 40 * MEBIBYTE,
    files=64,
    output_bytes=64 * 1024,
    files_out=1,
    files_out_bytes=4 * document_program.TEXT_MOST,
)


class SandboxedParser:
    """See `Parser`. What is text already is read by `plain`, without a jail."""

    def __init__(self, sandbox: Sandbox, plain: Parser) -> None:
        self._sandbox, self._plain = sandbox, plain
        self._program = Path(document_program.__file__).read_text()

    async def text(self, type: str, parts: AsyncIterator[bytes]) -> str:  # noqa: A002  # as the port has it
        """See `Parser.text`."""
        kind = KINDS.get(type)
        if kind is None:
            return await self._plain.text(type, parts)
        finished = await self._sandbox.run(self._program, (kind,), {DOCUMENT: _bounded(parts)}, LIMITS)
        if finished.ending is not ProgramEnding.DONE or TEXT not in finished.files_out:
            raise NotParsed(_reason(finished.ending, finished.exit_code))
        return finished.files_out[TEXT].decode(errors="replace").replace("\0", "")


async def _bounded(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    size = 0
    async for part in parts:
        size += len(part)
        if size > DOCUMENT_MOST:
            raise NotParsed(f"the document has more than {DOCUMENT_MOST} bytes: split it")
        yield part


def _reason(ending: ProgramEnding, status: int | None) -> str:
    """In our own words: what the program says may be the document's."""
    if ending is ProgramEnding.FAILED and status in REFUSED:
        return REFUSED[status]
    if ending in (ProgramEnding.TIME, ProgramEnding.FILES, ProgramEnding.OUTPUT, ProgramEnding.TOO_LARGE):
        return REFUSED[TOO_LONG]
    if ending is ProgramEnding.FAILED and status is not None and status < 0:
        return "reading the document took more time or memory than it may"
    return REFUSED[MALFORMED]
