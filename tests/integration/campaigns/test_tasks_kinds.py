"""Tasks of every kind: what they are made of and need, and how their statements are planned."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from changes import by_test
from databases import change
from taskdesk import Desk, desk, refusing

from smsgw.core.actor import Actor, ActorLabel
from smsgw.core.errors import SmsgwError
from smsgw.core.keywords import Action, Word
from smsgw.core.kinds import CustomKind
from smsgw.core.model import MessageType, Origin
from smsgw.core.states import PartState
from smsgw.core.tasks import Task
from smsgw.core.templates import Form, Review, Variable
from smsgw.platform.accounts import service as accounts
from smsgw.platform.audience import service as audience
from smsgw.platform.audience.model import ContactInput
from smsgw.platform.campaigns import imports, recipients
from smsgw.platform.campaigns.importer import Importer
from smsgw.platform.campaigns.model import TaskSpec
from smsgw.platform.change import Change
from smsgw.platform.content import service as registry
from smsgw.platform.content.model import TEMPLATE
from smsgw.platform.jobs import queries as job_queries, service as jobs
from smsgw.platform.jobs.runner import JobRunner
from smsgw.platform.kinds import service as kinds
from smsgw.platform.policies import service as policies
from smsgw.platform.review import queries as reviews
from smsgw.platform.words import service as words
from smsgw.store.engine.database import Connection, connect
from smsgw.store.messages import task_aside, task_parts, tasks as store

CSV = """手机号,订单,备注
13800000001,A1,x
13800000002,订单号,y
13800000003,A3,z
13800000004,,z
""".encode()


async def template(d: Desk, content: str, state: Review = Review.APPROVED, **variables: Variable) -> int:
    # The variables are not in the order of their names: that of the text counts.
    name = content[:10]
    made = await registry.add_template(by_test(d.database), d.account_id, name, "notice", content, variables)
    await registry.review(by_test(d.database, d.ids.next, actor="reviewer"), TEMPLATE, made, state, reason="x")
    await d.snapshots.follow()
    return made


async def texts(d: Desk, column: str = "content") -> list[str]:
    return [row[column] for row in await d.database.fetch("SELECT * FROM message ORDER BY id")]


async def uploaded(d: Desk, table: bytes = CSV) -> int:
    incoming = await d.tasks.files.receive(d.account_id, len(table))
    incoming.path.write_bytes(table)
    incoming.name = "a.csv"
    return (await d.tasks.files.keep(incoming, "t")).id


async def imported(d: Desk) -> None:
    runner = JobRunner(d.database, 1, [Importer(d.database, d.tasks, keep_days=1).kind()])
    while await runner.claim():
        await runner.settled()


async def test_a_template_is_filled_from_columns_and_values_of_the_task(d: Desk) -> None:
    order = await template(
        d, "{称呼}的订单{订单}已发货,客服{电话}。", 订单=Variable(Form.ALNUM, 10), 电话=Variable(Form.DIGITS, 12)
    )
    how = {"template_id": order, "upload_id": await uploaded(d), "rows": 0, "content": ""}
    with refusing("TEMPLATE_PARAM_INVALID", name="价格"):
        await d.make(**how, params={"称呼": "您", "价格": "1"})
    with pytest.raises(SmsgwError, match="类型"):
        await d.make(**how, type=MessageType.MARKETING)
    with pytest.raises(SmsgwError, match="电话"):
        await d.make(**how, params={"称呼": "您"})
    task_id = await d.make(**how, params={"称呼": "您", "电话": "95555"})
    await imported(d)
    view = await d.fed(task_id)
    assert view.task.problems == {"TEMPLATE_PARAM_INVALID": 1, "CONTENT_VARIABLE_UNRESOLVED": 1}
    assert view.progress.statuses == {"queued": 2}
    said = "【测试】您的订单{}已发货,客服95555。"
    assert await texts(d) == [said.format("A1"), said.format("A3")]
    assert await texts(d, "template_id") == [order] * 2


@pytest.mark.parametrize("begun", [False, True])
async def test_with_its_import_a_task_is_cancelled(d: Desk, begun: bool) -> None:
    task_id = await d.make(upload_id=await uploaded(d), rows=0)
    if begun:  # by a node that is away then
        assert await job_queries.claim(d.database, 7, {imports.NAME: 1}, timedelta())
    job_id = await d.database.fetchval("SELECT id FROM job")
    change = Change(d.database, Actor.operator("root"))
    job = await jobs.cancel(change, job_id, imports.ENDS)
    assert job.state == ("running" if begun else "cancelled")
    assert (await d.view(task_id)).task.state == "cancelled"
    told = await d.database.fetch("SELECT action, object FROM audit WHERE action LIKE '%.cancel' ORDER BY id")
    assert [tuple(row) for row in told] == [("job.cancel", f"job/{job_id}"), ("task.cancel", f"task/{task_id}")]
    await imported(d)
    assert await d.database.fetchval("SELECT state FROM job") == "cancelled"
    # Whatever its task is said to be, nobody begins it anew.
    await d.database.execute("UPDATE task SET state = 'importing'")
    async with d.database.transaction() as connection:
        assert await imports.enqueue(connection) == 0
    await imported(d)
    await d.feed()
    assert await d.states() == {}


async def test_an_import_whose_rows_are_there_cannot_be_cancelled(d: Desk) -> None:
    task_id = await d.make(upload_id=await uploaded(d), rows=0)
    await imported(d)
    await d.database.execute("UPDATE job SET state = 'running', leased_until = now() + interval '1 minute'")
    job_id = await d.database.fetchval("SELECT id FROM job")
    with refusing("STATE_CONFLICT"):
        await jobs.cancel(Change(d.database, Actor.operator("root")), job_id, imports.ENDS)
    assert not await d.database.fetchval("SELECT cancel_asked FROM job")
    assert (await d.fed(task_id)).progress.statuses == {"queued": 4}


async def test_a_template_must_be_approved_and_a_task_waits_when_it_is_not_any_more(d: Desk) -> None:
    numbers = ["13800000001", "13800000002"]
    with refusing("TEMPLATE_NOT_FOUND", id="99"):
        await d.make(to=numbers, content="", template_id=99)
    order = await template(d, "您的订单已发货。", Review.REFUSED)
    with refusing("TEMPLATE_NOT_APPROVED"):
        await d.make(to=numbers, content="", template_id=order)
    await registry.review(by_test(d.database, d.ids.next, actor="r"), TEMPLATE, order, Review.APPROVED)
    await d.snapshots.follow()
    task_id = await d.make(to=numbers, content="", template_id=order)
    await registry.review(by_test(d.database, d.ids.next, actor="r"), TEMPLATE, order, Review.REFUSED, reason="x")
    await d.snapshots.follow()
    view = await d.fed(task_id)
    assert (view.task.state, view.task.reason, view.progress.pending) == ("paused", "TEMPLATE_NOT_APPROVED", 2)


async def test_an_audience_is_written_to_with_its_contacts_fields(d: Desk) -> None:
    change = Change(d.database, Actor.system("test"))
    made = await audience.add_audience(change, d.account_id, "老客户")
    with refusing("TO_EMPTY"):
        await d.make(rows=0, content="您好", audience_id=made.id)
    people = [
        ContactInput("13800000001", "张三", None, {"city": "北京", "card": "1001"}),
        ContactInput("13800000002", "李四", None, {"city": "上海"}),
        ContactInput("13800000003", "王五", None, {}),
        ContactInput("+85291234567", "陈六", None, {"city": "香港"}),
    ]
    await audience.put(change, d.account_id, people, made.id)
    await audience.put(change, d.account_id, [ContactInput("13800000009", "无关")])
    other = await accounts.add(by_test(d.database), "other")
    theirs = await audience.add_audience(change, other, "别人的")
    with refusing("NOT_FOUND"):
        await d.make(rows=0, content="您好", audience_id=theirs.id)
    with refusing("CONTENT_VARIABLE_UNRESOLVED", name="级别"):
        await d.make(rows=0, content="{级别}您好", audience_id=made.id)
    task_id = await d.make(
        rows=0, content="{姓名}您好,{城市}门店开业", audience_id=made.id, variables={"城市": "city"}, ext_column="card"
    )
    await imported(d)
    view = await d.fed(task_id)
    assert (view.task.total, view.task.problems) == (4, {"CONTENT_VARIABLE_UNRESOLVED": 1})
    assert await texts(d) == [f"【测试】{who}门店开业" for who in ("陈六您好,香港", "张三您好,北京", "李四您好,上海")]
    assert await texts(d, "ext") == ["", "1001", ""]
    table = b"".join([piece async for piece in recipients.errors(d.database, view.task, 1)]).decode()
    assert "王五" in table


async def test_reports_of_a_task_go_to_its_own_address(dsn: str, tmp_path: Path) -> None:
    asked: list[str] = []

    class Some:
        def check_callback(self, account: object, url: str) -> None:
            asked.append(url)
            if "bad" in url:
                raise SmsgwError("CALLBACK_NOT_ALLOWED")

    async with desk(dsn, tmp_path, destinations=Some()) as d:
        with pytest.raises(SmsgwError):
            await d.make(callback_url="https://bad.example/r")
        task_id = await d.make(3, callback_url="https://good.example/r")
        assert (await d.fed(task_id)).progress.statuses == {"queued": 3}
        assert await texts(d, "callback_url") == ["https://good.example/r"] * 3


@pytest.mark.parametrize("content", ["您好", "订单{订单}已发货"])
async def test_a_task_waits_when_its_digits_have_become_anothers(d: Desk, content: str) -> None:
    """All of its rows are alike in that: none of them is used up by it, though each may have a text of its own."""
    await accounts.edit(by_test(d.database), d.account_id, {"extend_code": "12"})
    await d.snapshots.follow()
    with refusing("STATE_CONFLICT"):
        await accounts.add(by_test(d.database), "bank", extend_code="12")
    task_id = await d.make(0, content, upload_id=await uploaded(d), extend_code="3")
    await imported(d)
    with refusing("STATE_CONFLICT"):
        await accounts.add(by_test(d.database), "bank", extend_code="123")
    await accounts.add(by_test(d.database), "bank")
    # As a former version did.
    await d.database.execute("UPDATE account SET extend_code = '123' WHERE name = 'bank'")
    await d.snapshots.follow()
    view = await d.fed(task_id)
    assert (view.task.state, view.task.reason) == ("paused", "EXTEND_CODE_INVALID")
    assert (view.progress.pending, await texts(d)) == (view.progress.valid, [])
    with refusing("EXTEND_CODE_INVALID"):
        await d.make(1, extend_code="34")


async def test_files_in_a_relative_data_directory_are_found_by_the_process_that_reads_them(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data directory is "var" unless somebody says otherwise, and readers work elsewhere."""
    monkeypatch.chdir(tmp_path)
    async with desk(dsn, Path()) as d:
        task_id = await d.make(0, "您好", upload_id=await uploaded(d))
        await imported(d)
        assert (await d.view(task_id)).progress.valid == 4


