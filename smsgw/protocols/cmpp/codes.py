"""CMPP status values (8.4.1.2, 8.4.3.2, 8.4.5.2)."""

from __future__ import annotations

from typing import Final

from smsgw.protocols.codes import Code, CodeClass, lookup, table

THROTTLED: Final = 8

CONNECT: Final = table(
    {
        CodeClass.OK: {0: "ok"},
        CodeClass.BIND: {
            1: "message structure",
            2: "illegal source address",
            3: "authentication failed",
            4: "version too high",
        },
    }
)

RESULT: Final = table(
    {
        CodeClass.OK: {0: "ok"},
        CodeClass.PERMANENT: {
            1: "message structure",
            2: "command word",
            4: "message length",
            5: "fee code",
            6: "message too long",
            7: "service id",
            9: "charged number not served here",
            10: "Src_Id",
            11: "Msg_src",
            12: "Fee_terminal_Id",
            13: "Dest_terminal_Id",
        },
        # Refused as a repetition of a sequence number: a repeat with a fresh one goes through.
        CodeClass.TEMPORARY: {3: "sequence repeated"},
        CodeClass.THROTTLE: {THROTTLED: "flow control"},
    }
)


def connect_status(value: int) -> Code:
    """Status of CONNECT_RESP; what the table lacks concerns the login, too."""
    return CONNECT.get(value) or Code(value, f"login refused ({value})", CodeClass.BIND)


def result(value: int) -> Code:
    """Result of SUBMIT_RESP, DELIVER_RESP and FWD_RESP. 100–199 are the vendor's: class unknown."""
    return lookup(RESULT, value)
