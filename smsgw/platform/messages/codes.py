"""Verification codes in texts: which texts have them, and how these are shown to people.

A code lets whoever reads it in as somebody else. It is for the phone, and for the system that sends it: lists, pages,
exports and searches show the text without it. Whoever may see whole numbers is shown the text as it is, one message at
a time, with a reason (``platform.unmasking``); the codes of our own logins are shown to nobody.
"""

from __future__ import annotations

import re

from smsgw.core.actor import ActorLabel
from smsgw.core.model import MessageType
from smsgw.core.words.chinese_lexicon import CODE_WORDS
from smsgw.platform.login.model import CODE_SENDER

HIDDEN = "******"
_SAYS_SO = "|".join(CODE_WORDS)
# Four characters or more with a digit among them, or digits with blanks or hyphens between; not within a signature.
# Possessive for Python alone: PostgreSQL looks at a text but once.
_CODE = "(?![^【】]{0,20}】)(?:(?=[A-Za-z]{0,20}[0-9０-９])[0-9A-Za-z０-９]{4,}|[0-9０-９]{1,3}(?:[ -][0-9０-９]+)+)"
_CODE_IN_TEXT = re.compile(_CODE.replace("]{4,}", "]{4,}+").replace("]+)+", "]++)++"))
_MARKED = re.compile(_SAYS_SO, re.IGNORECASE)


def coded(type_: str, submitter: ActorLabel, content: str) -> bool:
    """Whether such a text has a verification code."""
    return type_ == MessageType.OTP or submitter == CODE_SENDER or _MARKED.search(content) is not None


def without(type_: str, submitter: ActorLabel, content: str) -> str:
    """The text with its code hidden, if it has one."""
    return _CODE_IN_TEXT.sub(HIDDEN, content) if coded(type_, submitter, content) else content


def coded_sql(row: str) -> str:
    """``coded`` of a row that has ``type``, ``submitter`` and ``content``."""
    return f"({row}.type = '{MessageType.OTP}' OR {row}.submitter = '{CODE_SENDER}' OR {row}.content ~* '{_SAYS_SO}')"


def without_sql(row: str) -> str:
    """``without`` of such a row."""
    return (
        f"CASE WHEN {coded_sql(row)} THEN regexp_replace({row}.content, '{_CODE}', '{HIDDEN}', 'g')"
        f" ELSE {row}.content END"
    )


def searchable_sql(row: str, word: str) -> str:
    """That the text of such a row may be found by the word that is an argument: a code could be guessed piece by
    piece, so not by a word with letters or digits of one. That of a login is found by none."""
    return f"{row}.submitter <> '{CODE_SENDER}' AND NOT ({word} ~ '[0-9A-Za-z０-９]' AND {coded_sql(row)})"
