"""A report of a period as PDF. Needs the extra `reports`; who is asked for one imports this."""

from collections.abc import Sequence
from typing import IO

from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.platypus import LongTable, Paragraph, Preformatted, SimpleDocTemplate, Spacer

from audit.report import PeriodReport
from gateway.oversight.report_documents import about, tables_of

_MARGIN = 18 * mm
_GRID = [
    ("GRID", (0, 0), (-1, -1), 0.25, "#999999"),
    ("BACKGROUND", (0, 0), (-1, 0), "#eeeeee"),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
]


def write_pdf(report: PeriodReport, file: IO[bytes]) -> None:
    """A4, with the signed checkpoint at its end."""
    styles = getSampleStyleSheet()
    title = f"Assistants' calls, {report.since:%Y-%m-%d} until before {report.until:%Y-%m-%d}"
    document = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
        title=title,
        author=report.auditor,
    )

    def cells(row: Sequence[str | int]) -> list[object]:
        return [Paragraph(_markup(str(cell)), styles["BodyText"]) for cell in row]

    parts: list[object] = [Paragraph(_markup(title), styles["Title"])]
    parts += [Paragraph(f"<b>{name}:</b> {_markup(text)}", styles["BodyText"]) for name, text in about(report).items()]
    for table in tables_of(report):
        parts += [Spacer(1, 5 * mm), Paragraph(_markup(table.title), styles["Heading2"])]
        if not table.rows:
            parts.append(Paragraph("None.", styles["BodyText"]))
            continue
        widths = [(A4[0] - 2 * _MARGIN) / len(table.columns)] * len(table.columns)
        parts.append(LongTable([cells(table.columns), *map(cells, table.rows)], colWidths=widths, repeatRows=1, style=_GRID))
    parts += [Spacer(1, 5 * mm), Paragraph("The checkpoint over the log (C2SP signed note)", styles["Heading2"])]
    parts.append(Preformatted(report.checkpoint or "none is published yet", styles["Code"], maxLineLength=80))
    document.build(parts)


def _markup(text: str) -> str:
    """As text of a paragraph, whose markup is XML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
