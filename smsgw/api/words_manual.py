"""The words of the interface manual around what routes and their types say: it is in Chinese."""

from __future__ import annotations

TITLE = "短信平台标准接口文档"
TYPES = {
    "string": "字符串", "integer": "整数", "number": "小数", "boolean": "布尔", "array": "数组", "object": "对象",
    "null": "空",
}  # fmt: skip
FORMATS = {"date-time": "时间", "date": "日期"}
LIMITS = {"maxLength": "最长 {}", "maxItems": "最多 {} 个", "minimum": "最小 {}", "maximum": "最大 {}"}
MANY = "数组"
ENUM = "枚举"
OPTIONS = "可选 "
DEFAULT = "缺省 "
CHAPTERS = {
    "messages": "发送与查询", "reports": "状态报告", "mo": "上行短信", "events": "其他事件", "statistics": "统计",
    "balance": "余额", "usage": "用量",
    "templates": "模板", "signs": "签名", "links": "链接", "tasks": "任务", "files": "文件", "webhooks": "推送地址",
    "blocklist": "黑名单", "optouts": "退订", "contacts": "联系人", "audiences": "人群", "numbers": "号码",
    "kinds": "业务类型", "scenarios": "业务场景", "drafts": "草稿", "phrases": "日常用语", "consents": "同意台账",
    "server": "服务状态",
}  # fmt: skip
