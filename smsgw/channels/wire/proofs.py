"""What a report's PDU says, from its octets alone: for whoever doubts what was stored of it."""

from __future__ import annotations

from collections.abc import Iterator

from smsgw.channels.profiles import Profile
from smsgw.channels.wire.mapping import mapping_for
from smsgw.core.evidence import Said
from smsgw.core.model import ChannelSpec, Report
from smsgw.protocols.dialects import DIALECTS

_PROFILE = Profile(message_reference=True)
"""Of any channel: what deviates otherwise is the spelling of ids."""


def readings(protocol: str, access_code: str, octets: bytes) -> Iterator[Said]:
    """The readings of a PDU that came by a channel, the likeliest first: the channel's protocol and number may have
    been others then. None where it is no report under any."""
    for name in sorted(DIALECTS, key=lambda name: name != protocol):
        for code in dict.fromkeys((access_code, "")):
            spec = ChannelSpec(0, "", name, "", 0, "", "", access_code=code)
            try:
                said = mapping_for(spec, _PROFILE).incoming(DIALECTS[name].decode(octets))
            except ValueError:
                break
            if isinstance(said, Report):
                yield Said(int(said.state), said.code, said.number, said.carrier_id)
