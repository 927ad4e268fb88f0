"""What is fuzzed: functions that take octets of strangers. A target returns, or the input is a finding.

Where a function may refuse its input, only the errors that it documents are caught here. Everything that a target
asserts holds for all inputs. Seeds are the tests' own vectors and makers, so none are kept.
"""

from __future__ import annotations

import csv
import io
import json
import re
import struct
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from adversarial import ACCOUNT, OwnChecker, checker

from smsgw.api import sending
from smsgw.api.context import Call
from smsgw.api.decode import decode_body, decode_query, decoder_of
from smsgw.api.routes import ROUTES
from smsgw.channels import profiles
from smsgw.channels.wire.mapping import mapping_for
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import CHINA
from smsgw.core.model import ChannelSpec, Inbound, MessageType, Origin, Report
from smsgw.core.optout import DEFAULT_WORDS, wants_out
from smsgw.core.partners import Partner
from smsgw.core.templates import PLACE, Form, Template, Variable, variables_of
from smsgw.partners.cmpp import CmppServer
from smsgw.partners.protocol_server import Count, NotText, Submit, Unfit, text_of
from smsgw.partners.smpp import SmppServer
from smsgw.pipeline.accept.requests import SendItem, SendRequest
from smsgw.platform.campaigns import sheets
from smsgw.protocols.cmpp import reports as cmpp_reports, rules as cmpp
from smsgw.protocols.dialects import DIALECTS, Dialect
from smsgw.protocols.errors import FramingLost, Malformed
from smsgw.protocols.events import LoginRequest, Request
from smsgw.protocols.pdu import RESPONSE, Pdu, Tlv, Unknown
from smsgw.protocols.render import from_fields, to_fields
from smsgw.protocols.session import Session, SessionConfig
from smsgw.protocols.sgip import rules as sgip
from smsgw.protocols.smgp import pdus as smgp_pdus, reports as smgp_reports, rules as smgp
from smsgw.protocols.smpp import pdus as smpp_pdus, reports as smpp_reports, rules as smpp, tlvs
from smsgw.recording.masking import Masker
from smsgw.web import uploads
from smsgw.web.envelope import failure

VECTORS = Path(__file__).parents[1] / "vectors" / "vectors.json"
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NAMES = tuple(DIALECTS)


@dataclass(frozen=True, slots=True)
class Target:
    """Octets go in; what comes out does not matter."""

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    words: tuple[bytes, ...] = ()
    """Pieces that inputs are made of, for the mutator."""
    seconds: float = 0.05
    """Processor time that an input may cost."""


@cache
def _vectors() -> Any:
    return json.loads(VECTORS.read_text("utf-8"))


# --- PDUs ------------------------------------------------------------------------------------------------------------


def _dialect(octet: int) -> Dialect:
    return DIALECTS[NAMES[octet % len(NAMES)]]


def _frames(dialect: Dialect, stream: bytes) -> list[bytes]:
    """Those of a stream; the length of what remains is put right, so that bodies are reached."""
    frames: list[bytes] = []
    framer = dialect.framer()
    try:
        frames += framer.feed(stream)
    except FramingLost as lost:
        frames += lost.frames
    if dialect.header_size <= len(stream) <= dialect.max_frame:
        frames.append(struct.pack(">I", len(stream)) + stream[4:])
    return frames[:20]


def run_pdus(data: bytes) -> None:
    """Decode, encode, decode; as JSON and back; masked; and all of it to sessions of both sides, logged in or not."""
    if len(data) < 2:
        return
    dialect, stream = _dialect(data[0]), data[2:]
    frames = _frames(dialect, stream)
    masker = Masker(b"key")
    for frame in frames:
        try:
            pdu = dialect.decode(frame)
        except Malformed:
            continue
        try:
            written = dialect.encode(pdu)
        except Malformed:
            continue  # some fields of others are taken longer than we write them
        assert dialect.decode(written) == pdu, "decode(encode(x)) is another"
        if not isinstance(pdu, Unknown) and len(frame) < 4096:  # for people: nobody waits for it
            assert from_fields(dialect, to_fields(dialect, pdu)) == pdu, "the JSON form says something else"
        dialect.encode(masker.pdu(pdu))
    for session in _sessions(dialect, bool(data[1] & 1)):
        cut = 1 + data[1] % max(1, len(stream))
        now = 1001.0
        for chunk in (stream[:cut], stream[cut:], b"".join(frames)):
            for event in session.receive(chunk, now):
                if isinstance(event, LoginRequest):
                    session.admit(event, now=now, **_details(dialect))
                elif isinstance(event, Request):
                    session.answer(event)
            now += 20.0
            session.tick(now)
            session.output()
        session.closed("over", now)


