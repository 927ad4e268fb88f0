"""Raw result codes of the Chinese operators and their resellers, by stable class.

The same code has different meanings at different resellers; this is the default table. What it lacks is ``UNKNOWN``
or follows from its family (``protocol-notes``: MA, CA … time-outs inside the operator).
"""

from __future__ import annotations

from smsgw.core.retry import Fault

_BY_CLASS: dict[str, str] = {
    "EMPTY_NUMBER": ("MK:0000 MK:0001 MK:0012 CB:0001 CB:0053 UNKNOWN MI:0001 MB:0001 MN:0001 67 61 1 29"),
    "POWERED_OFF": (
        "EXPIRED MK:0002 MK:0004 MK:0008 MK:0009 MK:0010 MK:0023 MK:0024 MI:0024 MI:0013 MI:0029 IB:0064 IB:0194 "
        "MC:0055 MC:0151 IC:0001 IC:0151 21 25"
    ),
    "SUSPENDED": (
        "MK:0005 MK:0013 DB:0100 DB:0101 DB:0102 DB:0103 DB:0115 DB:0116 DB:0117 DB:0118 DB:0119 CB:0005 CB:0047 "
        "CB:0007 MI:0052"
    ),
    "BLACKLIST_CARRIER": (
        "MB:1077 DB:0140 DB:0141 DB:0144 DB:0164 MBBLACK DBBLACK BLACK BWLIST HIGRISK TUIDING E:BLACK HD:0001 HD:19 "
        "69 ID:0069"
    ),
    "CONTENT_BLOCKED": "MK:0014 MK:0115 MK:0076 DB:0309 ID:0076 CJ:0007 CJ:0008 KEYWORD CONTENT XA:0001 IB:0076",
    "FREQ_CARRIER": ("MK:1041 MB:1041 MB:1031 MB:1042 DB:0142 DB:0143 HD:29 HD:31 XA:0100 LIMIT E:ODDL BEYONDN"),
    "SIGN_UNREGISTERED": "NOSEND BADSIGN GB:0004",
    "HANDSET": "MK:0015 MK:0017 MK:0036 MK:0208 26 27 28 31",
    "NETWORK": "DB:9001 MB:0008 MB:1026 IB:0070 CB:0022 CB:0054 22 32",
    "TIMEOUT": ("MA:0051 MA:0052 MA:0054 MA:0073 IA:0051 IA:0054 CA:0051 CA:0052 CA:0054 DA:0054 TIMEOUT ROUTEERR"),
    "CHANNEL": (
        "DB:0106 DB:0107 DB:0108 DB:9007 IB:0008 IB:0009 IB:0011 IB:0072 NOROUTE NOROUTER ID:0012 ID:0013 23 "
        "DB:0126 DB:0129 NP:1243 IB:0012 IB:0168 DB:0139"
    ),
}

_CLASS_OF: dict[str, str] = {code: cls for cls, codes in _BY_CLASS.items() for code in codes.split()}
_FAMILY = {"MA": "TIMEOUT", "CA": "TIMEOUT", "DA": "TIMEOUT", "IA": "TIMEOUT", "MC": "POWERED_OFF", "IC": "POWERED_OFF"}

_FAULT_OF_CLASS = {
    "EMPTY_NUMBER": Fault.PERMANENT,
    "POWERED_OFF": Fault.ABSENT,
    "SUSPENDED": Fault.PERMANENT,
    "BLACKLIST_CARRIER": Fault.PERMANENT,
    "CONTENT_BLOCKED": Fault.PERMANENT,
    "FREQ_CARRIER": Fault.LIMIT,
    "SIGN_UNREGISTERED": Fault.PERMANENT,
    "HANDSET": Fault.ABSENT,
    "NETWORK": Fault.NETWORK,
    "TIMEOUT": Fault.NETWORK,
    "CHANNEL": Fault.CHANNEL,
}
DEAD = frozenset({"EMPTY_NUMBER", "BLACKLIST_CARRIER"})
"""Classes of failures after which a number should not be sent to again, whatever the message."""
REFUSED_CONTENT = frozenset({"CONTENT_BLOCKED"})
"""Classes of failures that the same message meets again."""
# Where a code differs from its class.
_BY_FAULT: dict[Fault, str] = {
    Fault.UNCERTAIN: "MC:0055 MC:0151 IC:0001 IC:0151 TIMEOUT ROUTEERR",
    Fault.PORTED: "DB:0126 DB:0129 NP:1243 IB:0012 IB:0168",
    Fault.NETWORK: "DB:9007 IB:0008 IB:0011",
    Fault.LIMIT: "DB:0139",
    Fault.PERMANENT: "UNDELIV DELETED REJECTD DB:0108 ID:0012 ID:0013 27 31",
}
_FAULT_OF: dict[str, Fault] = {
    **{code: _FAULT_OF_CLASS[cls] for code, cls in _CLASS_OF.items()},
    **{code: fault for fault, codes in _BY_FAULT.items() for code in codes.split()},
}
_GENERAL = frozenset({"UNDELIV", "DELETED", "REJECTD"})
"""States that do not tell why."""
_FAULT_OF_FAMILY = {
    "MA": Fault.NETWORK,
    "CA": Fault.NETWORK,
    "DA": Fault.NETWORK,
    "IA": Fault.NETWORK,
    "MC": Fault.UNCERTAIN,
    "IC": Fault.UNCERTAIN,
}

DELIVERED = "DELIVRD"


def head_of(code: str) -> str:
    """A raw code without the error number behind a slash, in capitals."""
    return code.partition("/")[0].strip().upper()


def class_of(code: str) -> str:
    """The stable class (``core.model.REPORT_CLASSES``) of a raw report code; empty for a delivery.

    ``code`` may carry an error number behind a slash (``UNDELIV/012``), which does not count.
    """
    head = head_of(code)
    if head == DELIVERED:
        return ""
    return _CLASS_OF.get(head) or _FAMILY.get(head.partition(":")[0], "UNKNOWN")


def fault_of(code: str, cls: str = "") -> Fault:
    """What a raw report code of a failure means for another try; ``Fault.UNKNOWN`` for a code nobody has listed.

    ``cls`` is what the protocol itself knows (an error number beside the state); it counts where the code says nothing.
    """
    head = head_of(code)
    fault = _FAULT_OF.get(head) or _FAULT_OF_FAMILY.get(head.partition(":")[0])
    if fault is None or head in _GENERAL:
        return _FAULT_OF_CLASS.get(cls) or fault or Fault.UNKNOWN
    return fault


def listed() -> dict[str, tuple[str, Fault]]:
    """The default table: code -> class and fault."""
    return {code: (_CLASS_OF.get(code, "UNKNOWN"), fault) for code, fault in sorted(_FAULT_OF.items())}
