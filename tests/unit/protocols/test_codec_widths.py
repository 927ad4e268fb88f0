"""How wide each row is, beside the tables of the books: what two ends of ours would get wrong alike."""

from __future__ import annotations

from dataclasses import fields

import pytest

from smsgw.protocols.cmpp import pdus as cmpp
from smsgw.protocols.dialects import CMPP20, CMPP30, SGIP12, SMGP13, SMGP30, SMPP34, SMPP50, Dialect
from smsgw.protocols.errors import Malformed
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.sgip import pdus as sgip
from smsgw.protocols.smgp import pdus as smgp
from smsgw.protocols.smpp import pdus as smpp

COUNTERS = "4 4 4 4 4 4 4 4"

BOOKS: list[tuple[Dialect, type[Pdu], str]] = [
    # QB-GF-028-2003, chapter 8; a list or a content counts with its length alone.
    (CMPP30, cmpp.Connect, "6 16 1 4"),
    (CMPP30, cmpp.ConnectResp, "4 16 1"),
    (CMPP30, cmpp.Submit, "8 1 1 1 1 10 1 32 1 1 1 1 6 2 6 17 17 21 1 1 1 20"),
    (CMPP30, cmpp.SubmitResp, "8 4"),
    (CMPP30, cmpp.Query, "8 1 10 8"),
    (CMPP30, cmpp.QueryResp, f"8 1 10 {COUNTERS}"),
    (CMPP30, cmpp.Deliver, "8 21 10 1 1 1 32 1 1 1 20"),
    (CMPP30, cmpp.DeliverResp, "8 4"),
    (CMPP30, cmpp.Cancel, "8"),
    (CMPP30, cmpp.CancelResp, "4"),
    (CMPP30, cmpp.ActiveTestResp, "1"),
    (CMPP30, cmpp.Fwd, "6 6 1 1 8 1 1 1 1 10 1 21 32 1 1 1 1 6 2 6 17 17 21 32 1 1 1 32 1 1 20"),
    (CMPP30, cmpp.FwdResp, "8 1 1 4"),
    (CMPP20, cmpp.ConnectResp, "1 16 1"),
    (CMPP20, cmpp.Submit, "8 1 1 1 1 10 1 21 1 1 1 6 2 6 17 17 21 1 1 8"),
    (CMPP20, cmpp.SubmitResp, "8 1"),
    (CMPP20, cmpp.Deliver, "8 21 10 1 1 1 21 1 1 8"),
    # SGIP 1.2, 4.2.3, 4.3 and 4.4.
    (SGIP12, sgip.Bind, "1 16 16 8"),
    (SGIP12, sgip.BindResp, "1 8"),
    (SGIP12, sgip.Submit, "21 21 1 5 10 1 6 6 1 1 1 16 16 1 1 1 1 1 4 8"),
    (SGIP12, sgip.SubmitResp, "1 8"),
    (SGIP12, sgip.Deliver, "21 21 1 1 1 4 8"),
    (SGIP12, sgip.DeliverResp, "1 8"),
    (SGIP12, sgip.Report, "12 1 21 1 1 8"),
    (SGIP12, sgip.ReportResp, "1 8"),
    (SGIP12, sgip.CheckUser, "16 16 21 8"),
    (SGIP12, sgip.CheckUserResp, "1 1 8"),
    (SGIP12, sgip.UserRpt, "21 21 1 8"),
    (SGIP12, sgip.UserRptResp, "1 8"),
    (SGIP12, sgip.Trace, "12 21 8"),
    (SGIP12, sgip.TraceResp, "1"),
    # SMGP 3.0.3, 5.2.2; parameters may follow (0). 1.3 has no FixedFee.
    (SMGP30, smgp.Login, "8 16 1 4 1"),
    (SMGP30, smgp.LoginResp, "4 16 1"),
    (SMGP30, smgp.Submit, "1 1 1 10 2 6 6 1 17 17 21 21 1 1 8 0"),
    (SMGP30, smgp.SubmitResp, "10 4 0"),
    (SMGP30, smgp.Deliver, "10 1 1 14 21 21 1 8 0"),
    (SMGP30, smgp.DeliverResp, "10 4 0"),
    (SMGP30, smgp.Forward, "10 6 6 6 1 1 1 10 2 6 6 1 17 17 21 21 21 1 8 0"),
    (SMGP30, smgp.ForwardResp, "10 4 0"),
    (SMGP30, smgp.Query, "8 1 10"),
    (SMGP30, smgp.QueryResp, f"8 1 10 {COUNTERS} 8"),
    (SMGP13, smgp.Submit, "1 1 1 10 2 6 1 17 17 21 21 1 1 8 0"),
    (SMGP13, smgp.Forward, "10 6 6 6 1 1 1 10 2 6 1 17 17 21 21 21 1 8 0"),
]


