"""Departments, accounts with their balances, a role of the organisation's own, and a person for every other one."""

from __future__ import annotations

from datetime import timedelta

from smsgw.core.actor import ScopeKind
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.demo.world import Sender, World, texts
from smsgw.platform.accounts import service as accounts
from smsgw.platform.brand import service as brands
from smsgw.platform.keys import service as keys
from smsgw.platform.org import service as org


async def fill(world: World) -> None:
    """The organisation as it has been since the first morning."""
    with world.then(world.start + timedelta(hours=1)):
        top = await org.add_department(world.change(), texts()["department_head"])
        for row in texts()["department"]:
            parent = world.departments.get(row.get("parent", ""), top)
            world.departments[row["key"]] = await org.add_department(world.change(), row["name"], parent)
        await _brand(world)
        for row in texts()["role"]:
            rights = map(Permission, row["permissions"])
            await org.add_role(world.change(), row["code"], row["name"], set(rights), ScopeKind(row["scope"]))
    for hours, row in enumerate(texts()["account"], 2):
        with world.then(world.start + timedelta(hours=hours)):
            await _account(world, row)
    for minutes, row in enumerate(texts()["person"]):
        with world.then(world.start + timedelta(hours=9, minutes=minutes)):
            await org.add_person(
                world.change(), f"demo-{row['key']}", row["name"], [row.get("role", row["key"])], world.password_hash,
                accounts=[world.senders[name].id for name in row.get("accounts", ())],
                department_id=world.departments[row["department"]], must_change=False,
            )  # fmt: skip
    with world.then(world.start + timedelta(hours=9)):
        await world.date(
            "department.created_at account.created_at api_key.created_at staff.created_at staff.password_changed_at"
        )


async def _brand(world: World) -> None:
    """At one host the platform is an organisation's."""
    host, *_ = texts()["brand_hosts"]
    id_ = await brands.add(world.change(), [host])
    await brands.draft(world.change(), id_, texts()["brand"])
    await brands.publish(world.change(), id_)


async def _account(world: World, row: dict[str, object]) -> None:
    change, name = world.change(), str(row["name"])
    more: dict[str, object] = {}
    if "contract_days" in row:  # its people are reminded
        first, last = world.start.astimezone(CHINA), world.now + timedelta(days=int(str(row["contract_days"])))
        more = {"starts_on": f"{first:%Y-%m-%d}", "ends_on": f"{last.astimezone(CHINA):%Y-%m-%d}"}
    id_ = await accounts.add(
        change, name, display_name=row["shown"], default_sign=row["sign"], unit_price="0.0385", **more
    )
    await org.place_account(change, id_, world.departments[str(row["department"])])
    for key in ("former_extension", "extension", "sign_extension"):
        if key in row:
            of_sign = str(row["sign"]) if key == "sign_extension" else ""
            await accounts.move_extension(change, id_, of_sign, str(row[key]))
    await keys.add(change, world.sealer, id_)
    world.senders[name] = Sender(id_, name, str(row["sign"]), int(str(row["share"])), dict(row["mix"]))  # type: ignore[call-overload]
