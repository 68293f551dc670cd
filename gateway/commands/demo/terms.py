"""The document of the demo: terms of a made-up account, as a PDF of one page, or as plain text where no PDF can be read."""

LOST_CARD = (
    "A lost card is blocked at once when you tell us, by night too. A new one comes within five working days, free of charge."
)

_TERMS = (
    "Everyday account: terms",
    f"1. {LOST_CARD}",
    "2. The account has no monthly fee. An overdraft is by agreement, at 19.9 % a year on what is overdrawn, charged monthly.",
    "3. Payments in pounds within the United Kingdom are free. For other currencies the cut-off is at 15:00.",
    "4. We announce a change of these terms two months ahead; you may leave without charge before it applies.",
    "5. You may close the account at any time and without charge. Before closing it we give two months of notice.",
    "6. We answer a complaint within 15 days; after that you may go to the ombudsman, free of charge.",
)
_WIDTH = 84
"""Characters of a line in Courier of 11 points between the margins of A4."""


def terms(*, as_pdf: bool) -> tuple[str, bytes]:
    """Its name and content."""
    if not as_pdf:
        return "everyday-terms.txt", "\n\n".join(_TERMS).encode()
    return "everyday-terms.pdf", _pdf([line for term in _TERMS for line in (*_lines(term), "")])


def _lines(text: str) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= _WIDTH:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _pdf(lines: list[str]) -> bytes:
    """A PDF (ISO 32000-1) of one page; the lines are ASCII without parentheses and backslashes."""
    shown = " ".join(f"({line}) '" for line in lines)
    content = f"BT /F1 11 Tf 14 TL 20 800 Td {shown} ET".encode("ascii")
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 4 0 R >> >> /Contents 5 0 R >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
    )
    made, places = bytearray(b"%PDF-1.4\n"), []
    for number, item in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, item)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    return bytes(made + end + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(made)))