def _sessions(dialect: Dialect, bound: bool) -> list[Session]:
    family = dialect.name[:4]
    config = SessionConfig()
    rules: tuple[Any, Any] = {
        "cmpp": lambda: (cmpp.client("900001", "secret", timestamp=lambda: 501120000), cmpp.server()),
        "smpp": lambda: (smpp.client("user", "secret"), smpp.server()),
        "smgp": lambda: (smgp.client("user", "secret", timestamp=lambda: 501120000), smgp.server()),
        "sgip": lambda: (sgip.client("user", "secret", numbering=_numbering()), sgip.server(numbering=_numbering())),
    }[family]()
    client, server = (Session(r, config=config) for r in rules)
    client.start(1000.0)
    server.start(1000.0)
    if bound:
        for event in server.receive(client.output(), 1000.0):
            if isinstance(event, LoginRequest):
                server.admit(event, now=1000.0, **_details(dialect))
        client.receive(server.output(), 1000.0)
    return [client, server]


def _details(dialect: Dialect) -> dict[str, str]:
    return {"secret": "secret"} if dialect.name.startswith(("cmpp", "smgp")) else {}


def _numbering() -> sgip.Numbering:
    return sgip.Numbering(3000010000, lambda: 501120000)


def seeds_pdus() -> Iterable[bytes]:
    for case in [*_vectors()["pdus"], *_vectors()["malformed"]]:
        name = case.get("dialect") or case.get("protocol") or ""
        for number, dialect in enumerate(NAMES):
            if dialect.startswith(name[:4]) and "hex" in case:
                yield bytes((number, 1)) + bytes.fromhex(case["hex"])


# --- receipts, and what carriers bring -------------------------------------------------------------------------------

CARRIERS = tuple(
    mapping_for(ChannelSpec(1, "a", protocol, "h", 1, "user", "secret", access_code="1069"), profiles.parse({}))
    for protocol in ("cmpp20", "smpp34", "sgip12", "smgp30")
)


def run_receipts(data: bytes) -> None:
    """The text of a receipt as every parser meets it; and a whole delivery of a carrier, to what the ledger takes."""
    if len(data) < 4:
        return
    body = data[3:]
    text = body.decode("latin-1")
    found = smpp_reports.parse(text)
    if found is not None and found.id and found.stat and not re.search(r"\s", text):
        assert smpp_reports.parse(smpp_reports.build(found)) is not None
    smgp_reports.parse(body)
    extra = (Tlv(tlvs.MESSAGE_PAYLOAD, body),) if data[0] & 1 else ()
    if data[0] & 2:
        extra += (Tlv(tlvs.RECEIPTED_MESSAGE_ID, body[:70]), Tlv(tlvs.MESSAGE_STATE, body[-3:]))
    if data[0] & 4:
        extra += tuple(Tlv(tag, body[n : n + data[1] % 5]) for n, tag in enumerate((0x20C, 0x20E, 0x20F, 0x204)))
    deliveries: list[tuple[int, Pdu]] = [
        (1, smpp_pdus.DeliverSm(esm_class=data[1], data_coding=data[2], short_message=b"" if extra else body[:254],
                                source_addr=text[:20], tlvs=extra)),
        (1, smpp_pdus.DataSm(esm_class=data[1], data_coding=data[2], tlvs=extra)),
        (3, smgp_pdus.Deliver(is_report=data[0] & 1, msg_format=data[2], msg_content=body[:255])),
    ]  # fmt: skip
    for name in ("cmpp20", "cmpp30", "sgip12"):
        for command in _deliveries(name):
            frame = struct.pack(">II", len(body) + DIALECTS[name].header_size, command)
            frame += bytes(DIALECTS[name].header_size - 8) + body
            try:
                deliveries.append((0 if name.startswith("cmpp") else 2, DIALECTS[name].decode(frame)))
            except Malformed:
                continue
    for number, pdu in deliveries:
        try:
            incoming = CARRIERS[number].incoming(pdu)
        except ValueError:
            continue
        for value in (getattr(incoming, n) for n in ("carrier_id", "code", "text", "number") if hasattr(incoming, n)):
            assert "\0" not in value, "PostgreSQL has no NUL"
        if isinstance(incoming, Inbound):
            assert 1 <= incoming.concat_number <= incoming.concat_total <= 255, "a place that no message has"
            wants_out(incoming.text, DEFAULT_WORDS)
        elif isinstance(incoming, Report):
            assert len(incoming.carrier_id) <= 200


