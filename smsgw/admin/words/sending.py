"""The words of sending."""

from __future__ import annotations

from smsgw.admin.i18n import N_

STEPS = (N_("填写"), N_("确认"), N_("结果"))
"""Of a sending by hand."""
NO_ACCOUNT = N_("请选择发送账号")
NO_NUMBER = N_("没有有效的手机号码，请检查后重新填写")
