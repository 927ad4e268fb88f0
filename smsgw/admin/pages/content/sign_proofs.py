"""Documents of a signature (P3.2, 证明材料)."""

from __future__ import annotations

from smsgw.admin.call import Call
from smsgw.admin.kit.document_pages import DocumentPages, Thing
from smsgw.admin.pages.content.signs import PATH
from smsgw.admin.words import content as words
from smsgw.core.permissions import Permission
from smsgw.platform.content import queries
from smsgw.platform.content.model import SIGN, STOPPED
from smsgw.platform.content.proofs import DOCUMENTS, Kind


async def _sign(call: Call, id_: int) -> Thing | None:
    row = await queries.one(call.db, SIGN, id_, accounts=call.accounts)
    if row is None:
        return None
    may = call.may(Permission.SIGN_EDIT) and row["status"] != STOPPED
    return Thing(row["id"], f"【{row['name']}】", row["account_id"], may)


PAGES = DocumentPages(
    PATH, DOCUMENTS, Kind, Permission.SIGN_VIEW, _sign, words, words.SIGNS, read="sign.proof_read", term="sign",
    named="【{}】",
)  # fmt: skip
