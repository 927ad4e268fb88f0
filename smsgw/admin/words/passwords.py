"""What is wrong with a password, or with changing it."""

from __future__ import annotations

from smsgw.admin.i18n import N_

SAME_PASSWORD = N_("新密码不能与当前密码相同")
TOO_MANY_TRIES = N_("尝试次数过多，请稍后再试")
WRONG_PASSWORD = N_("当前密码不正确")
USED_PASSWORD = N_("新密码不能与最近使用过的密码相同")
SHORT_PASSWORD = N_("密码至少 10 位")
LONG_PASSWORD = N_("密码最多 128 位")
FEW_KINDS = N_("密码须包含大写字母、小写字母、数字、符号中的至少三种")
ALL_KINDS = N_("密码须同时包含大写字母、小写字母、数字和符号")
SHORTER_THAN_POLICY = N_("密码位数少于密码策略的要求")
LOGIN_IN_PASSWORD = N_("密码不能包含登录名")
COMMON_PASSWORD = N_("密码太常见，容易被猜到：请避免常用词、姓名、手机号、年份、键盘顺序及其简单变形")
