"""What the API says in its answers: reasons of refusals."""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {
    "number.malformed": ("格式错误", "malformed"),
    "nonce.form": ("应为 16 至 64 位字母、数字或连字符", "16 to 64 letters, digits or hyphens"),
    "bearer.https": ("只能经 HTTPS 使用", "it needs HTTPS"),
    "bearer.allow_list": ("密钥须设置 IP 白名单", "the key needs an IP allow-list"),
    "expires.past": ("须晚于当前时间", "later than now"),
    "sha256.form": ("应为请求体 SHA-256 的 64 位小写十六进制", "64 lower hex digits, the SHA-256 of the body"),
    "sha256.other": ("与请求体不符", "not that of the body"),
    "body.packed": ("不支持压缩的请求体", "compressed bodies are not accepted"),
    "query.utf8": ("不是合法的 UTF-8", "not valid UTF-8"),
    "query.many": ("参数过多", "too many parameters"),
    "query.twice": ("参数重复", "given more than once"),
    "value.nul": ("含有 NUL 字符", "contains a NUL character"),
    "value.null": ("取值不合法", "null is no value"),
    "idempotency.form": ("应为 1 至 64 个可见字符", "1 to 64 visible ASCII characters"),
    "field.unknown": ("未知的参数", "unknown field"),
    "field.not_available": ("本服务器不支持此参数", "not available on this server"),
    "either": ("{one}或{other}", "{one} or {other}"),
    "type.expected": ("应为{wanted}，实为{got}", "expected {wanted}, got {got}"),
    "length.at_most": ("长度应不超过 {n}", "expected a length of at most {n}"),
    "length.at_least": ("长度应不少于 {n}", "expected a length of at least {n}"),
    "value.at_most": ("应不大于 {n}", "expected at most {n}"),
    "value.at_least": ("应不小于 {n}", "expected at least {n}"),
    "time.zone": ("时间须带时区，如 {example}", "a time with its time zone, such as {example}"),
    "time.iso": ("应为 ISO 8601 时间，如 {example}", "a time as in ISO 8601, such as {example}"),
    "value.enum": ("不是允许的取值", "not one of the allowed values"),
    "value.pattern": ("含有不允许的字符", "contains characters that are not allowed"),
    "value.wrong": ("取值不合法", "no usable value"),
    "upload.form": (
        '应为 multipart/form-data，文件放在名为 "file" 的字段中',
        'multipart/form-data with a field "file"',
    ),
    "time.range": ("{field} 超出允许的范围", "{field} is out of range"),
    "task.test_key": (
        "测试密钥不能创建或改动任务，请使用正式密钥",
        "a test key cannot make or change tasks; use a live key",
    ),
}
"""Key -> (Chinese, English)."""
