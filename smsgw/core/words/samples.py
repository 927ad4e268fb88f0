"""Texts of tests, demonstrations and benches, which are sent and never translated."""

from __future__ import annotations

TEST = "测试"
"""The content of the sample that a test of an endpoint sends."""
PROBE = "通道探测"
"""The content of the probe of a channel, unless its profile has another."""

DEMO_SIGN = "示例单位"
DEMO_ACCOUNT = "演示账号"
DEMO_BALANCE = "演示额度"
DEMO_PERSON = "管理员"
DEMO_FIRST = "您好，这是 smsgw 发出的第一条短信。"
DEMO_NOTICE = "您的预约已确认，请准时到场。"
"""Of ``smsgwctl demo``."""

BENCH = "您的取件码是{serial:09d},请于今日二十点前到一号门领取。"
BENCH_TEMPLATE = "{name}，您的取件码是{code}，请于今日二十点前到一号门领取。"
BENCH_NAME = "用户{serial:09d}"
"""The same with each recipient's own values."""
BENCH_CODE = "您的验证码是{serial:09d}，五分钟内有效，请勿告知他人。"
BENCH_SERIAL = r"(?:取件码|验证码)是(\d{9})"
"""A message of a bench, and what finds its serial number in it."""
BENCH_SIGN = "压测"
BENCH_WORD = "压测词{n:05d}"

RECORDED_FOR = "号码投诉排查：与运营商核对提交内容"
"""Why submits are recorded."""
LOADED_FOR = "演示数据，并非实测"
"""Why a load test of the demo was begun."""
CHANNEL_CHANGES = ("试运行期间限速", "试运行结束，按合同恢复", "合同扩容，自下月起")
"""Why a channel was changed."""

TEST_TEXT = "测试内容请忽略"
"""What stands in the place of a masked text."""
