"""What pages of the portal say from code: errors at fields, passwords, periods, error pages."""

from __future__ import annotations

from smsgw.admin.i18n import N_

SAME_PASSWORD = N_("新密码不能与当前密码相同")
TOO_MANY_TRIES = N_("尝试次数过多，请稍后再试")
WRONG_PASSWORD = N_("当前密码不正确")
USED_PASSWORD = N_("新密码不能与最近使用过的密码相同")
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
NO_ACCOUNT = N_("请选择发送账号")
SHORT_PASSWORD = N_("密码至少 10 位")
LONG_PASSWORD = N_("密码最多 128 位")
FEW_KINDS = N_("密码须包含大写字母、小写字母、数字、符号中的至少三种")
LOGIN_IN_PASSWORD = N_("密码不能包含登录账号")
COMMON_PASSWORD = N_("密码太常见，容易被猜到：请避免常用词、姓名、手机号、年份、键盘顺序及其简单变形")
REQUEST_NUMBER = N_("请求号")

PERIODS: dict[str, str] = {
    "today": N_("今天"),
    "yesterday": N_("昨天"),
    "7d": N_("近 7 天"),
    "30d": N_("近 30 天"),
    "custom": N_("自定义"),
}

BUILTIN = (
    N_("平台超管"), N_("系统管理员"), N_("安全管理员"), N_("安全审计员"), N_("业务管理员"), N_("部门管理员"),
    N_("操作员"), N_("审核员"), N_("财务"), N_("运维"), N_("对接开发"),
)  # fmt: skip
"""Names of the roles that come with the program, to be translated; all others are shown as they were given."""

ERRORS: dict[int, tuple[str, str]] = {
    400: (N_("请求不正确"), N_("请返回上一页检查填写的内容后重试。")),
    403: (
        N_("没有权限"),
        N_("您的角色不能进行此操作。如需开通，请联系系统管理员；如页面停留过久，请刷新后重试。"),
    ),
    404: (N_("页面不存在"), N_("地址可能有误，或记录不存在、不在您的数据范围内。请从菜单重新进入。")),
    405: (N_("请求方式不正确"), N_("请从页面上的按钮进行操作，不要直接访问此地址。")),
    413: (N_("提交的内容过大"), N_("请减少号码数量后分批提交。")),
    429: (N_("操作过于频繁"), N_("请稍候片刻再试。")),
    500: (N_("系统错误"), N_("操作未完成。请稍后重试；若仍然出现，请把请求号提供给运维人员。")),
    503: (N_("服务暂时不可用"), N_("请稍后重试；若持续出现，请联系运维人员。")),
}
STORAGE = (
    N_("数据库不可用"),
    N_(
        "暂时无法读取或保存数据，已接收的短信不会丢失。页面会自动重试；若持续出现，请联系运维人员检查数据库。"
    ),
)