@cache
def _deliveries(name: str) -> tuple[int, ...]:
    wanted = ("deliver", "report")
    return tuple(c for c, cls in DIALECTS[name].pdus.items() if cls.__name__.lower() in wanted)


def seeds_receipts() -> Iterable[bytes]:
    texts = [
        b"id:0123456789 sub:001 dlvrd:001 submit date:2605011200 done date:2605011201 stat:DELIVRD err:000 text:hi",
        b"id:abc stat:UNDELIV err:012",
        b"id:" + bytes(range(10)) + b" sub:001 dlvrd:001 Submit_Date:2605011200 done_date:26050112 stat:EXPIRED txt:",
        "退订".encode("utf-16-be"), b"\x05\x00\x03\x07\x02\x01TD", b"\x00i\x00d\x00:\x001",
    ]  # fmt: skip
    for n, text in enumerate(texts):
        for flags in (0, 1, 2, 3, 7):
            yield bytes((flags, (0, 4, 0x40)[n % 3], (0, 8, 15)[n % 3])) + text
    for case in _vectors()["pdus"]:
        if "hex" in case and ("report" in case or "receipt" in case):
            yield b"\0\0\0" + bytes.fromhex(case["hex"])[12:]
    yield b"\1\0\0" + bytes(cmpp_reports.LONG)


# --- partners --------------------------------------------------------------------------------------------------------

PARTNERS: tuple[tuple[str, Any, Partner], ...] = (
    ("smpp34", SmppServer(), Partner(1, 1, "smpp", "shop", "secret", message_ids="hex", code="1069")),
    ("cmpp30", CmppServer(), Partner(2, 1, "cmpp", "900001", "secret", code="1069")),
    ("cmpp20", CmppServer(), Partner(2, 1, "cmpp", "900001", "secret", code="1069")),
)


def _requests(dialect: Dialect) -> list[int]:
    """Commands that have an answer."""
    return sorted(c for c in dialect.pdus if not c & RESPONSE and c | RESPONSE in dialect.pdus)


def run_partners(data: bytes) -> None:
    """A submit, query or cancel of a partner, up to the door for messages."""
    if len(data) < 6:
        return
    name, face, partner = PARTNERS[data[0] % 3]
    dialect = DIALECTS[name]
    commands = _requests(dialect)
    body = data[2:]
    frame = struct.pack(">II", len(body) + dialect.header_size, commands[data[1] % len(commands)])
    frame += bytes(dialect.header_size - 8) + body
    try:
        pdu = dialect.decode(frame)
    except Malformed:
        return
    try:
        order = face.read(pdu, partner, NOW)
    except Unfit as exc:
        dialect.encode(face.refused(pdu, exc.status))
        return
    if isinstance(order, Count):
        dialect.encode(face.counted(pdu, {}))
    if not isinstance(order, Submit):
        return
    assert order.destinations
    assert len(order.replies) == len(order.destinations)
    for reply in order.replies:
        reply.pack()
    dialect.encode(face.accepted(pdu, partner, 1 << 60))
    try:
        text = text_of(order.octets, order.coding)
    except NotText:
        return
    check_text(text, order.destinations[0])


