"""A partner's load: what its answers count as."""

from __future__ import annotations

from smsgw.bench.load import Load
from smsgw.bench.partner import PartnerCustomer, Smpp
from smsgw.protocols.smpp import codes, pdus


def test_a_refusal_is_submitted_again_and_no_progress() -> None:
    """Where everything is refused the run ends with its patience, and does not go on for ever."""
    customer = PartnerCustomer("127.0.0.1", 1, "user", "secret", Load(5, 1), speech=Smpp(), window=1)
    customer._progress = 0.0
    assert customer.take() == 0
    customer.answered(0, pdus.SubmitSmResp(), codes.ESME_RTHROTTLED)
    assert (customer._progress, customer.take()) == (0.0, 0)
    assert customer.seen.refusals == {codes.ESME_RTHROTTLED: 1}
    customer.answered(0, pdus.SubmitSmResp(message_id="77"), 0)
    assert customer._progress > 0.0
    assert (customer.seen.accepted, customer.seen.ids) == (1, {77: 0})
    assert customer.take() == 1
