"""What a status means for the sender."""

from __future__ import annotations

import pytest

from smsgw.protocols.cmpp import codes as cmpp
from smsgw.protocols.codes import Code, CodeClass
from smsgw.protocols.sgip import codes as sgip
from smsgw.protocols.smgp import codes as smgp
from smsgw.protocols.smpp import codes as smpp


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (cmpp.result(0), CodeClass.OK),
        (cmpp.result(3), CodeClass.TEMPORARY),
        (cmpp.result(8), CodeClass.THROTTLE),
        (cmpp.result(13), CodeClass.PERMANENT),
        (cmpp.result(150), CodeClass.UNKNOWN),
        (cmpp.connect_status(3), CodeClass.BIND),
        (cmpp.connect_status(77), CodeClass.BIND),
        (smpp.status(0), CodeClass.OK),
        (smpp.status(0x0B), CodeClass.PERMANENT),
        (smpp.status(0x14), CodeClass.TEMPORARY),
        (smpp.status(0x58), CodeClass.THROTTLE),
        (smpp.status(0x0E), CodeClass.BIND),
        (smpp.status(0x401), CodeClass.TEMPORARY),
        (smpp.status(0x99), CodeClass.UNKNOWN),
        (sgip.result(0), CodeClass.OK),
        (sgip.result(11), CodeClass.TEMPORARY),
        (sgip.result(88), CodeClass.THROTTLE),
        (sgip.result(1), CodeClass.BIND),
        (smgp.status(1), CodeClass.TEMPORARY),
        (smgp.status(21), CodeClass.BIND),
        (smgp.status(47), CodeClass.PERMANENT),
        (smgp.report_err("007"), CodeClass.TEMPORARY),
        (smgp.report_err("005"), CodeClass.PERMANENT),
        (smgp.report_err("999"), CodeClass.UNKNOWN),
        (smgp.report_err("AB"), CodeClass.UNKNOWN),
        (smgp.report_err(None), CodeClass.UNKNOWN),
    ],
)
def test_class(code: Code, kind: CodeClass) -> None:
    assert code.kind is kind
    assert code.name