async def test_a_word_far_down_in_the_table_lets_the_whole_wait_and_is_seen(d: Desk) -> None:
    await words.put(by_test(d.database), [Word("贷款", "金融", Action.REVIEW)])
    await d.snapshots.follow()
    rows = [f"139{n:08},{'贷 款' if n == 461 else '水费'}" for n in range(600)]
    task = await of_table(d, "手机号,事项\n" + "\n".join(rows), "关于{事项}的通知")
    assert not task.review, "the first rows know nothing of it"
    await imported(d)
    view = await d.view(task.id)
    assert view.task.state == "review"
    assert view.task.review_reasons == ["1 行的内容含敏感词：贷款(金融)"]
    seen = await reviews.get(d.database, task.id, accounts=None)
    assert seen.reasons == ["1 行的内容含敏感词：贷款(金融)"]
    found = await reviews.held_rows(d.database, task.id)
    assert found[0] == 1
    assert [(one.number, one.content) for one in found[1]] == [("8613900000461", "关于贷 款的通知")]
    await d.feed()
    assert not await d.states(), "nothing is sent before somebody has passed it"
    await d.reviewing.decide(by_test(d.database, d.ids.next, actor="boss"), task.id, passes=True)
    await d.feed()
    states = await d.states()
    assert PartState.HELD not in states, "nobody is asked twice"
    assert states[PartState.QUEUED] == 540
    assert await d.database.fetchval("SELECT count(*) FROM review WHERE NOT task") == 0


