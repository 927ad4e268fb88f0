"""What is wrong with what people typed into a form, and the periods they choose from."""

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
WRONG_PHONE = N_("手机号码格式不正确，请输入完整号码")
WRONG_DATE = N_("日期格式不正确")
DATES_TURNED = N_("开始日期不能晚于结束日期")

PERIODS: dict[str, str] = {
    "today": N_("今天"),
    "yesterday": N_("昨天"),
    "7d": N_("近 7 天"),
    "30d": N_("近 30 天"),
    "custom": N_("自定义"),
}
