"""Passwords that people choose and guessers try, and good ones."""

from __future__ import annotations

import time

import pytest

from smsgw.admin import strength
from smsgw.admin.strength import one_time_password, password_problem

COMMON = """
Password123! P@ssw0rd2024 Woaini1314! woaini5201314A Qwer1234!@#$ Qwerty!2345 1qaz@WSX3edc !QAZ2wsx3EDC Zaq12wsx!!
Zhang13812345678! Abc@13800138000 Smsgw2026!! Sms@gateway1 Admin@123456 Admin@2026Admin Abcd1234!! Beijing2008!
Aa123456!! Huawei@123 Winter2026!! Zhangsan@123 Liuyang1990. LiWei@19880808 Aini5201314! Cmcc@10086 Changeme123!
Cityhall@2026 Drag0n!2024 Meilin@2024
""".split()


def test_one_time_passwords_have_128_bits_and_are_good_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {one_time_password("sunny", "Mei Lin") for _ in range(20)}
    assert len(made) == 20
    assert {len(password) for password in made} == {22}  # of 6 bits each
    assert [p for p in made if password_problem(p, login="sunny", name="Mei Lin", brand=())] == []

    bad = ["abcdefghijklmnopqrstuv", "1234567890123456789012", "sUnny-8dk2Lx0Qz7Wb3Tn"]
    given = iter([*bad, "Hq8-zTx0Lw_3Rb9Kd2Yc5M"])
    monkeypatch.setattr(strength.secrets, "token_urlsafe", lambda octets: next(given))
    assert one_time_password("sunny", "Mei Lin") == "Hq8-zTx0Lw_3Rb9Kd2Yc5M"


@pytest.mark.parametrize("password", COMMON)
def test_common_passwords_and_their_variations_are_refused(password: str) -> None:
    problem = password_problem(password, login="sunny", name="Mei Lin", brand=["Cityhall 短信平台"])
    assert problem.startswith("密码太常见")


@pytest.mark.parametrize("password", ["Aa1-Aa1-A", "aaaaaaaaaaaa1", "Aa1" * 60, "My-Zhang3-99"])
def test_passwords_that_break_the_plain_rules(password: str) -> None:
    assert password_problem(password, login="zhang3", name="", brand=())


@pytest.mark.parametrize(
    "password",
    [
        "Right-Horse-7", "Other-Horse-8", "Kx9#mLq2vT", "zW3-uF8q_Pl1x", "Yi-Tiao-Da-He-7", "T4lescope#Brimming",
        "雨后Qt7!小巷里的猫x",
    ],
)  # fmt: skip
def test_good_passwords(password: str) -> None:
    assert password_problem(password, login="zhang3", name="张三", brand=["城市短信"]) is None


def test_judging_takes_no_time_that_others_would_notice() -> None:
    began = time.process_time()
    for made in ("Qz" + "4@8({[</369&#!1/|0$5+7%2" * 4, "aB1!" + "qwertyuiop[]asdfghjkl;" * 5, "2019-12-11Ab" * 10):
        password_problem(made[:128], login="zhang3", name="", brand=())
    assert time.process_time() - began < 3.0