async def test_rows_without_a_template_or_with_a_new_link_are_seen_before(d: Desk) -> None:
    await template(d, "关于{事项}的通知", 事项=Variable(Form.TEXT, 6))
    await template(d, "详见 https://good.example.cn/a/{码}", 码=Variable(Form.ALNUM, 6))
    await policies.put(by_test(d.database), "review", "untemplated", account_id=d.account_id)
    await policies.put(by_test(d.database), "review_new_link", "true", account_id=d.account_id)
    await d.snapshots.follow()
    rows = [f"138{n:08},水费" for n in range(300)]
    rows[250] = "13800000250,一件很长很长的事情"
    rows[260] = "13800000260,t.cn/x"
    rows[270] = "13800000270,good.example.cn/a/1 一件事"
    task = await of_table(d, "手机号,事项\n" + "\n".join(rows), "关于{事项}的通知")
    await imported(d)
    view = await d.view(task.id)
    assert view.task.state == "review"
    assert view.task.review_reasons == ["2 行的内容不符合已审核的模板", "1 行的内容含新链接：t.cn/x"]
    n, found = await reviews.held_rows(d.database, task.id)
    assert n == 3
    assert [one.content for one in found] == [
        "关于一件很长很长的事情的通知", "关于t.cn/x的通知", "关于good.example.cn/a/1 一件事的通知",
    ]  # fmt: skip
    good = await of_table(d, "手机号,事项\n13700000001,水费", "关于{事项}的通知")
    await imported(d)
    assert (await d.view(good.id)).task.state == "scheduled", "nothing is held that need not be"