@pytest.mark.parametrize(("dialect", "kind", "widths"), BOOKS, ids=[f"{d.name}-{k.__name__}" for d, k, _ in BOOKS])
def test_rows_are_as_wide_as_in_the_book(dialect: Dialect, kind: type[Pdu], widths: str) -> None:
    rows = [row for row in dialect.layout(kind).rows if row.kind is not None]
    assert [len(row.kind.write(row.default)) for row in rows if row.kind] == [int(n) for n in widths.split()]
    assert len(dialect.encode(kind())) - dialect.header_size == sum(map(int, widths.split()))


def test_a_node_of_a_trace_has_47_octets() -> None:
    """SGIP 1.2, 4.4.2."""
    one, two = (SGIP12.encode(sgip.TraceResp(nodes=(sgip.TraceNode(),) * n)) for n in (1, 2))
    assert len(two) - len(one) == 1 + 6 + 16 + 16 + 8


TEXTS = {
    "system_id": 16, "password": 65, "system_type": 13, "address_range": 41, "service_type": 6,
    "schedule_delivery_time": 17, "validity_period": 17, "final_date": 17, "message_id": 65,
    "source_addr": 21, "destination_addr": 21, "esme_addr": 65,
}  # fmt: skip
"""Octets with the terminator: 3.4, chapter 4. Passwords of 9 are the book's, those of carriers are longer."""
OTHER_TEXTS = {
    (smpp.Outbind, "password"): 9, (smpp.DataSm, "source_addr"): 65, (smpp.DataSm, "destination_addr"): 65,
    (smpp.AlertNotification, "source_addr"): 65,
}  # fmt: skip


@pytest.mark.parametrize("dialect", [SMPP34, SMPP50], ids=lambda d: d.name)
def test_smpp_texts_may_be_as_long_as_in_the_book(dialect: Dialect) -> None:
    seen = set()
    for kind in dialect.pdus.values():
        for name in {field.name for field in fields(kind)} & TEXTS.keys():
            seen.add(name)
            longest = OTHER_TEXTS.get((kind, name), TEXTS[name]) - 1
            pdu = kind(**{name: "1" * longest})
            found = dialect.decode(dialect.encode(pdu))
            assert getattr(found, name) == "1" * longest, (kind, name)
            with pytest.raises(Malformed, match=f" {longest} are allowed"):
                dialect.encode(pdu.replace(**{name: "1" * (longest + 1)}))
    assert seen == TEXTS.keys()


def test_smpp_records_may_be_as_long_as_in_the_book() -> None:
    for given in (smpp.SmeAddress(destination_addr="1" * 20), smpp.DistributionList(dl_name="1" * 20)):
        pdu = smpp.SubmitMulti(dest_address=(given,))
        assert SMPP34.decode(SMPP34.encode(pdu)) == pdu
    for refused in (smpp.SmeAddress(destination_addr="1" * 21), smpp.DistributionList(dl_name="1" * 21)):
        with pytest.raises(Malformed, match="20 are allowed"):
            SMPP34.encode(smpp.SubmitMulti(dest_address=(refused,)))
    failed = smpp.SubmitMultiResp(unsuccess_sme=(smpp.UnsuccessSme(1, 1, "1" * 20, 0xFFFFFFFF),))
    assert SMPP34.decode(SMPP34.encode(failed)) == failed
