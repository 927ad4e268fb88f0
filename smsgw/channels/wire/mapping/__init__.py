"""Between the pipeline's values and a protocol's PDUs: a part to a submit, an answer to an outcome, a deliver to a
report or an inbound message. One class a protocol family, no state but what the channel is configured with."""

from __future__ import annotations

from collections.abc import Callable

from smsgw.channels.profiles import Profile
from smsgw.channels.wire.mapping.base import INTERMEDIATE, MAX_RETRY, Incoming, Mapping
from smsgw.channels.wire.mapping.cmpp import CmppMapping
from smsgw.channels.wire.mapping.sgip import SgipMapping
from smsgw.channels.wire.mapping.smgp import SmgpMapping
from smsgw.channels.wire.mapping.smpp import SmppMapping
from smsgw.core.model import ChannelSpec

__all__ = ["INTERMEDIATE", "MAX_RETRY", "Incoming", "Mapping", "mapping_for"]

_FAMILIES: dict[str, Callable[[ChannelSpec, Profile], Mapping]] = {
    "cmpp": CmppMapping,
    "smpp": SmppMapping,
    "sgip": SgipMapping,
    "smgp": SmgpMapping,
}


def mapping_for(spec: ChannelSpec, profile: Profile) -> Mapping:
    """The mapping of a channel's protocol."""
    return _FAMILIES[spec.protocol[:4]](spec, profile)