async def of_table(d: Desk, table: str, content: str, at: datetime | None = None) -> Task:
    file = await uploaded(d, table.encode())
    spec = TaskSpec(d.account, "测试", content, Origin.API, ActorLabel("key"), upload_id=file, send_at=at)
    return (await d.tasks.create(by_test(d.database), spec))[0]


async def test_rows_of_an_edited_task_are_asked_anew(d: Desk) -> None:
    await words.put(by_test(d.database), [Word("贷款", "金融", Action.REVIEW)])
    await d.snapshots.follow()
    rows = [f"138{n:08},{'贷' if n == 461 else '存'}" for n in range(600)]
    table, at = "手机号,事项\n" + "\n".join(rows), d.now() + timedelta(days=1)
    task = await of_table(d, table, "关于{事项}的通知", at)
    await imported(d)
    assert (await d.view(task.id)).task.state == "scheduled"
    change = by_test(d.database, d.ids.next)
    edited = await d.tasks.edit(change, task.id, {"content": "关于{事项}款的通知"})
    assert (edited.state, edited.review_reasons) == ("review", ["1 行的内容含敏感词：贷款(金融)"])
    n, found = await reviews.held_rows(d.database, task.id)
    assert (n, [one.content for one in found]) == (1, ["关于贷款的通知"])


async def _bill(d: Desk) -> CustomKind:
    await kinds.add(by_test(d.database), "bill", "账单", MessageType.NOTICE)
    await d.snapshots.follow()
    return d.snapshots.current.kinds["bill"]


async def _put(d: Desk, name: str, value: str, type_: str) -> None:
    await policies.put(by_test(d.database), name, value, type_=type_)
    await d.snapshots.follow()


