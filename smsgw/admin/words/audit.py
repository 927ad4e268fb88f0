"""Codes of the audit log as pages show them: in words, with the code beside them."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.core.words import Wording, labels_of

MOST_ACTIONS = 200


def action_words(code: str) -> tuple[str | Wording, str]:
    """What an action is called, and its code; one of an earlier program stands for itself."""
    return labels_of("audit_action").get(code, code), code


def object_words(code: str) -> tuple[str | Wording, str]:
    """What kind of thing an object is, and its code."""
    kind = code.replace(":", "/", 1).partition("/")[0]
    return labels_of("audit_object").get(kind, code), code


def actions_called(text: str) -> Sequence[str]:
    """Codes of the actions whose name has this in it, in either language."""
    part = text.strip().lower()
    if not part:
        return ()
    named = labels_of("audit_action").items()
    return [code for code, name in named if part in str(name) or part in name.english.lower()][:MOST_ACTIONS]
