"""Documents that entitle to signatures (证明材料): licences, authorizations, carriers' receipts."""

from __future__ import annotations

from enum import StrEnum

from smsgw.core.permissions import Permission
from smsgw.platform.files.documents import Documents


class Kind(StrEnum):
    """What a document is."""

    LICENSE = "license"
    AUTHORIZATION = "authorization"
    TRADEMARK = "trademark"
    IDENTITY = "identity"
    RECEIPT = "receipt"
    """What a carrier has sent back."""
    OTHER = "other"


DOCUMENTS = Documents(
    "sign_proof", "sign", "sign_id", "sign", Permission.SIGN_EDIT, "sign.proof", "sign.proof_remove", "sign_proof",
    open="stopped_at IS NULL",
)  # fmt: skip
