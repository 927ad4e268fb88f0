"""The words of the first run."""

from __future__ import annotations

from smsgw.admin.i18n import N_

WRONG_CODE = N_("初始化码不正确。请在服务器上查看后重新输入。")
READY = N_("管理员已建立，初始化完成。接下来请在菜单中配置通道与签名。")
