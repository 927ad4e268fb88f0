"""SMGP status values (6.2.6) and the err numbers of reports (6.2.24)."""

from __future__ import annotations

from typing import Final

from smsgw.protocols.codes import Code, CodeClass, lookup, table

STATUS: Final = table(
    {
        CodeClass.OK: {0: "ok"},
        CodeClass.TEMPORARY: {1: "system busy", 74: "SP in a forbidden time of day", 75: "SP over its daily quota"},
        CodeClass.BIND: {
            2: "too many connections",
            20: "illegal address",
            21: "authentication failed",
            22: "version too high",
            76: "SP account expired",
        },
        CodeClass.PERMANENT: {
            10: "message structure",
            11: "command word",
            12: "sequence repeated",
            30: "MsgType",
            31: "Priority",
            32: "FeeType",
            33: "FeeCode",
            34: "MsgFormat",
            35: "time format",
            36: "MsgLength",
            37: "validity over",
            38: "QueryType",
            39: "route",
            40: "FixedFee",
            41: "UpdateType",
            42: "RouteId",
            43: "ServiceId",
            44: "ValidTime",
            45: "AtTime",
            46: "SrcTermId",
            47: "DestTermId",
            48: "ChargeTermId",
            49: "SPCode",
            56: "SrcGatewayID",
            57: "QueryTermID",
            58: "no matching route",
            59: "SPType",
            60: "LastRouteID",
            61: "RouteType",
            62: "DestGatewayID",
            63: "DestGatewayIP",
            64: "DestGatewayPort",
            65: "TermRangeID",
            66: "ProvinceCode",
            67: "UserType",
            68: "node takes no route update",
            69: "SPID",
            70: "SPAccessType",
            71: "route update failed",
            72: "Time",
            73: "MServiceID",
        },
    }
)

ERR: Final = table(
    {
        CodeClass.OK: {0: "delivered"},
        CodeClass.TEMPORARY: {
            1: "user unreachable",
            2: "user busy",
            6: "system error",
            7: "memory full",
            10: "data lost",
        },
        CodeClass.PERMANENT: {
            3: "no such part in the terminal",
            4: "illegal user",
            5: "blacklisted",
            8: "not a data terminal",
            9: "data wrong",
        },
    }
)


def status(value: int) -> Code:
    """Status of an answer."""
    return lookup(STATUS, value)


def report_err(value: str | None) -> Code:
    """The err number of a report; class unknown when it is missing, not a number or not in the table."""
    return lookup(ERR, int(value)) if value is not None and value.isdecimal() else lookup({}, 999)
