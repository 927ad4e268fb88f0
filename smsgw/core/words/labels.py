"""Names of values: of carriers, states, types."""

from __future__ import annotations

LABELS: dict[str, dict[str, tuple[str, str]]] = {
    "type": {
        "otp": ("验证码", "one-time code"),
        "notice": ("通知", "notice"),
        "marketing": ("营销", "marketing"),
    },
    "event": {
        "message.report": ("状态报告", "delivery report"),
        "message.mo": ("上行短信", "message from a user"),
        "task.finished": ("任务完成", "task finished"),
        "template.reviewed": ("模板审核结果", "template reviewed"),
        "sign.reviewed": ("签名审核结果", "signature reviewed"),
        "optout.created": ("用户退订", "user opted out"),
        "balance.low": ("余额不足", "balance is low"),
        "channel.state": ("通道状态变化", "state of a channel changed"),
    },
}
"""Kind -> value -> (Chinese, English)."""