def seeds_partners() -> Iterable[bytes]:
    for number, (name, _, _) in enumerate(PARTNERS):
        dialect = DIALECTS[name]
        commands = _requests(dialect)
        for case in _vectors()["pdus"]:
            octets = bytes.fromhex(case.get("hex", ""))
            command = int.from_bytes(octets[4:8], "big")
            if command in commands and str(case.get("dialect") or case.get("protocol"))[:4] == name[:4]:
                yield bytes((number, commands.index(command))) + octets[dialect.header_size :]
    payload = smpp_pdus.SubmitSm(
        destination_addr="13800138000", data_coding=8, tlvs=(Tlv(tlvs.MESSAGE_PAYLOAD, b"\0{" * 1000),)
    )
    commands = _requests(DIALECTS["smpp34"])
    yield bytes((0, commands.index(payload.command_id))) + DIALECTS["smpp34"].encode(payload)[16:]


# --- texts, templates ------------------------------------------------------------------------------------------------


@cache
def checks() -> OwnChecker:
    """With every check switched on that a text can meet."""
    return checker(sign_policy="approved", review="untemplated", filed_links="marketing", optout="append")


def check_text(text: str, to: str = "13800138000") -> None:
    """A text through the one door, up to the ledger."""
    for kind in (MessageType.NOTICE, MessageType.MARKETING):
        request = SendRequest(ACCOUNT, (SendItem(to, text),), kind, Origin.API, "key")
        try:
            passed, failed = checks().check(request, checks().snapshot, NOW, NOW, explain=True)
        except SmsgwError:
            continue
        assert len(passed) + len(failed) == 1
        for one in passed:
            assert len(one.subject.draft.content) <= 1000
            assert 1 <= one.coded.parts <= 255


def run_texts(data: bytes) -> None:
    """A text through all checks."""
    check_text(data.decode("utf-8", "surrogateescape" if data[:1] == b"s" else "replace"))


def seeds_texts() -> Iterable[bytes]:
    for text in (
        "您的验证码是123456,5分钟内有效。", "【测试】尊敬的{name},您好", "拒收请回复R", "http://a.cn/../b?c=d#e f",
        "赌博", "賭 博",
        "ＷＷＷ．example．com", "尊敬的一,二,三,四,五,六。", "ababab", "{" * 50, "a." * 30, "😀" * 40,
        "e\u0301" * 20, "\ufdfa" * 20,
    ):  # fmt: skip
        yield text.encode()


_TEMPLATE_FORMS = tuple(Form)


def run_templates(data: bytes) -> None:
    """Two texts: a template, and what may have been made with it; small ones are compared with their meaning."""
    head, _, rest = data.partition(b"\n")
    content, text = head.decode("utf-8", "replace")[:1000], rest.decode("utf-8", "replace")[:1000]
    try:
        names = variables_of(content, {})
    except ValueError:
        return
    most = 4 if len(content) < 60 else 200
    forms = {
        name: Variable(_TEMPLATE_FORMS[(len(name) + n) % 5], 1 + (len(content) * 7 + n) % most)
        for n, name in enumerate(names)
    }
    template = Template(1, 1, "notice", content, variables_of(content, forms))
    made = template.made(text)
    if len(content) < 60 and len(text) < 25 and len(PLACE.findall(content)) < 6:
        assert made == (meaning(template).fullmatch(text) is not None), "not what the template means"
    sample = {Form.TEXT: "文", Form.DIGITS: "1", Form.ALNUM: "a", Form.AMOUNT: ".", Form.DATE: "年"}
    filled = template.fill({name: sample[v.form] for name, v in template.variables.items()})
    assert template.made(filled), "made, and yet not of it"


