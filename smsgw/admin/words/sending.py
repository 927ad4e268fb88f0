"""The words of sending."""

from __future__ import annotations

from smsgw.admin.i18n import N_

STEPS = (N_("填写"), N_("确认"), N_("结果"))
"""Of a sending by hand."""
