"""The forms of channels, one a protocol, and what a channel becomes of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from smsgw.admin import words as all_words
from smsgw.admin.kit.filters import Problem
from smsgw.admin.kit.forms import Filled, Form, Input, InputKind, Inputs
from smsgw.admin.words import setup as words
from smsgw.platform.channels.model import ChannelView

SIMULATED, PEER_PASSWORD = "simulated", "peer_password"
CARRIERS = {key: all_words.CARRIER[key] for key in ("CMCC", "CUCC", "CTCC", "CBN", "INTL")}
PORTS = {"cmpp30": 7890, "cmpp20": 7890, "smpp34": 2775, "sgip12": 8801, "smgp30": 8890}
_LOGIN = {"cmpp30": "cmpp_login", "cmpp20": "cmpp_login", "smpp34": "smpp_login", "sgip12": "sgip_login",
          "smgp30": "smgp_login"}  # fmt: skip
_LONGEST_LOGIN = {"cmpp30": 6, "cmpp20": 6, "smpp34": 15, "sgip12": 16, "smgp30": 8}
_NAME = Input(
    "name", label="channel_name", required=True, most=64, pattern=r"[A-Za-z0-9_.-]{1,64}", help=words.NAME_HELP,
    problem=words.NAME_PROBLEM,
)  # fmt: skip
_SECRET = Input("password", InputKind.SECRET, "secret", words.SECRET_HELP, required=True, most=64)
_PACE = (
    Input("access_code", pattern=r"[0-9]{0,20}", help=words.CODE_HELP, problem=words.CODE_PROBLEM),
    Input("carriers", InputKind.CHOICES, choices=CARRIERS, help=words.CARRIERS_HELP),
    Input("rate", InputKind.NUMBER, least=0, most=100_000, help=words.RATE_HELP, required=True),
    Input("connections", InputKind.NUMBER, least=1, most=64, required=True),
    Input("window", InputKind.NUMBER, least=1, most=1000, help=words.WINDOW_HELP, required=True),
)


_WHY = Input("reason", most=200, help=words.WHY_HELP)


def _listens(text: str) -> Problem | None:
    host, _, port = text.rpartition(":")
    good = bool(host) and re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) and 0 < int(port) < 65536
    return None if good else Problem(words.LISTEN_PROBLEM)


_SERVICE = Input("service_id", most=21, help=words.SERVICE_HELP)
_CMPP = (_SERVICE, Input("msg_src", most=6, help=words.MSG_SRC_HELP))
_MORE: dict[str, tuple[Input, ...]] = {
    "cmpp30": _CMPP,
    "cmpp20": _CMPP,
    "smpp34": (
        Input("system_type", most=12, help=words.SERVICE_HELP),
        Input("bind", InputKind.CHOICE, choices=words.BIND, required=True),
        Input("tls", InputKind.SWITCH, help=words.TLS_HELP),
    ),
    "sgip12": (
        Input("node", InputKind.NUMBER, "node_number", words.NODE_HELP, required=True, least=1, most=4_294_967_295),
        Input("corp_id", most=5, pattern=r"[0-9]{0,5}", help=words.SERVICE_HELP),
        _SERVICE,
        Input("sgip_listen", required=True, most=255, help=words.LISTEN_HELP, check=_listens),
    ),
    "smgp30": (_SERVICE, Input("smgp_version", InputKind.CHOICE, choices={"3.0": "3.0", "1.3": "1.3"}, required=True)),
}
_PLAIN: Mapping[str, Any] = {
    "service_id": "", "msg_src": "", "system_type": "", "bind": "transceiver", "tls": False, "node": 0, "corp_id": "",
    "sgip_listen": "", "smgp_version": "3.0",
}  # fmt: skip
"""What holds of a profile that does not say it."""


def form(protocol: str, *, new: bool) -> Form:
    """The form of a protocol; the name and the password belong to a new channel."""
    secret = _SECRET if new else replace(_SECRET, help=words.SECRET_KEPT_HELP, required=False)
    gate = (
        Input("host", required=True, most=255, pattern=r"\S+", help=words.HOST_HELP),
        Input("port", InputKind.NUMBER, least=1, most=65535, required=True),
    )
    login = Input("username", label=_LOGIN[protocol], required=True, most=_LONGEST_LOGIN[protocol])
    return Form((
        Inputs((_NAME, *gate) if new else gate, words.SECTION_GATE), Inputs((login, secret), words.SECTION_LOGIN),
        Inputs(_PACE, words.SECTION_PACE), Inputs(_MORE[protocol], words.SECTION_MORE),
        *(() if new else (Inputs((_WHY,), words.SECTION_WHY),)),
    ))  # fmt: skip


def first_values(protocol: str) -> dict[str, Any]:
    """What stands in an empty form."""
    listen = {"sgip_listen": "0.0.0.0:8801"} if protocol == "sgip12" else {}
    values = {"port": PORTS[protocol], "connections": 1, "window": 16, "rate": 0}
    return dict(_PLAIN) | {"node": None} | values | listen


def values_of(channel: ChannelView) -> dict[str, Any]:
    """What stands in the form of a channel that is there."""
    known = dict(_PLAIN) | {k: v for k, v in channel.profile.items() if k in _PLAIN}
    return known | {
        "host": channel.host, "port": channel.port, "username": channel.username, "access_code": channel.access_code,
        "carriers": sorted(channel.carriers), "rate": channel.rate, "connections": channel.connections,
        "window": channel.window,
    }  # fmt: skip


def read(channel: ChannelView, data: Mapping[str, Any]) -> Filled:
    """The form of a channel that is there, as it was filled in. A password that is kept goes to the gateway that it
    was entered for alone: with another address, or without TLS, it has to be typed again."""
    filled = form(channel.protocol, new=False).read(data)
    if filled.good and not filled.values["password"]:
        now, before = dict(_PLAIN) | filled.values, values_of(channel)
        if (now["host"], now["port"]) != (before["host"], before["port"]) or (before["tls"] and not now["tls"]):
            filled.errors["password"] = Problem(words.SECRET_ANEW)
    return filled


def fields(protocol: str, values: Mapping[str, Any], profile: Mapping[str, Any]) -> dict[str, Any]:
    """What the service is given: the values, and of the profile what the form says; the rest of it stays."""
    own = {one.key for one in _MORE[protocol]}
    said = {key: values[key] for key in own if values[key] != _PLAIN[key]}
    kept = {key: value for key, value in profile.items() if key not in own and key != SIMULATED}
    plain = {key: value for key, value in values.items() if key not in own and key not in ("name", "reason")}
    if not plain["password"]:
        del plain["password"]
    return plain | {"carriers": list(values["carriers"]), "profile": kept | said}