async def test_it_waits_for_the_hours_of_its_kind_and_goes_on_when_that_is_retired(d: Desk) -> None:
    kind = await _bill(d)
    d.at("09:00")
    await _put(d, "hours", "10:00-11:00", "bill")
    task_id = await d.make(5, type=MessageType.NOTICE, kind=kind)
    plain = await d.make(3, type=MessageType.NOTICE)
    assert (await d.fed(plain)).progress.statuses == {"queued": 3}
    assert (await d.view(task_id)).progress.statuses == {}
    await kinds.retire(by_test(d.database), "bill")
    await d.snapshots.follow()
    d.at("10:00")
    assert (await d.fed(task_id)).progress.statuses == {"queued": 5}
    counted = await d.database.fetch("SELECT kind, count(*)::int AS n FROM message GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in counted] == [("", 3), ("bill", 5)]


async def test_it_goes_on_as_soon_as_its_hours_are_changed_so_that_it_may(d: Desk) -> None:
    kind = await _bill(d)
    d.at("09:00")
    await _put(d, "hours", "10:00-11:00", "bill")
    task_id = await d.make(5, type=MessageType.NOTICE, kind=kind)
    assert (await d.fed(task_id)).task.reason == "TIME_WINDOW_CLOSED"
    await _put(d, "hours", "09:30-11:00", "bill")
    assert (await d.fed(task_id)).progress.statuses == {}
    await _put(d, "hours", "08:00-11:00", "bill")
    assert (await d.fed(task_id)).progress.statuses == {"queued": 5}


_FILL = (
    "INSERT INTO account (name) VALUES ('mine'), ('theirs')",
    """
    INSERT INTO task (id, account_id, name, state, origin, submitter, type, sign, content, ext, extend_code, mapping,
                      one_each, review, windows)
    SELECT n, CASE WHEN n % 500 = 0 THEN 1 ELSE 2 END, 'task ' || n, 'finished', 'api', 'k', 'notice', '', 'text', '',
           '', '{}', 'number', false, '[]'
    FROM generate_series(1, 10000) n
    """,
    """
    INSERT INTO task_chunk (task_id, run, first, size, base_id, waiting, final, counts, counted_at)
    SELECT 500, 1, n * 50 + 1, 50, 1000000 + n * 4096, false, true, '{"delivered": 50}', now() - n * interval '1 s'
    FROM generate_series(0, 9999) n
    """,
    "INSERT INTO task_run (task_id, run, due_at, rows, started_at) VALUES (500, 1, now(), 500000, now())",
)


@pytest_asyncio.fixture(params=["no statistics", "analysed"])
async def filled(dsn: str, request: pytest.FixtureRequest) -> AsyncIterator[Connection]:
    connection = await connect(dsn, writer=True)
    try:
        for sql in _FILL:
            await connection.execute(sql, timeout=60)
        if request.param == "analysed":
            await change(dsn, *(f"ANALYZE {table}" for table in ("task", "task_chunk", "task_run")))
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        yield connection
    finally:
        await connection.close()


async def pages(connection: Connection, sql: str, *arguments: str) -> int:
    await connection.execute(f"PREPARE hot AS {sql}")
    try:
        shown = await connection.fetchval(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE hot({', '.join(arguments)})"
        )
    finally:
        await connection.execute("DEALLOCATE hot")
    top: dict[str, Any] = json.loads(shown)[0]["Plan"]
    return int(top["Shared Hit Blocks"]) + int(top["Shared Read Blocks"])


async def test_pages_of_tasks_read_what_they_show(filled: Connection) -> None:
    found = await store.page(filled, accounts=[1], limit=10)
    assert [t.id for t in found] == list(range(10_000, 5000, -500))
    following = await store.page(filled, accounts=[1, 2], before=found[-1].id, limit=5)
    assert [t.id for t in following] == [5499, 5498, 5497, 5496, 5495]
    assert [t.id for t in await store.page(filled, accounts=None, limit=3)] == [10_000, 9999, 9998]
    last = str(2**63 - 1)
    one = ("NULL", "NULL", last, "''", "''", "10")
    assert await pages(filled, store._PAGE, "'{1}'", *one) < 60
    assert await pages(filled, store._PAGE, "'{1,2}'", *one) < 100
    assert await pages(filled, store._PAGE_OF_ALL, "NULL", *one) < 40


async def test_counts_and_deep_pages_do_not_read_all_chunks(filled: Connection) -> None:
    now = datetime.now(UTC)
    assert await pages(filled, task_parts._OPEN_CHUNKS, "500", "NULL", f"'{now.isoformat()}'", "100") < 320
    deep = ("500", "1", "450000", "450999", str(task_parts.MOST))
    assert await pages(filled, task_parts._OVERLAPPING, *deep) < 60
    assert await pages(filled, task_aside._DUE, "500", "1", f"'{now.isoformat()}'") < 10
    assert await pages(filled, task_aside._ANY, "500", "1") < 10


async def test_what_has_become_of_a_run_is_summed_up_once(filled: Connection) -> None:
    assert await store.totals(filled, [(500, 1)]) == {500: {"delivered": 500_000}}
    await store.keep_totals(filled, 500, 1)  # it is not over: nothing is kept
    assert await filled.fetchval("SELECT totals FROM task_run") is None
    async with filled.transaction():
        await store.finish_run(filled, 500, 1, datetime.now(UTC))
        await store.keep_totals(filled, 500, 1)
    assert await pages(filled, store._KEPT, "'{500}'", "'{1}'") < 20
    await filled.execute("UPDATE task_chunk SET counts = '{}'")  # what is kept counts
    assert await store.totals(filled, [(500, 1)]) == {500: {"delivered": 500_000}}


async def test_a_report_that_comes_late_changes_what_was_summed_up(d: Desk) -> None:
    task_id = await d.make(5)
    await d.feed()
    await d.database.execute("UPDATE part SET state = 43, final_at = now()")  # no report
    d.later(seconds=10)
    for _ in range(2):  # counted, and then found to be over
        await d.feeder._count()
    view = await d.view(task_id)
    assert (view.task.state, view.progress.statuses) == ("finished", {"no_report": 5})
    assert (await d.tasks.page(accounts=[d.account_id]))[0].progress.statuses == {"no_report": 5}
    await d.database.execute("UPDATE part SET state = 40 WHERE id IN (SELECT id FROM part ORDER BY id LIMIT 2)")
    d.later(hours=1)
    wanted = {"no_report": 3, "delivered": 2}
    assert (await d.view(task_id)).progress.statuses == wanted
    assert (await d.tasks.page(accounts=[d.account_id]))[0].progress.statuses == wanted
