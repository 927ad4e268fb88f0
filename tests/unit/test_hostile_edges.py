"""What comes in by the edges, through everything that reads it: 64 KiB of each kind of bad text in each place."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import bad_texts
import msgspec
import pytest
from adversarial import SIZE, TEXTS, dear
from bad_texts import Work
from snapshots import FixedSnapshots
from targets import CARRIERS, PARTNERS

from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.numbers import MOST_CHARACTERS, recipients
from smsgw.admin.pages.records.sent import FILTER
from smsgw.admin.pages.sending.form import SendForm
from smsgw.admin.pages.sending.preview import preview
from smsgw.api.auth import Authenticator, canonical_query
from smsgw.api.decode import decode_body, decode_query, decoder_of, explain, idempotency_key
from smsgw.api.routes import ROUTES
from smsgw.core import accounts, policy, settings
from smsgw.core.addresses import client_address
from smsgw.core.errors import SmsgwError
from smsgw.core.model import MessageType
from smsgw.core.optout import DEFAULT_WORDS, wants_out
from smsgw.core.push_format import satisfied
from smsgw.core.report_codes import class_of
from smsgw.core.webhooks import Reach, check_hosts, check_url, parse_options
from smsgw.partners.protocol_server import NotText, Submit, Unfit, text_of
from smsgw.pipeline.delivery import push_http
from smsgw.platform.campaigns import sheets
from smsgw.platform.campaigns.rows import Plan, RowValidator
from smsgw.protocols import labels
from smsgw.protocols.dialects import DIALECTS, Dialect
from smsgw.protocols.errors import Malformed
from smsgw.protocols.fields import CStr, Fixed, Octets, Raw
from smsgw.protocols.pdu import Pdu, Tlv
from smsgw.protocols.smgp import pdus as smgp, reports as smgp_reports
from smsgw.protocols.smpp import pdus as smpp, reports as smpp_reports, tlvs
from smsgw.recording.masking import Masker
from smsgw.web import uploads
from smsgw.web.envelope import failure, prefers_english

pytestmark = pytest.mark.shard("attacks")
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
REFUSALS = (*bad_texts.REFUSALS, Malformed, Unfit, NotText, msgspec.DecodeError)
HEADER = 8190
"""Octets that aiohttp takes of a header or a request line."""
HEADERS = {
    name: text.encode("utf-8", "surrogatepass")[:HEADER].decode("utf-8", "ignore") for name, text in TEXTS.items()
}


def over(work: Work, texts: Mapping[str, str] = TEXTS) -> dict[str, Any]:
    return bad_texts.over(work, texts, REFUSALS)


def octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


DECODERS = {f"{r.method} {r.path}": decoder_of(r.body) for r in ROUTES if r.body is not None}


@pytest.mark.parametrize("name", DECODERS)
def test_bodies(name: str) -> None:
    """Each text as the body, as every field that there is, as a name, and in a list of a thousand."""
    decoder = DECODERS[name]
    fields = "to content sign ext name items params variables url fields numbers".split()

    def work(text: str) -> None:
        quoted = json.dumps(text)
        whole = "{" + ",".join(f'"{f}":{quoted}' for f in fields) + "}"
        for body in (text, quoted, f"[{quoted}]", f"{{{quoted}:1}}", whole):
            try:
                decode_body(decoder, body.encode("utf-8", "surrogatepass"))
            except SmsgwError as exc:
                failure(exc, "1", english=False)

    assert not dear(over(work))


def test_a_body_of_many_texts() -> None:
    from targets import run_api

    route = [r.path for r in ROUTES if r.body is not None].index("/messages/batch")

    def work(text: str) -> None:
        piece = text[:60]
        items = [{"to": f"138{n:08}", "content": piece + str(n)} for n in range(50)]
        run_api(bytes((route,)) + json.dumps({"items": items, "type": "marketing"}).encode())

    assert not dear(over(work))


def test_queries_and_headers() -> None:
    auth = Authenticator(FixedSnapshots(), clock=lambda: 0.0, allow_insecure_bearer=True)
    trusted = (ip_network("127.0.0.0/8"),)
    queries = {f"{r.method} {r.path}": r.query for r in ROUTES}
    works: dict[str, Work] = {
        "Accept-Language": prefers_english,
        "Accept-Language with weights": lambda t: prefers_english("en;q=" + t),
        "X-Forwarded-For": lambda t: client_address("127.0.0.1", [t], trusted),
        "hops": lambda t: client_address("127.0.0.1", ["127.0.0.1," * (HEADER // 10)], trusted),
        "Idempotency-Key": idempotency_key,
        "X-Sms-Key": lambda t: auth.identify(
            {f"X-Sms-{name}": t for name in ("Key", "Timestamp", "Nonce", "Signature")}, secure=True, address="1.1.1.1"
        ),
        "Authorization": lambda t: auth.identify({"Authorization": "Bearer " + t}, secure=True, address="1.1.1.1"),
        "Content-Type": lambda t: uploads.extract(b"", "multipart/form-data; boundary=" + t),
        "canonical": canonical_query,
        "signed query": lambda t: canonical_query("&".join(f"{c}=1" for c in t[:2000])),
        **{name: lambda t, q=q: decode_query(q, t) for name, q in queries.items()},
        **{f"{name} to": lambda t, q=q: decode_query(q, "to=" + t) for name, q in queries.items()},
    }
    found = {name: spent for name, work in works.items() if (spent := dear(over(work, HEADERS)))}
    assert not found


def test_forms_and_decoders_take_any_text() -> None:
    for form in ("{}", "Expected `{}`, got `{}`", "Object contains unknown field `{}` - at `$.{}`", "{} - at `{}"):
        assert not dear(over(lambda t, form=form: explain(form.replace("{}", t))))
    # What was sent may look like the end of a message of the decoder.
    assert explain("Invalid enum value 'a - at `$.x`' - at `$.type`").detail["field"] == "type"
    assert not dear(over(_form))  # forms of the portal
    assert not dear(over(lambda t: recipients(t[:MOST_CHARACTERS])))
    assert not dear(over(_filter, HEADERS))

    def work(text: str) -> None:  # recordings and receipts
        payload = Tlv(tlvs.MESSAGE_PAYLOAD, octets(text)[: SIZE - 1])
        named = Tlv(tlvs.RECEIPTED_MESSAGE_ID, octets(text))
        Masker(b"key").pdu(smpp.DeliverSm(esm_class=4, tlvs=(payload, named)))

    assert not dear(over(work))
    assert not dear(over(_receipt))


def _form(text: str) -> None:
    form = SendForm.read(dict.fromkeys(("account", "to", "type", "sign", "content", "key"), text))
    form.check(recipients(form.to), set(MessageType))
    preview(form.sign, form.content)
    read_id(text)


def _filter(text: str) -> None:
    FILTER.read(dict.fromkeys(FILTER.keys, text), NOW).query()
    FILTER.read({"time": "custom", "from": text, "to": text}, NOW)


VALUES: dict[str, Work] = {
    **{f"policy {name}": lambda t, n=name: policy.parse(n, t) for name in policy.FORMS},
    **{f"account {name}": lambda t, p=parse: p(t) for name, parse in accounts.FIELDS.items()},
    "optout_words": lambda t: settings.parse("optout_words", [t]),
    "url": lambda t: check_url("https://" + t, Reach()),
    "hosts": lambda t: check_hosts([t]),
    "options": lambda t: parse_options({"format": "json", "times": t, "fields": {t: t}, "items_field": t}),
    "report code": class_of,
    "answer of a receiver": lambda t: satisfied('{"code":0}', octets(t)),
    "Retry-After": push_http._retry_after,
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name: str) -> None:
    assert not dear(over(VALUES[name]))


def test_cells(tmp_path: Path) -> None:
    plan = Plan(task_id=1, phone=0, columns=(1,), names=("a",), content="您好{a}")

    def work(text: str) -> None:
        path = tmp_path / "a.csv"
        path.write_text("手机,姓名\n13800138000," + text + "\n", errors="replace")
        for _ in RowValidator(plan, None).validate(sheets.read(path, sheets.inspect(path).form)):
            pass

    assert not dear(over(work))
    assert not dear(
        over(lambda t: list(RowValidator(plan, None).validate([(n, [t[:2000], t[:2000]]) for n in range(10)])))
    )


def fields_of(dialect: Dialect, cls: type[Pdu]) -> Iterator[tuple[str, int]]:
    for row in dialect.layout(cls).rows:
        match row.kind:
            case CStr():
                yield row.attribute, row.kind.size - 1
            case Fixed(number=False) | Raw():
                yield row.attribute, row.kind.size
            case Octets():
                yield row.attribute, row.kind.limit


def pdus_with(dialect: Dialect, text: bytes) -> Iterator[Pdu]:
    for cls in dialect.pdus.values():
        pdu = cls()
        for name, size in fields_of(dialect, cls):
            value = text[:size]
            if isinstance(getattr(pdu, name), str):
                setattr(pdu, name, value.decode("latin-1").replace("\0", " "))
            else:
                setattr(pdu, name, value)
        yield pdu


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=str)
def test_every_field_of_the_protocols(dialect: Dialect) -> None:
    def work(text: str) -> None:
        for pdu in pdus_with(dialect, octets(text)):
            try:
                dialect.decode(dialect.encode(pdu))
            except Malformed:
                continue

    assert not dear(over(work))


OPTIONAL: dict[str, tuple[type[Pdu], ...]] = {
    "smpp34": (smpp.SubmitSm, smpp.DeliverSm, smpp.DataSm, smpp.BindTransceiverResp),
    "smgp30": (smgp.Submit, smgp.Deliver),
}
"""PDUs with optional parameters, of both ways."""
TAGS = {
    "smpp34": tuple(tlvs.NAMES),
    "smgp30": tuple(v for n, v in vars(smgp).items() if n.isupper() and isinstance(v, int)),
}


@pytest.mark.parametrize(("name", "cls"), [(n, c) for n, some in OPTIONAL.items() for c in some])
def test_every_optional_parameter(name: str, cls: type[Pdu]) -> None:
    """Each tag of the book with as many octets as a length can say: read, written, masked for a recording, and given to
    who makes something of it."""
    dialect, masker = DIALECTS[name], Masker(b"key")

    def work(text: str, tag: int) -> None:
        read = dialect.decode(dialect.encode(cls(tlvs=(Tlv(tag, octets(text)[: SIZE - 1]),))))  # type: ignore[call-arg]
        masker.pdu(read)
        if cls is smpp.SubmitSm:
            _, face, partner = PARTNERS[0]
            face.read(read, partner, NOW)
        elif cls in (smpp.DeliverSm, smpp.DataSm, smgp.Deliver):
            CARRIERS[1 if name == "smpp34" else 3].incoming(read)

    found = {tag: spent for tag in TAGS[name] if (spent := dear(over(lambda t, tag=tag: work(t, tag))))}
    assert not found


def _receipt(text: str) -> None:
    labels.parse(text)
    smpp_reports.parse(text)
    smgp_reports.parse(octets(text))


def deliveries(text: bytes, coding: int) -> Iterator[tuple[int, Pdu]]:
    """From carriers of the four protocols: messages and receipts, with and without a header, as long as can be."""
    payload = (Tlv(tlvs.MESSAGE_PAYLOAD, text[: SIZE - 1]),)
    for esm_class in (0, 4, 0x40):
        about: dict[str, Any] = {"esm_class": esm_class, "data_coding": coding}
        yield 1, smpp.DeliverSm(**about, source_addr="8613800138000", tlvs=payload)
        yield 1, smpp.DeliverSm(**about, short_message=text[:255])
    for number, name in ((0, "cmpp20"), (0, "cmpp30"), (2, "sgip12"), (3, "smgp30")):
        for pdu in pdus_with(DIALECTS[name], text):
            if type(pdu).__name__ in ("Deliver", "Report"):
                for flag in (0, 1):
                    said = dict.fromkeys(("registered_delivery", "is_report", "tp_udhi"), flag)
                    said |= dict.fromkeys(("msg_fmt", "msg_format", "message_coding"), coding)
                    yield number, pdu.replace(**{field: value for field, value in said.items() if hasattr(pdu, field)})


ENCODINGS = pytest.mark.parametrize(("coding", "encoding"), [(0, "utf-8"), (8, "utf-16-be"), (15, "gb18030")])


@ENCODINGS
def test_what_carriers_bring(coding: int, encoding: str) -> None:
    def work(text: str) -> None:
        for number, pdu in deliveries(text.encode(encoding, "replace"), coding):
            with contextlib.suppress(ValueError):
                wants_out(getattr(CARRIERS[number].incoming(pdu), "text", ""), DEFAULT_WORDS)

    assert not dear(over(work))


def sar_of(*values: bytes) -> tuple[Tlv, ...]:
    tags = (tlvs.SAR_MSG_REF_NUM, tlvs.SAR_TOTAL_SEGMENTS, tlvs.SAR_SEGMENT_SEQNUM)
    return tuple(Tlv(tag, value) for tag, value in zip(tags, values, strict=True))


def submits(text: bytes, coding: int) -> Iterator[tuple[int, Pdu]]:
    header = bytes((5, 0, 3, 1, 2, 1))
    payload = (Tlv(tlvs.MESSAGE_PAYLOAD, text[: SIZE - 1]),)
    plain: dict[str, Any] = {"destination_addr": "13800138000", "data_coding": coding}
    yield 0, smpp.SubmitSm(**plain, tlvs=payload)
    yield 0, smpp.SubmitSm(**plain, esm_class=0x40, tlvs=payload)
    yield 0, smpp.SubmitSm(**plain, esm_class=0x40, short_message=header + text[:248])
    yield 0, smpp.DataSm(**plain, tlvs=payload)
    yield 0, smpp.SubmitSm(**plain, tlvs=sar_of(*[text[: SIZE - 1]] * 3))
    for number in (1, 2):
        for pdu in pdus_with(DIALECTS[PARTNERS[number][0]], text):
            if type(pdu).__name__ == "Submit":
                for udhi in (0, 1):
                    yield number, pdu.replace(dest_terminal_id=("13800138000",), msg_fmt=coding, tp_udhi=udhi)


@ENCODINGS
def test_what_partners_submit(coding: int, encoding: str) -> None:
    def work(text: str) -> None:
        for number, pdu in submits(text.encode(encoding, "replace"), coding):
            _, face, partner = PARTNERS[number]
            with contextlib.suppress(Unfit, NotText):
                order = face.read(pdu, partner, NOW)
                assert isinstance(order, Submit)
                text_of(order.octets, order.coding)

    assert not dear(over(work))


def test_parts_and_texts_beyond_what_can_be_sent_are_refused() -> None:
    """SMPP's message_payload has room for 64 KiB; 3.4 calls it ESME_RINVMSGLEN when a message is too long."""
    _, face, partner = PARTNERS[0]
    for size, status in ((4000, 0), (4002, 1), (60_000, 1)):
        payload = (Tlv(tlvs.MESSAGE_PAYLOAD, b"\0{" * (size // 2)),)
        pdu = smpp.SubmitSm(destination_addr="13800138000", data_coding=8, tlvs=payload)
        try:
            face.read(pdu, partner, NOW)
            said = 0
        except Unfit as exc:
            said = exc.status
        assert said == status
    long = b"\xff" * 60_000  # parts said beside the text are parts of something
    _, face, partner = PARTNERS[0]
    submit = smpp.SubmitSm(destination_addr="13800138000", short_message=b"a", tlvs=sar_of(long, long, b"\1"))
    with pytest.raises(Unfit):
        face.read(submit, partner, NOW)
    for total, found in ((long, (0xFFFF, 1, 1)), (b"\2", (0xFFFF, 2, 1))):
        said: Any = CARRIERS[1].incoming(smpp.DeliverSm(short_message=b"a", tlvs=sar_of(long, total, b"\1")))
        assert (said.concat_total, said.concat_number) == found[1:]
    assert said.concat_ref == found[0]
