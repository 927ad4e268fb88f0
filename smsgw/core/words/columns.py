"""Names of columns in customers' tables, as they write them: to be recognised, never translated."""

from __future__ import annotations

PHONE = r"手机|电话|号码|phone|mobile|msisdn|tel\b|cell|^number$|^to$"
"""A pattern of what a column with numbers is called …"""
BEST_PHONE = r"手机|phone|mobile|msisdn"
"""… and of what is believed first."""
NAME = ("姓名", "name")
"""What stands for a contact's name."""
STAFF: dict[str, tuple[str, ...]] = {
    "login": ("登录名", "账号", "用户名", "工号", "login", "username", "user"),
    "name": ("姓名", "员工姓名", "人员姓名", "name", "full name"),
    "phone": ("手机号", "手机", "手机号码", "联系电话", "电话", "phone", "mobile"),
    "email": ("邮箱", "电子邮箱", "邮件", "email", "e-mail", "mail"),
    "department": ("部门", "部门路径", "所属部门", "科室", "单位", "department"),
    "role": ("角色", "岗位角色", "role", "roles"),
    "account": ("短信账号", "授权账号", "可用账号", "account", "accounts"),
}
"""What columns of tables of staff are called."""

WORDS: dict[str, tuple[str, ...]] = {
    "word": ("敏感词", "关键词", "关键字", "词", "词语", "word", "keyword", "keywords"),
    "category": ("分类", "类别", "词类", "category"),
    "action": ("处理方式", "处理", "动作", "action"),
    "replacement": ("替换为", "替换词", "替换", "replacement"),
}
"""What columns of tables of words are called."""
WORD_ACTION: dict[str, str] = {
    "拦截": "block", "禁发": "block", "block": "block", "送审": "review", "审核": "review", "review": "review",
    "替换": "replace", "replace": "replace",
}  # fmt: skip
"""What such tables say is to be done with a text, and what it means."""

PREFIXES: dict[str, tuple[str, ...]] = {
    "prefix": ("号段", "号段或号码", "号码", "手机号", "手机号段", "前缀", "prefix", "number"),
    "carrier": ("运营商", "现运营商", "携入运营商", "携转后运营商", "归属运营商", "carrier", "operator"),
    "province": ("省", "省份", "归属省", "归属地", "province"),
}
"""What columns of tables of prefixes and ported numbers are called."""
NUMBER_HEAD = "手机号"
"""What a table of ours calls the column of the numbers."""
PROBLEM_HEAD = (("行号", "原因"), ("line", "reason"))
"""Columns behind those of a table whose rows are given back, in Chinese and English."""
CONSENTS: dict[str, tuple[str, ...]] = {
    "number": ("手机号", "手机", "手机号码", "电话号码", "号码", "联系电话", "电话", "phone", "mobile", "number"),
    "given_at": ("同意日期", "同意时间", "日期", "时间", "date", "given_at", "time"),
    "source": ("同意方式", "方式", "来源", "渠道", "source"),
    "wording": ("文本版本", "同意文本", "版本", "wording", "version"),
    "proof": ("凭证", "凭证编号", "凭证说明", "proof"),
}
"""What columns of tables of consents are called."""
CONTACTS: dict[str, tuple[str, ...]] = {
    "number": ("手机号", "手机", "手机号码", "电话号码", "号码", "联系电话", "电话", "phone", "mobile", "number"),
    "name": ("姓名", "名称", "联系人", "客户姓名", "name", "full name"),
    "tags": ("标签", "tag", "tags"),
    "groups": ("分组", "组", "群组", "组别", "group", "groups"),
}
"""What columns of tables of contacts are called."""
NUMBERS: dict[str, tuple[str, ...]] = {
    "number": CONTACTS["number"],
    "reason": ("原因", "备注", "说明", "reason", "note"),
}
"""What columns of tables of numbers are called."""

CODES = ("序号 n", "短链 address")
CODES_OF_NUMBERS = ("序号 n", "手机号 number", "短链 address")
"""Heads of files of short links' codes, for people and for programs."""
