"""Answers in the language that was asked for: no Chinese in English ones, the known sentences in Chinese ones."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from api_server import Answer, Api, running

from smsgw.platform.keys.model import NewKey
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import audit

pytestmark = pytest.mark.asyncio(loop_scope="module")
HAN = re.compile("[\u3400-\u9fff]")
SCOPES = ("send", "query", "report", "mo", "balance", "webhook", "template", "link", "number")
NUMBER = "13800138000"
ONE = {"to": [NUMBER], "content": "x"}
LONG = "x" * 65
LIKE, PAST, URL = "2026-05-01T09:00:00+08:00", "2020-01-01T00:00:00Z", "https://a.example/"
GET = {"format": "get"}
BACKWARDS = "from_day=2026-01-02&to_day=2026-01-01"
TASK = {"name": "n", "content": "hello", "to": [NUMBER]}
WRONG = "参数格式不正确：{}，{}"
TAGS = WRONG.format("items[0].tags", "最多 20 个标签，每个 1–32 个字符")
CONFLICT = "当前状态不允许此操作：{}"
TYPES = (
    "message.report, message.mo, task.finished, template.reviewed, sign.reviewed, optout.created, link.click, "
    "balance.low, channel.state"
)

Call = tuple[str, str, Any, Mapping[str, str], str]


def post(path: str, body: Any, said: str, **headers: str) -> Call:
    return "POST", path, body, headers, said


def get(path: str, said: str, **headers: str) -> Call:
    return "GET", path, None, headers, said


def upload(octets: bytes, reason: str) -> Call:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n%b\r\n--b--\r\n' % octets
    said = f"文件无法使用：{reason}"
    return post("/files", body, said, Content_Type="multipart/form-data; boundary=b")


def task(said: str, **fields: Any) -> Call:
    return post("/tasks", {name: value for name, value in (TASK | fields).items() if value is not None}, said)


def every(unit: str, on: int) -> dict[str, Any]:
    return {"every": unit, "at": ["09:00"], "on": [on]}


def webhook(body: Any, said: str, name: str = "own") -> Call:
    return "PUT", f"/webhooks/{name}", body, {}, said


REFUSED: list[Call] = [
    # what is no request
    post("/messages", {"content": "x"}, "缺少参数：to"),
    post("/messages", {"to": NUMBER, "content": "x"}, WRONG.format("to", "应为数组，实为字符串")),
    post("/messages", {"to": [5], "content": "x"}, WRONG.format("to[0]", "应为字符串，实为整数")),
    post("/messages", {"to": [NUMBER], "content": 5}, WRONG.format("content", "应为字符串，实为整数")),
    post("/messages", {"to": [NUMBER], "typo": 5}, WRONG.format("typo", "未知的参数")),
    post("/messages", ONE | {"report": False}, WRONG.format("report", "本服务器不支持此参数")),
    post("/messages", ONE | {"type": "x"}, WRONG.format("type", "可选 otp, notice, marketing")),
    post("/messages", {"to": [NUMBER], "client_ref": LONG}, WRONG.format("client_ref", "长度应不超过 64")),
    post("/messages", ONE | {"send_at": "2026-05-01T09:00:00"}, WRONG.format("send_at", f"时间须带时区，如 {LIKE}")),
    post("/messages", ONE | {"send_at": "soon"}, WRONG.format("send_at", f"应为 ISO 8601 时间，如 {LIKE}")),
    post("/messages", ONE | {"send_at": "1999-05-01T09:00:00Z"}, "发送时间不合法：send_at 超出允许的范围"),
    post("/messages", ONE | {"content": "a\0b"}, WRONG.format("content", "含有 NUL 字符")),
    post("/messages", b"{", "请求体不是合法的 JSON，请检查格式与 UTF-8 编码"),
    post("/messages", {}, WRONG.format("Content-Encoding", "不支持压缩的请求体"), Content_Encoding="gzip"),
    post("/messages", ONE, WRONG.format("Idempotency-Key", "应为 1 至 64 个可见字符"), Idempotency_Key=LONG),
    get("/messages?limit=0", WRONG.format("limit", "应不小于 1")),
    get("/messages?limit=100000", WRONG.format("limit", "应不大于 500")),
    get("/messages?limit=1&limit=1", WRONG.format("limit", "参数重复")),
    get("/messages?number=%ff", WRONG.format("query", "不是合法的 UTF-8")),
    get("/messages?status=null", WRONG.format("status", "取值不合法")),
    get("/messages?" + "&".join(f"a{n}=1" for n in range(60)), WRONG.format("query", "参数过多")),
    get("/messages/1", "记录不存在或无权查看"),
    ("PUT", "/messages", None, {}, "该地址不支持此方法，请查看接口文档"),
    get("/statistics?group=x", WRONG.format("group", "含有不允许的字符")),
    get(f"/statistics?{BACKWARDS}", WRONG.format("to_day", "须不早于起始日期，最多跨 366 天")),
    get(f"/usage?{BACKWARDS}", WRONG.format("to_day", "须不早于起始日期，最多跨 366 天")),
    # files
    upload(b"", "文件为空"),
    upload(b"\n\n", "文件中没有数据"),
    upload(b"PK\3\4 broken", "不是有效的 XLSX 文件"),
    upload(b"\xd0\xcf\x11\xe0", "不支持 .xls 或加密的工作簿，请另存为未加密的 .xlsx 或 CSV"),
    upload(b"a\0b", "文件不是文本，请上传 CSV 或 XLSX"),
    upload(b",".join([b"x"] * 300), "第 1 行超过 256 列"),
    # tasks
    task(WRONG.format("to", "与号码文件、人群只能填写一个"), audience_id="1"),
    task(WRONG.format("params", "只能与模板一起使用"), params={"a": "b"}),
    task(WRONG.format("content", "与模板只能填写一个"), template_id="1"),
    task("模板 1 不存在，请核对模板编号", template_id="1", content=None),
    task("内容为空，请填写 content", content=None),
    task("号码为空，请在 to 中至少填写一个号码", to=None),
    task(WRONG.format("mapping.variables", "内容中没有变量 a"), mapping={"variables": {"a": "b"}}),
    task(WRONG.format("window[0]", "开始与结束时间相同"), window=[{"from": "09:00", "to": "09:00", "days": [1]}]),
    task(WRONG.format("recurring.on", "每天发送时不能指定"), recurring=every("day", 1)),
    task(WRONG.format("recurring.on", "应为 1 至 31 的列表，-1 表示最后一天"), recurring=every("month", 0)),
    task(WRONG.format("recurring.on", "应为 1 至 7 的列表"), recurring=every("week", 9)),
    task("发送时间不合法：最多可提前 366 天", send_at=timedelta(days=400)),
    task("发送时间不合法：有效期须晚于发送时间", expire_at=timedelta(days=-1)),
    # what an account has
    post("/signs", {"sign": "a b"}, WRONG.format("sign", "签名须为 2 到 20 个字符，不含【】和空白")),
    post("/templates", {"name": " ", "content": "hello"}, WRONG.format("name", "名称须为 1 到 64 个字符")),
    post("/contacts", {"items": [{"number": NUMBER, "tags": [" "]}]}, TAGS),
    post("/blocklist", {"numbers": [NUMBER], "expires_at": PAST}, WRONG.format("expires_at", "须晚于当前时间")),
    post("/audiences", {"name": " "}, WRONG.format("name", "须为 1–64 个字符")),
    webhook({"url": URL, "events": ["x"]}, WRONG.format("events", f"未知事件 x；可选 {TYPES}")),
    webhook({"hosts": ["a.example"]}, WRONG.format("hosts", "只有 callback 可设置 hosts")),
    webhook({"url": URL}, WRONG.format("url", "callback 的地址来自消息的 callback_url，请设置 hosts"), "callback"),
    webhook({"url": URL, "options": GET}, WRONG.format("url", "get 格式的地址须含占位符，如 {message_id}")),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def api(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """One server for all: nothing that is refused leaves anything behind."""
    sealer = Sealer(b"k" * 32)
    audit.use(lambda: sealer)
    dsn = await postgres.make("languages", postgres.template)
    async with running(dsn, tmp_path_factory.mktemp("languages")) as built:
        built.key = await built.add_key(scopes=SCOPES)
        yield built
    await postgres.drop("languages")


async def both(api: Api, call: Call, key: NewKey | None = None) -> tuple[Answer, Answer]:
    method, path, body, headers, _ = call
    if isinstance(body, dict):
        now = datetime.now(UTC)
        body = {name: (now + of).isoformat() if isinstance(of, timedelta) else of for name, of in body.items()}
    languages = ("zh-CN", "en-GB,en;q=0.9")
    chinese, english = [
        await api.call(method, path, body, key=key, Accept_Language=wanted, **headers) for wanted in languages
    ]
    return chinese, english


def in_english(answer: Answer) -> None:
    assert not HAN.search(json.dumps(answer.body, ensure_ascii=False)), answer.body


@pytest.mark.parametrize("call", REFUSED, ids=lambda call: f"{call[0]} {call[1][:30]} {call[4][:40]}")
async def test_a_refusal_is_in_the_language_that_was_asked_for(api: Api, call: Call) -> None:
    chinese, english = await both(api, call)
    assert (chinese.status, chinese.code) == (english.status, english.code)
    assert chinese.status >= 400
    assert chinese.body["message"] == call[4]
    assert chinese.body["message_en"] == english.body["message"] == english.body["message_en"]
    in_english(english)


async def test_a_task_says_in_both_languages_how_it_is(api: Api) -> None:
    made = (await api.post("/tasks", TASK)).data["task_id"]
    assert (await api.post(f"/tasks/{made}/cancel")).status == 200
    chinese, english = await both(api, get(f"/tasks/{made}", ""))
    assert (chinese.data["state_name"], english.data["state_name"]) == ("已取消", "cancelled")
    in_english(english)
    for action, verb in (("pause", "暂停"), ("resume", "继续"), ("cancel", "取消")):
        chinese, english = await both(api, post(f"/tasks/{made}/{action}", None, ""))
        assert chinese.body["message"] == CONFLICT.format(f"任务已取消，不能{verb}")
        in_english(english)


async def test_a_task_of_a_test_key_is_refused_in_both(api: Api) -> None:
    chinese, english = await both(api, task(""), await api.add_key(scopes=SCOPES, test=True))
    assert chinese.body["message"] == CONFLICT.format("测试密钥不能创建或改动任务，请使用正式密钥")
    in_english(english)


async def test_what_is_refused_item_by_item_is_in_the_language(api: Api) -> None:
    body = {"to": [NUMBER, "12", NUMBER], "content": "hello"}
    chinese, english = await both(api, post("/messages", body, ""))
    assert chinese.data["items"][1]["message"] == "手机号码格式不正确，请检查后重新提交"
    in_english(english)
    chinese, english = await both(api, post("/numbers/check", {"numbers": ["12", NUMBER]}, ""))
    assert chinese.data["items"][0]["state_name"] == "格式错误"
    assert english.data["items"][0]["state_name"] == "malformed"


async def test_the_story_of_a_message_is_told_in_the_language(api: Api) -> None:
    sent = (await api.post("/messages", {"to": [NUMBER], "content": "hello", "sign": "ACME"})).data["items"][0]
    chinese, english = await both(api, get(f"/messages/{sent['message_id']}/trace", ""))
    assert [step["label"] for step in chinese.data["steps"]] == ["平台受理", "路由并排队"]
    assert [step["label"] for step in english.data["steps"]] == ["accepted and stored", "routed and queued"]


async def test_names_of_values_are_in_the_language(api: Api) -> None:
    assert (await api.post("/blocklist", {"numbers": ["13900000001"]})).status == 200
    assert (await api.post("/links/filings", {"target": "a.example.com"})).status in (200, 201)
    blocked = await both(api, get("/blocklist", ""))
    filed = await both(api, get("/links/filings", ""))
    assert [answer.data["items"][0]["source_name"] for answer in blocked] == ["人工黑名单", "entered by hand"]
    states = [answer.data["items"][0]["carriers"]["CMCC"]["state_name"] for answer in filed]
    assert states == ["待报备", "to be filed"]
    in_english(blocked[1])
    in_english(filed[1])


async def test_what_became_of_a_refused_message_is_in_the_language(api: Api) -> None:
    assert (await api.post("/blocklist", {"numbers": ["13900000002"]})).status == 200
    await api.lists.follow()
    sent = (await api.post("/messages", {"to": ["13900000002"], "content": "hi", "sign": "ACME"})).data["items"][0]
    assert sent["code"] == "NUMBER_BLACKLISTED"
    chinese, english = await both(api, get(f"/messages/{sent['message_id']}/trace", ""))
    assert chinese.data["message"]["description"] == sent["message"]
    assert "人工黑名单" in sent["message"]
    assert "…" in english.data["message"]["description"]
    in_english(english)


async def test_a_table_of_recipients_has_its_headings_in_the_language(api: Api) -> None:
    made = (await api.post("/tasks", TASK)).data["task_id"]
    for rows in ("all", "errors"):
        tables = await both(api, get(f"/tasks/{made}/report?rows={rows}", ""))
        heads = [answer.raw.decode("utf-8-sig").splitlines()[0] for answer in tables]
        assert [head.split(",")[0] for head in heads] == ["行号", "line"]
        assert not HAN.search(heads[1])
