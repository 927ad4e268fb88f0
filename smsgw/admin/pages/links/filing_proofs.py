"""Documents of a filed link (P5.3, 证明材料)."""

from __future__ import annotations

from smsgw.admin.call import Call
from smsgw.admin.kit.document_pages import DocumentPages, Thing
from smsgw.admin.pages.links.filings import PATH
from smsgw.admin.words import filings as words
from smsgw.core.permissions import Permission
from smsgw.platform.url_filings import queries
from smsgw.platform.url_filings.proofs import DOCUMENTS, Kind


async def _filing(call: Call, id_: int) -> Thing | None:
    one = await queries.one(call.db, id_, accounts=call.accounts)
    if one is None:
        return None
    own = call.accounts is None or one.account_id in call.accounts  # not everybody's, or the person sees everybody
    return Thing(one.id, one.target, one.account_id or None, call.may(Permission.FILING_EDIT) and own)


PAGES = DocumentPages(
    PATH, DOCUMENTS, Kind, Permission.FILING_VIEW, _filing, words, words.FILINGS, read="link.proof_read", term="target"
)
