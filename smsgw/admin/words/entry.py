"""The words of the doors: login and password."""

from __future__ import annotations

from smsgw.admin.i18n import N_

WRONG = N_("账号或密码不正确。多次失败后须等待片刻再试；如忘记密码，请联系管理员重置。")
SLOWED = N_("尝试过于频繁，请 %(n)s 秒后再试。")
NOT_AGAIN = N_("两次输入的新密码不一致")
