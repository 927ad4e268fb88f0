"""SMPP command_status values (3.4 section 5.1.3, 5.0 section 4.7.6)."""

from __future__ import annotations

from typing import Final

from smsgw.protocols.codes import Code, CodeClass, lookup, table

ESME_ROK: Final = 0x00
ESME_RINVMSGLEN: Final = 0x01
ESME_RINVCMDLEN: Final = 0x02
ESME_RINVCMDID: Final = 0x03
ESME_RINVBNDSTS: Final = 0x04
ESME_RALYBND: Final = 0x05
ESME_RSYSERR: Final = 0x08
ESME_RINVSRCADR: Final = 0x0A
ESME_RINVDSTADR: Final = 0x0B
ESME_RBINDFAIL: Final = 0x0D
ESME_RINVPASWD: Final = 0x0E
ESME_RINVSYSID: Final = 0x0F
ESME_RMSGQFUL: Final = 0x14
ESME_RTHROTTLED: Final = 0x58
ESME_RX_T_APPN: Final = 0x64
ESME_RX_P_APPN: Final = 0x65
ESME_RX_R_APPN: Final = 0x66
ESME_RINVOPTPARSTREAM: Final = 0xC0
ESME_RINVPARLEN: Final = 0xC2
ESME_RUNKNOWNERR: Final = 0xFF

STATUS: Final = table(
    {
        CodeClass.OK: {ESME_ROK: "ESME_ROK"},
        CodeClass.PERMANENT: {
            ESME_RINVMSGLEN: "ESME_RINVMSGLEN",
            ESME_RINVCMDLEN: "ESME_RINVCMDLEN",
            ESME_RINVCMDID: "ESME_RINVCMDID",
            0x06: "ESME_RINVPRTFLG",
            0x07: "ESME_RINVREGDLVFLG",
            ESME_RINVSRCADR: "ESME_RINVSRCADR",
            ESME_RINVDSTADR: "ESME_RINVDSTADR",
            0x0C: "ESME_RINVMSGID",
            0x11: "ESME_RCANCELFAIL",
            0x13: "ESME_RREPLACEFAIL",
            0x15: "ESME_RINVSERTYP",
            0x33: "ESME_RINVNUMDESTS",
            0x34: "ESME_RINVDLNAME",
            0x40: "ESME_RINVDESTFLAG",
            0x42: "ESME_RINVSUBREP",
            0x43: "ESME_RINVESMCLASS",
            0x44: "ESME_RCNTSUBDL",
            0x48: "ESME_RINVSRCTON",
            0x49: "ESME_RINVSRCNPI",
            0x50: "ESME_RINVDSTTON",
            0x51: "ESME_RINVDSTNPI",
            0x54: "ESME_RINVREPFLAG",
            0x55: "ESME_RINVNUMMSGS",
            0x61: "ESME_RINVSCHED",
            0x62: "ESME_RINVEXPIRY",
            0x63: "ESME_RINVDFTMSGID",
            ESME_RX_P_APPN: "ESME_RX_P_APPN",
            ESME_RX_R_APPN: "ESME_RX_R_APPN",
            0x67: "ESME_RQUERYFAIL",
            ESME_RINVOPTPARSTREAM: "ESME_RINVOPTPARSTREAM",
            0xC1: "ESME_ROPTPARNOTALLWD",
            ESME_RINVPARLEN: "ESME_RINVPARLEN",
            0xC3: "ESME_RMISSINGOPTPARAM",
            0xC4: "ESME_RINVOPTPARAMVAL",
            0xFE: "ESME_RDELIVERYFAILURE",
            0x100: "ESME_RSERTYPUNAUTH",
            0x101: "ESME_RPROHIBITED",
            0x103: "ESME_RSERTYPDENIED",
            0x104: "ESME_RINVDCS",
            0x105: "ESME_RINVSRCADDRSUBUNIT",
            0x106: "ESME_RINVDSTADDRSUBUNIT",
            0x107: "ESME_RINVBCASTFREQINT",
            0x108: "ESME_RINVBCASTALIAS_NAME",
            0x109: "ESME_RINVBCASTAREAFMT",
            0x10A: "ESME_RINVNUMBCAST_AREAS",
            0x10B: "ESME_RINVBCASTCNTTYPE",
            0x10C: "ESME_RINVBCASTMSGCLASS",
            0x10D: "ESME_RBCASTFAIL",
            0x10E: "ESME_RBCASTQUERYFAIL",
            0x10F: "ESME_RBCASTCANCELFAIL",
            0x110: "ESME_RINVBCAST_REP",
            0x111: "ESME_RINVBCASTSRVGRP",
            0x112: "ESME_RINVBCASTCHANIND",
        },
        CodeClass.TEMPORARY: {
            ESME_RSYSERR: "ESME_RSYSERR",
            ESME_RMSGQFUL: "ESME_RMSGQFUL",
            0x45: "ESME_RSUBMITFAIL",
            ESME_RX_T_APPN: "ESME_RX_T_APPN",
            ESME_RUNKNOWNERR: "ESME_RUNKNOWNERR",
            0x102: "ESME_RSERTYPUNAVAIL",
        },
        CodeClass.THROTTLE: {ESME_RTHROTTLED: "ESME_RTHROTTLED"},
        CodeClass.BIND: {
            ESME_RINVBNDSTS: "ESME_RINVBNDSTS",
            ESME_RALYBND: "ESME_RALYBND",
            ESME_RBINDFAIL: "ESME_RBINDFAIL",
            ESME_RINVPASWD: "ESME_RINVPASWD",
            ESME_RINVSYSID: "ESME_RINVSYSID",
            0x53: "ESME_RINVSYSTYP",
        },
    }
)


def status(value: int) -> Code:
    """command_status of an answer. 0x400–0x4FF are the vendor's: temporary until configured otherwise."""
    if 0x400 <= value <= 0x4FF:
        return Code(value, f"vendor 0x{value:x}", CodeClass.TEMPORARY)
    return lookup(STATUS, value)
