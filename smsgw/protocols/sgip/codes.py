"""SGIP Result and ErrorCode values (appendix; 88 is what the field adds)."""

from __future__ import annotations

from typing import Final

from smsgw.protocols.codes import Code, CodeClass, lookup, table

RESULT: Final = table(
    {
        CodeClass.OK: {0: "ok"},
        CodeClass.BIND: {
            1: "illegal login",
            2: "login repeated",
            3: "too many connections",
            4: "login type",
            57: "address not admitted",
            93: "node number",
        },
        CodeClass.PERMANENT: {
            5: "parameter format",
            6: "illegal mobile number",
            7: "message id",
            8: "message length",
            9: "illegal sequence number",
            10: "illegal GNS operation",
            21: "destination unreachable",
            22: "route wrong",
            23: "no route",
            24: "charge number invalid",
            27: "handset without SMS",
            28: "handset reception error",
            29: "unknown user",
            30: "function not provided",
            31: "illegal device",
            64: "source address",
            106: "no subscription",
        },
        CodeClass.TEMPORARY: {
            11: "node busy",
            25: "user cannot be reached",
            26: "handset memory full",
            32: "system failure",
            33: "message centre queue full",
            54: "timeout",
        },
        CodeClass.THROTTLE: {88: "flow control"},
    }
)


def result(value: int) -> Code:
    """Result of an answer (0–20), or ErrorCode of a REPORT (21–33)."""
    return lookup(RESULT, value)
