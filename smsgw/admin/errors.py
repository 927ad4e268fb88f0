"""Pages for what goes wrong: what happened, what to do, and the number to quote."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT, N_
from smsgw.core.errors import SmsgwError, message_of


class Stale(web.HTTPForbidden):
    """A change without a valid token: an old page, or somebody else's."""


@dataclass(frozen=True, slots=True)
class _Words:
    title: str
    advice: str


_WORDS: dict[int, _Words] = {
    400: _Words(N_("请求不正确"), N_("请返回上一页检查填写的内容后重试。")),
    403: _Words(
        N_("没有权限"),
        N_("您的角色不能进行此操作。如需开通，请联系系统管理员；如页面停留过久，请刷新后重试。"),
    ),
    404: _Words(N_("页面不存在"), N_("地址可能有误，或记录不存在、不在您的数据范围内。请从菜单重新进入。")),
    405: _Words(N_("请求方式不正确"), N_("请从页面上的按钮进行操作，不要直接访问此地址。")),
    413: _Words(N_("提交的内容过大"), N_("请减少号码数量后分批提交。")),
    429: _Words(N_("操作过于频繁"), N_("请稍候片刻再试。")),
    500: _Words(N_("系统错误"), N_("操作未完成。请稍后重试；若仍然出现，请把请求号提供给运维人员。")),
    503: _Words(N_("服务暂时不可用"), N_("请稍后重试；若持续出现，请联系运维人员。")),
}
_STORAGE = _Words(
    N_("数据库不可用"),
    N_(
        "暂时无法读取或保存数据，已接收的短信不会丢失。页面会自动重试；若持续出现，请联系运维人员检查数据库。"
    ),
)


async def not_found(call: Call) -> web.StreamResponse:
    """No such page."""
    raise web.HTTPNotFound


def page(call: Call, status: int, error: SmsgwError | None = None) -> web.Response:
    """The error page; for a page's script one plain line instead."""
    storage = error is not None and error.code == "STORAGE_UNAVAILABLE"
    words = _STORAGE if storage else _WORDS.get(status, _WORDS[500 if status >= 500 else 400])
    detail = ""
    if error is not None:
        detail = message_of(error.code, error.detail, english=call.language != DEFAULT)
        if storage:  # its message speaks of a message not accepted; here the reason is enough
            detail = str(error.detail.get("reason", ""))
    headers = {"Retry-After": str(round(error.retry_after))} if error and error.retry_after else {}
    if call.is_htmx:
        number = call.gettext("请求号")
        text = f"{call.gettext(words.title)}: {detail or call.gettext(words.advice)} ({number} {call.request_id})"
        return web.Response(text=text, status=status, headers=headers)
    response = call.render(
        "errors/error.html",
        status=status,
        http=status,
        title=words.title,
        advice=words.advice,
        detail=detail,
        retry=storage,
    )
    response.headers.update(headers)
    return response
