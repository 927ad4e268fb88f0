"""Verification codes in texts are found and hidden, by Python and by the database alike."""

from __future__ import annotations

import asyncpg
import pytest

from smsgw.core.actor import ActorLabel
from smsgw.platform.login.model import CODE_SENDER
from smsgw.platform.messages import codes

TEXTS = {
    "【12306】您的验证码是123456，5分钟内有效。": "【12306】您的验证码是******，5分钟内有效。",
    "【示例】验证码 G-83K2Q9，请勿告知他人": "【示例】验证码 G-******，请勿告知他人",
    "【示例】登录码１２３４５６": "【示例】登录码******",
    "Your code: 123 456, valid for 10 minutes": "Your code: ******, valid for 10 minutes",
    "您的登录码为 1-2-3-4": "您的登录码为 ******",
    "您的登录码已发送": "您的登录码已发送",
}


@pytest.mark.parametrize(("text", "shown"), TEXTS.items())
def test_the_code_of_a_text_is_hidden(text: str, shown: str) -> None:
    assert codes.without("otp", ActorLabel("key"), text) == shown


def test_a_text_of_another_type_is_hidden_where_it_says_that_it_has_a_code() -> None:
    assert codes.without("notice", ActorLabel("key"), "您的验证码是1234") == "您的验证码是******"
    assert codes.without("notice", ActorLabel("key"), "您的订单1234已发货") == "您的订单1234已发货"
    assert codes.without("notice", ActorLabel(CODE_SENDER), "您的登录码1234") == "您的登录码******"


_HIDDEN = f"""
SELECT {codes.without_sql("m")} FROM (SELECT $1::text AS type, $2::text AS submitter, $3::text AS content) m
"""  # noqa: S608 - constants


async def test_the_database_hides_the_same(dsn: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=60)
    try:
        for type_, submitter in (("otp", ActorLabel("key")), ("notice", ActorLabel("key")), ("notice", CODE_SENDER)):
            for text in TEXTS:
                shown = await connection.fetchval(_HIDDEN, type_, submitter, text)
                assert shown == codes.without(type_, ActorLabel(submitter), text)
    finally:
        await connection.close()