KINDS = {
    Form.TEXT: r"[^\r\n【】]", Form.DIGITS: "[0-9]", Form.ALNUM: "[A-Za-z0-9]", Form.AMOUNT: r"[0-9.,+\-]",
    Form.DATE: r"[0-9年月日时分秒号点星期周上下午一二三四五六天 :/.\-]",
}  # fmt: skip


def meaning(template: Template) -> re.Pattern[str]:
    """What a template means, as an expression that takes its time."""
    pieces = PLACE.split(template.content)
    pattern, groups = re.escape(pieces[0]), list[str]()
    for name, rest in zip(pieces[1::2], pieces[2::2], strict=True):
        v = template.variables[name]
        if name in groups:
            pattern += f"(?P=g{groups.index(name)})"
        else:
            pattern += f"(?P<g{len(groups)}>{KINDS[v.form]}{{1,{v.most}}})"
            groups.append(name)
        pattern += re.escape(rest)
    return re.compile(pattern)


def seeds_templates() -> Iterable[bytes]:
    for line in (
        "您好{a},您的{b}是{c}\n您好张三,您的码是123", "{a}{b}\nabab", "{a},{a}\n一,一", "{a}{b}{a}\nabcab", "{甲}\n1",
        "尊敬的{a},{b},{c},{d},{e},{f}。\n尊敬的,,,,,,,,,,,,", "没有\n没有",
    ):  # fmt: skip
        yield line.encode()


# --- API bodies ------------------------------------------------------------------------------------------------------

_CALLS = [(r, decoder_of(r.body)) for r in ROUTES if r.body is not None]


def run_api(data: bytes) -> None:
    """A body and a query to the decoder of a route; a send goes on to the checks."""
    if not data:
        return
    route, decoder = _CALLS[data[0] % len(_CALLS)]
    raw, _, query = data[1:].partition(b"\x1e")
    for other in {ROUTES[data[0] % len(ROUTES)].query, route.query}:
        try:
            decode_query(other, query.decode("utf-8", "surrogateescape"))
        except SmsgwError as exc:
            str(exc)
    try:
        body = decode_body(decoder, raw)
    except SmsgwError as exc:
        failure(exc, "1", english=False)
        return
    if route.path not in ("/messages", "/messages/batch", "/messages/explain"):
        return
    key = SimpleNamespace(key_id="k", scopes=frozenset({"send"}), test=True)
    context = SimpleNamespace(snapshots=SimpleNamespace(current=checks().snapshot))
    request = SimpleNamespace(headers={})
    made = SimpleNamespace(key=key, account=ACCOUNT, request=request, request_sha256=b"", nonce="", ctx=context)
    call = cast(Call, made)
    make = sending._from_batch if route.path == "/messages/batch" else sending._from_send
    try:
        request = make(call, body)  # type: ignore[arg-type]
        passed, failed = checks().check(request, checks().snapshot, NOW, NOW)
    except SmsgwError:
        return
    assert len(passed) + len(failed) == len(request.items)


def seeds_api() -> Iterable[bytes]:
    bodies: list[dict[str, Any]] = [
        {"to": ["13800138000"], "content": "您好"}, {"to": "13800138000", "content": 1}, {},
        {"to": ["+8613800138000", "x"], "content": "{name}", "sign": "测试", "type": "marketing", "ext": "e"},
        {"items": [{"to": "13800138000", "content": "a"}, {"to": "13900139000", "content": "b"}]},
        {"to": ["13800138000"], "template_id": "1", "params": {"a": "b"}, "send_at": "2026-05-01T09:00:00+08:00"},
        {"name": "x", "content": "您好{a}", "type": "notice", "variables": {"a": {"form": "digits", "most": 6}}},
        {"sign": "测试", "url": "https://example.com/x", "events": ["message.report"], "dedupe": {"window_s": 60}},
    ]  # fmt: skip
    for number in range(len(_CALLS)):
        for body in bodies:
            yield (bytes((number,)) + json.dumps(body, ensure_ascii=False).encode() + b"\x1eto=%2B86&limit=10&before=1")


