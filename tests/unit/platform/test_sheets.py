"""Tables of customers, and what lists say of one number."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import xlsxwriter
from children import children

from smsgw.core.actor import ActorLabel
from smsgw.core.blocklist import Entry, Scope
from smsgw.core.errors import Invalid
from smsgw.core.frequency import History, Watch, scope_of, seconds_of
from smsgw.core.model import Account, MessageType
from smsgw.core.policy import Listed, PolicySet, Rate, parse
from smsgw.core.settings import Settings
from smsgw.platform.campaigns import sheets, worker
from smsgw.platform.campaigns.rows import Plan, RowValidator
from smsgw.platform.campaigns.sheets import BadFile, inspect, read
from smsgw.platform.campaigns.worker import Job, Result
from smsgw.platform.campaigns.workers import Workers
from smsgw.platform.lists.block_explanation import Facts, Lift, Question, Refusal, Standing, Verdict, explain
from smsgw.platform.lists.consents import Consent
from smsgw.platform.lists.model import AllowEntry, BlockEntry
from smsgw.platform.numbers.model import KnownNumber
from smsgw.runtime import aio
from smsgw.store.messages.complaints import Rate as Complained

ROWS = [["姓名", "手机号", "金额"], ["张三", "13800000001", "12"], ["李四", "13800000002", "8.5"]]


def file(folder: Path, content: bytes | str, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def csv_of(delimiter: str = ",") -> str:
    return "\r\n".join(delimiter.join(row) for row in ROWS) + "\r\n"


def test_csv_in_its_spellings(tmp_path: Path) -> None:
    for octets, encoding, delimiter in (
        (csv_of().encode(), "utf-8", ","), (csv_of().encode("utf-8-sig"), "utf-8-sig", ","),
        (csv_of(";").encode("gbk"), "gb18030", ";"), (csv_of("\t").encode("utf-16"), "utf-16", "\t"),
        (csv_of("|").encode(), "utf-8", "|"),
    ):  # fmt: skip
        path = file(tmp_path, octets)
        preview = inspect(path)
        assert (preview.form.encoding, preview.form.delimiter, preview.form.header) == (encoding, delimiter, True)
        assert preview.columns == ("姓名", "手机号", "金额")
        assert (preview.phone, preview.rows) == (1, 2)
        assert preview.first == (("张三", "13800000001", "12"), ("李四", "13800000002", "8.5"))
        assert list(read(path, preview.form)) == [(2, ROWS[1]), (3, ROWS[2])]
    path = file(tmp_path, '手机,备注\n13800000001,"a,\nb"\n\n,,\n13800000002,"说""好"""\n')
    preview = inspect(path)
    assert list(read(path, preview.form)) == [(2, ["13800000001", "a,\nb"]), (6, ["13800000002", '说"好"'])]
    path = file(tmp_path, "13800000001\n+86 138-0000-0002\n")
    preview = inspect(path)
    assert (preview.form.header, preview.columns, preview.phone, preview.rows) == (False, ("A",), 0, 2)
    assert next(read(path, preview.form)) == (1, ["13800000001"])


def book(path: Path, rows: list[list[object]], *, skip: int = 0, hidden: bool = False) -> None:
    workbook = xlsxwriter.Workbook(str(path), {"default_date_format": "yyyy-mm-dd"})
    if hidden:
        workbook.add_worksheet("内部").hide()
    sheet = workbook.add_worksheet("名单")
    if hidden:
        sheet.activate()
        sheet.set_first_sheet()
    for n, row in enumerate(rows):
        sheet.write_row(n + skip, 0, row)
    workbook.close()


def test_xlsx_with_its_types(tmp_path: Path) -> None:
    path = tmp_path / "file.xlsx"
    cells: list[object] = [13800000001, "张三", 12.5, True, datetime(2026, 5, 1), datetime(2026, 5, 1, 9, 30)]
    book(path, [["电话", "姓名", "姓名", "会员", "日期", ""], cells], skip=2, hidden=True)
    preview = inspect(path)
    assert preview.form.sheet == "名单"
    assert preview.columns == ("电话", "姓名", "姓名_2", "会员", "日期", "F")
    assert preview.phone == 0
    assert list(read(path, preview.form)) == [
        (4, ["13800000001", "张三", "12.5", "TRUE", "2026-05-01", "2026-05-01 09:30"])
    ]


