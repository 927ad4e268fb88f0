"""What is wrong with what people typed into the form of a new sending."""

from __future__ import annotations

from smsgw.admin.i18n import N_

NO_NUMBER = N_("请填写至少一个手机号码")
NO_GOOD_NUMBER = N_("没有有效的手机号码，请检查后重新填写")
TOO_MANY_NUMBERS = N_("单次最多 1,000 个号码，请分批发送")
NO_TYPE = N_("请选择短信类型")
SIGN_FORM = N_("签名须为 2 到 20 个字，不含【】")
NO_CONTENT = N_("请填写短信内容")
LONG_CONTENT = N_("内容最多 1,000 字，请缩短后重试")
OLD_PAGE = N_("页面已过期，请刷新后重新填写")
