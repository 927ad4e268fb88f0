"""From a channel's configuration to a session that can log in."""

from __future__ import annotations

import time
from dataclasses import replace

from smsgw.channels.profiles import Profile
from smsgw.core.model import ChannelSpec
from smsgw.protocols.cmpp import rules as cmpp_rules
from smsgw.protocols.rules import Rules
from smsgw.protocols.session import Session, SessionConfig
from smsgw.protocols.sgip import rules as sgip_rules
from smsgw.protocols.smgp import rules as smgp_rules
from smsgw.protocols.smpp import rules as smpp_rules
from smsgw.runtime import clock

RESPONSE_TIMEOUT = 60.0
ANSWER_PATIENCE = 10.0
"""A session that is closed waits this many seconds for the answers that are under way."""


def session_for(
    spec: ChannelSpec, profile: Profile, numbering: sgip_rules.Numbering, bind: str = "transceiver"
) -> Session:
    """A fresh client session with the channel's credentials and timers. ``bind`` is for SMPP."""
    rules: Rules
    config = SessionConfig(
        window=spec.window,
        response_timeout=profile.response_timeout or RESPONSE_TIMEOUT,
        keepalive_interval=profile.keepalive,
        close_grace=ANSWER_PATIENCE,
    )
    if spec.protocol == "smpp34":
        rules = smpp_rules.client(spec.username, spec.password, bind=bind, system_type=profile.system_type)
    elif spec.protocol == "smgp30":
        version = smgp_rules.V13 if profile.smgp_version == "1.3" else smgp_rules.V30
        rules = smgp_rules.client(spec.username, spec.password, version, timestamp=china_timestamp)
    elif spec.protocol == "sgip12":
        rules = sgip_rules.client(spec.username, spec.password, numbering=numbering)
        config = replace(
            config, response_timeout=profile.response_timeout or sgip_rules.RESPONSE_TIMEOUT, idle_timeout=profile.idle
        )
    else:
        version = 0x30 if spec.protocol == "cmpp30" else 0x20
        rules = cmpp_rules.client(spec.username, spec.password, version, timestamp=china_timestamp)
    return Session(rules, config=config)


def china_timestamp() -> int:
    """MMDDHHMMSS in China, as CMPP and SMGP want it at login and SGIP in every number."""
    now = time.gmtime(clock.time() + 8 * 3600)
    return int(time.strftime("%m%d%H%M%S", now))