# --- files -----------------------------------------------------------------------------------------------------------


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108


def run_multipart(data: bytes) -> None:
    """A body with a file in it: its name, and the file."""
    kind, _, body = data.partition(b"\n")
    try:
        name, octets = uploads.extract(body, kind.decode("latin-1"))
    except SmsgwError:
        return
    assert isinstance(name, str)
    assert octets in body


def seeds_multipart() -> Iterable[bytes]:
    for name in ("a.csv", "号码.xlsx", 'a"b', ""):
        yield (
            "multipart/form-data; boundary=xyz\n"
            '--xyz\r\nContent-Disposition: form-data; name="note"\r\n\r\nhi\r\n'
            f'--xyz\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            "Content-Type: text/csv\r\n\r\n1,2\r\n--xyz--\r\n"
        ).encode()


def run_sheets(data: bytes) -> None:
    """A table that a customer brings, in the process that reads it."""
    with tempfile.NamedTemporaryFile(dir=_memory()) as file:
        file.write(data)
        file.flush()
        path = Path(file.name)
        try:
            preview = sheets.inspect(path)
            for number, (_, cells) in enumerate(sheets.read(path, preview.form)):
                assert all(len(cell) <= sheets.MAX_CELL for cell in cells)
                if number > 1000:
                    break
        except sheets.BadFile:
            return


def seeds_sheets() -> Iterable[bytes]:
    yield "手机,姓名\n13800138000,张三\n13900139000,李四\n".encode()
    yield '手机;姓名\r\n13800138000;"张""三"\r\n'.encode("gb18030")
    yield "手机\t姓名\n13800138000\t张三\n".encode("utf-16")
    out = io.StringIO()
    csv.writer(out).writerows([["phone", "a" * 100]] * 20)
    yield out.getvalue().encode()
    try:
        import xlsxwriter
    except ImportError:
        return
    book = io.BytesIO()
    with xlsxwriter.Workbook(book, {"in_memory": True}) as made:
        sheet = made.add_worksheet("号码")
        sheet.write_row(0, 0, ["手机", "姓名", "日期"])
        sheet.write_row(1, 0, [13800138000, "张三", 1.5])
        sheet.write_datetime(1, 2, datetime(2026, 5, 1, tzinfo=CHINA).replace(tzinfo=None))
    yield book.getvalue()


def _words(*words: str) -> tuple[bytes, ...]:
    return tuple(word.encode() for word in words)


TARGETS = {
    target.name: target
    for target in (
        Target("pdus", run_pdus, seeds_pdus,
               (b"\0\0\0\x10", b"\x04\x24\xff\xff", b"\x80\0\0\x04", b"\0" * 8, b"\xff" * 8)),
        Target("receipts", run_receipts, seeds_receipts,
               _words("id:", " sub:", " dlvrd:", " submit date:", " done_date:", " stat:", "DELIVRD", " err:",
                      " txt:")),
        Target("partners", run_partners, seeds_partners,
               (b"\x04\x24", b"\x02\x0c\0\2", b"\x02\x0e\0\1", b"\x05\0\3\1\2\1", b"\0")),
        Target("texts", run_texts, seeds_texts,
               _words("{", "}", "【", "】", "http://", ".cn", "回T退订", "\u0301", "\u0323", "\ufdfa")),
        Target("templates", run_templates, seeds_templates, _words("{a}", "{b}", "{c}", ",", "的", "1", "\n", "ab")),
        Target("api", run_api, seeds_api,
               _words('"to":', '["13800138000"]', '"content":', '"items":[{', "\\u0000", "\\ud83d", "- at `", "[[[[",
                      "1e999")),
        Target("multipart", run_multipart, seeds_multipart,
               _words("--xyz", "\r\n\r\n", "name=", 'filename="', "filename*=utf-8''", ";", '\\"')),
        Target("sheets", run_sheets, seeds_sheets,
               (b"PK\3\4", *_words('"', ",", "\r\n", "13800138000", "\ufeff")), seconds=0.2),
    )
}  # fmt: skip
