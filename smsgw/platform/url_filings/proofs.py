"""Documents that prove filed links (证明材料): licences, authorizations, pictures of pages, carriers' receipts."""

from __future__ import annotations

from enum import StrEnum

from smsgw.core.permissions import Permission
from smsgw.platform.files.documents import Documents


class Kind(StrEnum):
    """What a document is."""

    ICP = "icp"
    LICENSE = "license"
    AUTHORIZATION = "authorization"
    PAGE = "page"
    """What is seen there."""
    RECEIPT = "receipt"
    """What a carrier has sent back."""
    OTHER = "other"


DOCUMENTS = Documents(
    "filed_link_proof", "filed_link", "link_id", "target", Permission.FILING_EDIT, "link.proof", "link.proof_remove",
    "filing_proof",
)  # fmt: skip
