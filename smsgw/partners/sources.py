"""What a partner's source address says: which extension its message goes out with."""

from __future__ import annotations

from smsgw.core.errors import Invalid
from smsgw.core.model import Account
from smsgw.core.partners import Partner
from smsgw.pipeline.numbering import Numbering


def extension_of(source: str, partner: Partner, account: Account, numbering: Numbering) -> str:
    """The digits behind the account's own number. ``EXTEND_CODE_INVALID`` when the source is not the partner's.

    With a ``code`` the source starts with it. Without one it may be an access code
    with the account's extension, the account's extension alone, and further digits behind either.
    """
    if partner.any_source or not source:
        return ""
    if not (source.isascii() and source.isdigit()):
        raise Invalid("EXTEND_CODE_INVALID")
    if partner.code:
        if not source.startswith(partner.code):
            raise Invalid("EXTEND_CODE_INVALID")
        return source[len(partner.code) :]
    owner, rest = numbering.owner_of(source)
    if owner is None or owner.id != account.id:
        raise Invalid("EXTEND_CODE_INVALID")
    return rest
