"""A monthly statement as PDF. Chinese is set in a font that readers bring along (STSong-Light, of the collection
Adobe-GB1): what is written stays text that can be searched and copied."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate, Paragraph, Spacer, Table

from smsgw.admin.words import messages as told, records, statements
from smsgw.admin.words.kit import NAMED
from smsgw.admin.words.terms import TERMS
from smsgw.admin.words.times import ALSO, AND
from smsgw.admin.words.trace import COLON
from smsgw.core.ids import CHINA
from smsgw.platform.exclusions.model import Version
from smsgw.platform.statements.model import Statement
from smsgw.platform.statistics.reports import Figures
from smsgw.platform.statistics.success import Success

Say = Callable[[str], str]
FONT = "STSong-Light"
MARGIN = 15 * mm
_INK, _QUIET, _LINE, _HEAD = (colors.HexColor(c) for c in ("#1f2933", "#6b7785", "#c9d1d9", "#eef2f6"))
_COUNTS = ("submitted", "delivered", "failed", "unknown", "unsent", "pending", "billed")
_BODY = ParagraphStyle("body", fontName=FONT, fontSize=9, leading=13, textColor=_INK, wordWrap="CJK")
_SMALL = ParagraphStyle("small", _BODY, fontSize=8, leading=11, textColor=_QUIET)
_TITLE = ParagraphStyle("title", _BODY, fontSize=18, leading=24)
_SECTION = ParagraphStyle("section", _BODY, fontSize=11, leading=15, spaceBefore=10, spaceAfter=4)


def made(one: Statement, say: Say, platform: str, mark: str) -> bytes:
    """The file. ``mark``: the watermark, which stands across and below each page."""
    if FONT not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(UnicodeCIDFont(FONT))
    out = io.BytesIO()
    title = f"{platform} {say(statements.TITLE)}"
    document = BaseDocTemplate(
        out, pagesize=A4, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=MARGIN,
        title=f"{title} {one.account} {one.month:%Y-%m}", author=platform, lang=say(statements.TAG),
    )  # fmt: skip
    frame = Frame(MARGIN, MARGIN, A4[0] - 2 * MARGIN, A4[1] - 2 * MARGIN, 0, 0, 0, 0)

    def beneath(canvas: Canvas, _: object) -> None:
        _marked(canvas, mark, say(statements.PAGE) % {"n": canvas.getPageNumber()})

    document.addPageTemplates(PageTemplate(frames=[frame], onPage=beneath))
    pieces = [piece for part in (_head, _summary, _bill, _success, _days, _roots) for piece in part(one, say)]
    document.build([_text(title, _TITLE), *pieces, Spacer(1, 8), _text(say(statements.NOTE), _SMALL)])
    return out.getvalue()


def _marked(canvas: Canvas, mark: str, page: str) -> None:
    """The watermark, and the number of the page."""
    canvas.saveState()
    canvas.setFont(FONT, 20)
    canvas.setFillColor(colors.Color(0, 0, 0, alpha=0.07))
    canvas.translate(A4[0] / 2, A4[1] / 2)
    canvas.rotate(40)
    for line in range(-2, 3):
        canvas.drawCentredString(0, line * 55 * mm, mark[:60])
    canvas.restoreState()
    canvas.setFont(FONT, 7)
    canvas.setFillColor(_QUIET)
    canvas.drawString(MARGIN, 8 * mm, mark[:120])
    canvas.drawRightString(A4[0] - MARGIN, 8 * mm, page)


def _text(text: str, style: ParagraphStyle = _BODY) -> Paragraph:
    return Paragraph(escape(text), style)


def _table(rows: Sequence[list[str]], widths: Sequence[float] | None = None, numbers: int = 1) -> Table:
    """A table with a head, whose columns from ``numbers`` on are figures."""
    table = Table(rows, widths, repeatRows=1, hAlign="LEFT")
    table.setStyle([
        ("FONT", (0, 0), (-1, -1), FONT, 8), ("TEXTCOLOR", (0, 0), (-1, -1), _INK),
        ("BACKGROUND", (0, 0), (-1, 0), _HEAD), ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
        ("ALIGN", (numbers, 0), (-1, -1), "RIGHT"), ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("TOPPADDING", (0, 0), (-1, -1), 2.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5),
    ])  # fmt: skip
    return table


def _head(one: Statement, say: Say) -> list[Flowable]:
    period = say(statements.PERIOD) % {"first": f"{one.month}", "last": f"{one.last}"}
    whose = one.name if one.name == one.account else say(NAMED) % {"name": one.name, "more": one.account}
    at = f"{one.made_at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
    told_ = ((statements.ACCOUNT, whose), (statements.MONTH, period), (statements.MADE, at))
    return [_text(f"{say(label)}{say(COLON)}{value}") for label, value in told_]


def _summary(one: Statement, say: Say) -> list[Flowable]:
    heads = [say(TERMS[key]) for key in _COUNTS]
    return [_text(say(statements.SUMMARY), _SECTION), _table([heads, _counts(one.total)], numbers=0)]


def _bill(one: Statement, say: Say) -> list[Flowable]:
    """What is to be paid, by the ledger; in money for who may see it."""
    money = one.prices is not None
    keys = ("message_type", "parts_accepted", "units_taken", "units_back", "units_net", "amount_yuan")

    def row(name: str, parts: int, units: int, back: int, amount: str) -> list[str]:
        return [name, *(f"{n:,}" for n in (parts, units, back, units - back)), *([amount] if money else [])]

    rows = [
        row(say(told.TYPE.get(each.type, each.type)), each.parts, each.units, each.refunded,
            "" if each.amount is None else f"{each.amount:,.4f}")
        for each in one.bill
    ]  # fmt: skip
    parts, units, back = (sum(getattr(each, key) for each in one.bill) for key in ("parts", "units", "refunded"))
    rows.append(row(say(statements.ALL_TYPES), parts, units, back, f"{one.amount:,.2f}"))
    table = _table([[say(TERMS[key]) for key in (keys if money else keys[:-1])], *rows])
    notes = [_text(say(statements.BOOKED), _SMALL)]
    for each in one.prices or ():
        told_ = {"price": f"{each.price:.4f}", "units": f"{each.units:,}", "back": f"{each.refunded:,}",
                 "net": f"{each.units - each.refunded:,}"}  # fmt: skip
        notes.append(_text(say(statements.PRICE) % told_, _SMALL))
    if money:
        notes.append(_text(say(statements.PRICES), _SMALL))
    return [_text(say(statements.BILL), _SECTION), table, *notes]


def _counts(one: Figures) -> list[str]:
    return [f"{getattr(one, key):,}" for key in _COUNTS]


def _percent(value: float | None) -> str:
    return "—" if value is None else f"{value:.2f}%"


def _success(one: Statement, say: Say) -> list[Flowable]:
    keys = ("channel", "ended_there", "delivered", "failed", "unknown", "left_out", "raw_rate", "counted_rate",
            "rules_version")  # fmt: skip
    versions = say(AND).join(f"V{n}" if n else "—" for n in one.versions)

    def row(name: str, of: Success) -> list[str]:
        counts = [f"{n:,}" for n in (of.ended, of.delivered, of.failed, of.unknown, of.left_out)]
        return [name, *counts, _percent(of.raw_rate), _percent(of.counted_rate), versions]

    parts: list[Flowable] = [_text(say(statements.SUCCESS), _SECTION)]
    if one.channels:
        rows = [row(each.name, each) for each in one.channels]
        parts.append(_table([[say(TERMS[key]) for key in keys], *rows, row(say(statements.ALL_CHANNELS), one.success)]))
    else:
        parts.append(_text(say(statements.NO_CHANNELS), _SMALL))
    left_out = [f"{say(records.CATEGORY[key])} {n:,}" for key, n in one.success.left_out_as.items()]
    if left_out:
        parts.append(_text(f"{say(records.LEFT_OUT)}{say(COLON)}{say(ALSO).join(left_out)}", _SMALL))
    parts += [_text(say(statements.RULES), _SECTION)]
    parts += [_text(_rule(each, say), _SMALL) for each in one.rules] or [_text(say(statements.NO_RULE), _SMALL)]
    return parts


def _rule(version: Version, say: Say) -> str:
    listed = [(say(told.CLASS[key]), as_) for key, as_ in version.classes.items()] + [*version.codes.items()]
    named = [say(NAMED) % {"name": name, "more": say(records.CATEGORY[as_])} for name, as_ in listed]
    said = {"version": version.version, "from": f"{version.from_day}", "rules": say(AND).join(named),
            "reason": version.reason}  # fmt: skip
    return say(statements.RULE_OF) % said


def _days(one: Statement, say: Say) -> list[Flowable]:
    heads = [say(TERMS[key]) for key in ("day", *_COUNTS, "success_rate")]
    rows = [[f"{each.figures.day}", *_counts(each.figures), _percent(each.figures.success_rate)] for each in one.days]
    body = _table([heads, *rows]) if rows else _text(say(statements.NO_DAYS), _SMALL)
    return [_text(say(statements.BY_DAY), _SECTION), body]


def _roots(one: Statement, say: Say) -> list[Flowable]:
    rows = [[f"{each.figures.day}", f"{each.leaves:,}", each.root] for each in one.days if each.root]
    if not rows:
        return [_text(say(statements.EVIDENCE), _SECTION), _text(say(statements.NO_ROOTS), _SMALL)]
    table = _table([[say(TERMS[key]) for key in ("day", "platform_leaves", "platform_root")], *rows], numbers=9)
    table.setStyle([("FONT", (2, 1), (2, -1), "Courier", 7)])
    return [_text(say(statements.EVIDENCE), _SECTION), table]