def zipped(entries: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, octets in entries.items():
            archive.writestr(name, octets)
    return out.getvalue()


def test_what_cannot_be_used_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for octets in (
        b"", b"\n\n,,\n", b"PK\x03\x04 not really", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\x81\xff\xff\x80\xff", zipped({"hello.txt": b"hello"}),
        zipped({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<workbook/>"}),
        b'a,b\n1,"' + b"x" * 100_000, b",".join([b"x"] * 300),
    ):  # fmt: skip
        with pytest.raises(BadFile) as caught:
            inspect(file(tmp_path, octets))
        assert str(caught.value) == str(caught.value.reason) != caught.value.reason.english
        assert caught.value.reason.english.isascii()
    monkeypatch.setattr(sheets, "MAX_ROWS", 10)  # too many rows are refused
    with pytest.raises(BadFile, match="超过 10 行"):
        inspect(file(tmp_path, "".join(f"1380000{i:04d}\n" for i in range(12))))


async def test_a_sheet_of_two_far_cells_breaks_only_its_reader(tmp_path: Path) -> None:
    """Read whole it would be 16,384 × 1,048,576 cells: half a terabyte."""
    path = tmp_path / "far.xlsx"
    workbook = xlsxwriter.Workbook(str(path))
    sheet = workbook.add_worksheet()
    sheet.write(0, 0, "x")
    sheet.write(1048575, 16383, "y")
    workbook.close()
    with pytest.raises(Invalid) as caught:
        await Workers().run(1, Job(inspect=str(path)))
    assert caught.value.code == "FILE_INVALID"


def test_more_than_can_be_unpacked_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit, and far more than any table of its size."""
    for limit, octets in ((1_000_000, 2_000_000), (sheets.MAX_UNPACKED, 20_000_000)):
        path = file(tmp_path, zipped({"xl/worksheets/sheet1.xml": b"0" * octets}), "bomb.xlsx")
        with monkeypatch.context() as patch:
            patch.setattr(sheets, "MAX_UNPACKED", limit)
            patch.setattr(zipfile.ZipFile, "open", None)  # nothing is unpacked
            with pytest.raises(BadFile, match="解压后过大"):
                inspect(path)
    path = tmp_path / "bomb.xlsx"  # a directory that lies about sizes is found out
    strings = STRING.format("<si><t>手机</t></si><si><t>13800000001</t></si>" + " " * 5_000_000)
    octets = workbook(sharedStrings=strings)
    path.write_bytes(octets)
    assert inspect(path).rows == 1
    size = len(strings.encode()).to_bytes(4, "little")
    assert octets.count(size) == 2
    path.write_bytes(octets.replace(size, (5_000).to_bytes(4, "little")))
    with pytest.raises(BadFile, match="不是有效的 XLSX"):
        inspect(path)
    for stem, limit in (("sharedStrings", "MAX_STRINGS"), ("styles", "MAX_OTHER")):
        monkeypatch.setattr(sheets, limit, 1_000_000)
        with pytest.raises(BadFile, match="解压后过大"):
            inspect(file(tmp_path, workbook(**{stem: b" " * 1_000_001}), "bomb.xlsx"))


def test_rows_are_judged_one_by_one() -> None:
    plan = Plan(1, 0, "{姓名}好", columns=(1,), names=("姓名",), ext=2, room=10)
    rows = [
        (2, ["13800000001", "张", "a"]), (3, ["1380000000", "张"]), (4, ["13800000001", "李"]), (5, ["13800000002"]),
        (6, ["13800000003", "名" * 10]), (7, ["+8613800000004", "王"]),
    ]  # fmt: skip
    validator = RowValidator(plan, None)
    [(good, bad)] = list(validator.validate(rows))
    assert good == [(1, 1, 2, "8613800000001", "a", ["张"]), (1, 2, 7, "8613800000004", "", ["王"])]
    assert [(b[2], b[5]) for b in bad] == [
        (3, "NUMBER_INVALID"), (4, "NUMBER_DUPLICATE"), (5, "CONTENT_VARIABLE_UNRESOLVED"), (6, "CONTENT_TOO_LONG"),
    ]  # fmt: skip
    assert (validator.total, validator.valid, validator.problems.total()) == (6, 2, 4)
    plan = Plan(1, 0, "订单{n}", columns=(1,), names=("n",), one_each="content")
    rows = [(1, ["13800000001", "1"]), (2, ["13800000001", "2"]), (3, ["13800000001", "1"])]
    [(good, bad)] = list(RowValidator(plan, None).validate(rows))
    assert ([g[2] for g in good], [b[2] for b in bad]) == ([1, 2], [3])


async def reader_of(path: Path) -> tuple[asyncio.Task[object], Path]:
    os.mkfifo(path)
    before = children()
    task = aio.spawn(Workers().run(1, Job(inspect=str(path))), name="reader")
    async with asyncio.timeout(60):
        while not (new := children() - before) or not waits(next(iter(new)), path):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return task, Path("/proc") / str(next(iter(new)))


def waits(pid: int, path: Path) -> bool:
    """Whether the process is at its file: all of its limits are set before."""
    limits = Path(f"/proc/{pid}/limits").read_text()
    return str(worker.MEMORY) in limits and f" {worker.LOOK_SECONDS} " in limits


async def test_the_reader_has_no_secrets_no_descriptors_and_dies_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMSGW_DATABASE_DSN", "postgresql://smsgw:s3cret@db/smsgw")
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    with socket.socket() as ours, (tmp_path / "key").open("w") as file:
        for descriptor in (ours.fileno(), file.fileno()):
            os.set_inheritable(descriptor, True)
        task, proc = await reader_of(tmp_path / "fifo")
    try:
        environ = (proc / "environ").read_text()
        assert "s3cret" not in environ
        assert {line.partition("=")[0] for line in environ.split("\0") if line} <= {
            "PATH", "HOME", "TZ", "LANG", "LC_ALL", "LC_CTYPE",
        }  # fmt: skip
        open_files = {int(fd.name): os.readlink(fd) for fd in (proc / "fd").iterdir()}
        assert set(open_files) <= {0, 1, 2}, open_files
        assert (open_files[2], (proc / "oom_score_adj").read_text().strip()) == ("/dev/null", "1000")
        assert (proc / "cwd").resolve() == Path("/")
    finally:
        await aio.cancel(task)
    assert not proc.exists()


async def test_the_reader_of_one_account_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "good").write_text("13800000001\n")
    workers = Workers()
    stuck = [aio.spawn(workers.run(1, Job(inspect=str(tmp_path / "fifo"))), name="reader") for _ in range(3)]
    await asyncio.sleep(0)
    try:
        result = await asyncio.wait_for(workers.run(2, Job(inspect=str(tmp_path / "good"))), 20)
    finally:
        await aio.cancel(*stuck)
    assert result.preview.rows == 1


SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><dimension ref="{ref}"/>'
    "<sheetData>{rows}</sheetData></worksheet>"
)


def workbook(**changed: bytes | str) -> bytes:
    """An XLSX of a few cells, some of its files replaced: ``sharedStrings``, ``sheet1``, ``styles``."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out)
    sheet = book.add_worksheet()
    sheet.write_column(0, 0, ["手机", "13800000001"])
    book.close()
    with zipfile.ZipFile(out) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    names = {Path(name).stem: name for name in files}
    for stem, content in changed.items():
        files[names[stem]] = content.encode() if isinstance(content, str) else content
    return zipped(files)


STRING = '<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{}</sst>'
ENTITIES = (
    '<?xml version="1.0"?><!DOCTYPE sst [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + '<!ENTITY x SYSTEM "file:///etc/passwd">]>'
)
FAR = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="IV1048576"><v>1</v></c></row>'


@pytest.mark.parametrize(
    "octets",
    [
        workbook(sheet1=SHEET.format(ref="A1", rows=FAR)),
        workbook(sheet1=SHEET.format(ref="A1:XFD1048576", rows="")),
        workbook(sharedStrings=ENTITIES + STRING.format("<si><t>&i;&x;</t></si>" * 2)),
    ],
    ids=["256 million cells in two", "claims", "entities"],
)
async def test_a_small_workbook_that_unfolds_costs_little(tmp_path: Path, octets: bytes) -> None:
    """Refused with words, or read; in seconds, and within the reader's memory."""
    path = file(tmp_path, octets, "bomb.xlsx")
    done = asyncio.wait_for(Workers().run(1, Job(inspect=str(path))), 20)
    (result,) = await asyncio.gather(done, return_exceptions=True)
    if isinstance(result, Invalid):
        assert (result.code, bool(result.detail["reason"])) == ("FILE_INVALID", True)
    else:
        assert isinstance(result, Result)
        assert result.peak_mb < 200
        assert "root:" not in str(result.preview)


NUMBER = "8613800138000"
NOW = datetime(2026, 3, 2, 22, 30, tzinfo=UTC).replace(hour=14)  # 22:30 in China
WHO = ActorLabel("li")
ACCOUNT = Account(7, "hall", "active", default_sign="测试")
MARKETING = (MessageType.MARKETING,)


def told(
    facts: Facts, question: Question | None = None, policies: PolicySet | None = None, rates: Sequence[Complained] = ()
) -> dict[str, Verdict]:
    facts = replace(facts, listed=[(one.account_id, Listed(one.kind)) for one in facts.allowed])
    found = explain(facts, question or Question(), policies or PolicySet(), Settings(), rates, NOW)
    standings = [one.standing for one in found]
    assert standings == sorted(standings, key=list(Standing).index), "the gravest first"
    return {one.said: one for one in found}


def entry(**given: object) -> BlockEntry:
    whole = BlockEntry(NUMBER, None, "", "", "manual", "投诉", WHO, NOW, None, 5)
    return replace(whole, **given)  # type: ignore[arg-type]


def test_entries_say_whose_they_are_and_what_lifts_them() -> None:
    found = told(Facts(NUMBER), Question(ACCOUNT, (MessageType.OTP,)))
    assert {one.standing for one in found.values()} == {Standing.CLEAR}
    assert {one.rule for one in found.values()} == {
        "block", "opt_out", "only", "state", "frequency", "policy", "consent", "complaint", "review", "carrier"
    }  # fmt: skip
    found = told(Facts(NUMBER, [entry()]))["block.entry"]
    assert (found.standing, found.lift, found.ref) == (Standing.BLOCKS, Lift.ENTRY, "5")
    narrow = entry(account="hall", account_id=7, type="marketing", source="opt_out")
    assert told(Facts(NUMBER, [narrow]))["opt_out.entry"].standing is Standing.LIMITS
    otp = Question(ACCOUNT, (MessageType.OTP,))
    assert told(Facts(NUMBER, [narrow]), otp)["opt_out.entry"].standing is Standing.NOTES, "not of these messages"
    above = told(Facts(NUMBER, above=[Entry(int(NUMBER), Scope(), source, 0) for source in ("complaint", "opt_out")]))
    assert (above["block.above"].lift, above["opt_out.above"].standing) == (Lift.ABOVE, Standing.BLOCKS)
    blocked = Refusal(NOW, "BLACKLIST_CARRIER", "MB:1077", "移动", "CMCC")
    older = replace(blocked, at=NOW - timedelta(days=1), cls="POWERED_OFF", code="MK:0005")
    found = told(Facts(NUMBER, refusals=[blocked, older]))
    assert (found["carrier.blocks"].lift, found["carrier.blocks"].ref) == (Lift.CARRIER, "CMCC")
    assert found["carrier.failed"].values["code"] == "MK:0005"


def test_policies_of_an_account_are_told_of_a_number() -> None:
    policies, question = PolicySet(restricted=frozenset({7})), Question(ACCOUNT)
    missing = told(Facts(NUMBER), question, policies)["only.missing"]
    assert (missing.standing, missing.lift) == (Standing.BLOCKS, Lift.ONLY)
    listed = AllowEntry(NUMBER, 7, "only", "", WHO, NOW, "hall", 1)
    assert "only.missing" not in told(Facts(NUMBER, allowed=[listed]), question, policies)
    facts = Facts(NUMBER, known=KnownNumber(NUMBER, "empty", "report", "MK:0001", NOW))
    assert told(facts, Question(ACCOUNT))["state.known"].standing is Standing.NOTES
    policies = PolicySet({(7, ""): {"drop_empty": parse("drop_empty", "on")}})
    assert told(facts, Question(ACCOUNT), policies)["state.dropped"].lift is Lift.FORGET
    policies = PolicySet({(7, "marketing"): {"hours": parse("hours", "08:00-21:00")}})
    for account_id, said in ((9, "policy.hours"), (7, "policy.clear"), (0, "policy.clear")):
        listed = AllowEntry(NUMBER, account_id, "test", "", WHO, NOW, None, 1)
        assert said in told(Facts(NUMBER, allowed=[listed]), Question(ACCOUNT, MARKETING), policies)
    fields = {"hours": parse("hours", "08:00-21:00"), "review": parse("review", "all")}
    policies = PolicySet({(7, "marketing"): fields})
    rates = [Complained(None, "测试", 50, 1000)]
    facts = Facts(NUMBER, held=3, complaints=1, complained_at=NOW)
    found = told(facts, Question(ACCOUNT, MARKETING), policies, rates)
    assert found["policy.hours"].values["at"] == datetime(2026, 3, 3, 0, 0, tzinfo=UTC)
    assert found["policy.review_all"].standing is Standing.NOTES
    assert found["complaint.ceiling"].standing is Standing.LIMITS
    assert found["complaint.some"].values["n"] == 1
    assert (found["review.held"].values["n"], found["review.held"].lift) == (3, Lift.REVIEW)


def test_measures_and_consents_limit_a_number() -> None:
    history, at = History(), seconds_of(NOW) - 3600
    history.add(Watch(0, int(NUMBER), at, scope_of(7, MessageType.MARKETING), 1, (Rate(1, 86_400),), 0, 0), at)
    facts, question = Facts(NUMBER, history=history.stored()), Question(ACCOUNT, MARKETING)
    reached = told(facts, question)["frequency.reached"]
    assert (reached.standing, reached.lift) == (Standing.LIMITS, Lift.EXEMPT)
    exempt = AllowEntry(NUMBER, 0, "exempt", "", WHO, NOW, None, 1)
    assert "frequency.exempt" in told(replace(facts, allowed=[exempt]), question)
    assert "frequency.account" in told(facts), "limits are an account's"
    policies = PolicySet({(7, "marketing"): {"consent": "marketing"}})
    below = Question(replace(ACCOUNT, above=(3,)), MARKETING)
    none = told(Facts(NUMBER), below, policies)["consent.none"]
    assert (none.standing, none.lift) == (Standing.BLOCKS, Lift.CONSENT)
    assert told(Facts(NUMBER), Question(ACCOUNT), policies)["consent.none"].standing is Standing.LIMITS, "OTPs go"
    given = Consent(1, 7, "hall", NUMBER, "web", "", "7", NOW, WHO, NOW, None, WHO, "", False)
    assert told(Facts(NUMBER, consents=[given], consented={7: True}), below, policies)["consent.given"]
    assert told(Facts(NUMBER, consented={3: True}), below, policies)["consent.above"]
    gone = replace(given, withdrawn_at=NOW)
    withdrawn = told(Facts(NUMBER, consents=[gone], consented={7: False, 3: True}), below, policies)
    assert withdrawn["consent.withdrawn"].values["at"] == NOW
    assert "consent.account" in told(Facts(NUMBER))
    assert "consent.clear" in told(Facts(NUMBER), below, PolicySet({(0, ""): {"consent": "off"}}))
