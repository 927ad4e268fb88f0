"""Why something is not possible, said by the core, the pipeline, the store and the channels."""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {
    "number.between": ("须为 {low} 到 {high} 的整数", "a whole number from {low} to {high}"),
    "choice.of": ("可选 {known}", "one of {known}"),
    "text.at_most": ("须为不超过 {limit} 个字符的文本", "a text of at most {limit} characters"),
    # addresses that events are pushed to
    "webhook.options": ("可用选项为 {known}", "known are {known}"),
    "webhook.single": ("{format} 每次只能推送 1 条", "{format} carries one item"),
    "webhook.fields_many": ("须为不超过 40 项的对象", "an object of at most 40 members"),
    "webhook.field_name": ("{name} 的字段名或取值不合法", "{name} is no usable name or field"),
    "webhook.items_field": ("须为字母、数字、_ . - [ ]", "letters, digits, _ . - [ ]"),
    "url.ascii": (
        "须为不超过 2000 个字符的 URL,非 ASCII 字符须转义",
        "a URL of at most 2000 ASCII characters",
    ),
    "url.none": ("不是合法的 URL", "not a URL"),
    "url.http_or_https": ("须以 http:// 或 https:// 开头", "http:// or https:// is wanted"),
    "url.https": ("须以 https:// 开头", "https:// is wanted"),
    "url.bare": ("不能含用户名、密码或 #", "no user name, password or fragment"),
    "url.places": (
        "只有 get 格式可在路径与参数中使用占位符",
        "placeholders only with the format get, behind the host",
    ),
    "host.name": ("主机名不合法", "not a host name"),
    "host.denied": ("不允许推送到该地址", "this address may not be pushed to"),
    "host.port": ("不允许的端口 {port}", "port {port} is not allowed"),
    "hosts.count": ("须为 1 到 {most} 个主机名", "1 to {most} host names"),
    "hosts.one": ("{host} 不是主机名", "{host} is not a host name"),
    "callback.host": ("主机不在允许列表", "the host is not on the account's list"),
    "callback.missing": (
        "账号未设置允许的主机,请先设置推送地址 callback",
        "the account has no list of hosts; set up the endpoint `callback` first",
    ),
    # how much may be sent
    "rate.days": ("{n} 天内最多 {most} 条", "at most {most} in {n} d"),
    "rate.hours": ("{n} 小时内最多 {most} 条", "at most {most} in {n} h"),
    "rate.minutes": ("{n} 分钟内最多 {most} 条", "at most {most} in {n} min"),
    "rate.seconds": ("{n} 秒内最多 {most} 条", "at most {most} in {n} s"),
    "messages.of_type": ("{type}短信", "{type} messages"),
    "frequency.rule": ("{what} {rate}", "{what}: {rate}"),
    "frequency.identical": ("相同内容 {seconds} 秒内最多 1 条", "the same text at most once in {seconds} s"),
    "frequency.platform": (
        "已达到平台对单个号码的保护上限,请稍后重试",
        "the platform's own limit for a single number is reached; try again later",
    ),
    "abroad.hourly": ("1 小时内最多 {most} 条", "at most {most} in an hour"),
    "abroad.countries": (
        "1 小时内最多 {most} 个近 30 天未发送过的国家或地区",
        "at most {most} countries or regions in an hour that were not sent to within 30 days",
    ),
}
"""Key -> (Chinese, English)."""
