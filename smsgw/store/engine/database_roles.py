"""Who may do what in the database (docs/adr/036).

The **owner** has the tables: it migrates, and nothing else works as it. The **application** is what the daemon and
``smsgwctl`` work as: it reads and writes rows, as far as ``TABLES`` says, and can make, change and drop nothing; what
it needs done to partitions, functions of the owner do for it (``FUNCTIONS``). Both may be one role; then there is no
wall.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from smsgw.store.engine.database import Connection

log = structlog.get_logger(__name__)

ADMIN = "smsgw_admin"
"""Of the embedded database: its superuser, which starts it and settles the others."""
OWNER = "smsgw_owner"
"""Of the embedded database: the owner."""
APPLICATION = "smsgw"
"""Of the embedded database: the application."""

_READ = frozenset({"SELECT"})
_APPEND = _READ | {"INSERT"}
_SET = _READ | {"UPDATE"}
_PUT = _APPEND | {"UPDATE"}
_LIST = _APPEND | {"DELETE"}
_ALL = _PUT | {"DELETE"}


def _each(rights: frozenset[str], names: str) -> dict[str, frozenset[str]]:
    return dict.fromkeys(names.split(), rights)


TABLES = {
    **_each(_READ, "account_price schema_info stat_sum"),
    **_each(_SET, "config_section job_position login_policy password_policy stat_cursor"),
    **_each(
        _APPEND,
        "alarm_rule_version audit audit_checkpoint audit_link complaint_step department_place event event_lost "
        "evidence evidence_root restoration fault_step ticket_step exclusion exclusion_version ledger mo pool rebate "
        "rebate_rule short_link_target "
        "submit_pdu webhook_attempt",
    ),
    **_each(
        _PUT,
        "account alarm_rule api_key attempt channel consent channel_probe channel_spelling channel_state channel_told "
        "message_kind "
        "complaint customer_event department event_setting fault figure_check filed_link_state link_click link_hour "
        "link_visitor "
        "message message_link node part "
        "quota_used short_link short_link_key "
        "pseudonym_key registration retention_rule review route_version setting sign sign_code stat_minute task_chunk "
        "ticket "
        "task_finding task_run "
        "template usage_day usage_price",
    ),
    **_each(
        _LIST,
        "api_refused audience_member audit_open brand_host export_link left_out_day message_resend old_code "
        "duty fault_alarm node_event parked_fact staff_account staff_password staff_permission sheet sheet_result "
        "filed_link_proof sign_proof sign_reminder staff_role",
    ),
    **_each(
        _ALL,
        "abroad_country abroad_minute account_reminder alarm alarm_note alarm_receiver alarm_silence "
        "api_call allow_list audience block_list brand brand_picture carrier_lift "
        "code_class contact department_used fallback_watch file file_piece filed_link inbound_care "
        "inbound_unread inbox job "
        "channel_check channel_throttle channel_version lease load_test material mo_part notice optout_undo "
        "channel_shift "
        "number_filter "
        "number_filter_row number_import number_import_entry "
        "number_override number_recent number_status number_vendor partner partner_address "
        "partner_bind partner_connect partner_part phrase policy portal_login portal_session receipt_orphan "
        "route_draft route_submission scenario send_draft setting_wish statement_mail statement_receiver "
        "backup health_mail health_plan size_day "
        "support_contact unmask_day "
        "request_key retry_rule role role_login sign_day staff staff_login staff_passkey staff_preference "
        "staff_recovery_code staff_sms_code staff_totp staff_view stat_day"
        " stat_end stat_person submit_recording task upload webhook word acknowledged_day masked_day task_problem "
        "task_row wall_screen",
    ),
}
"""What the application may do with each table. A migration that adds one adds it here; one that is not here is
``UNKNOWN``. Narrow one only when no release that may still run beside this one needs what is taken away."""

UNKNOWN = _ALL

SEQUENCES = frozenset({"USAGE", "SELECT"})

FUNCTIONS = (
    "account_priced", "audit_prune", "evidence_forget", "mo_mask", "partition_drop", "partition_index",
    "partition_make", "stat_sum_keep",
)  # fmt: skip
"""What the owner does for the application."""

_SELF = "SELECT current_user::text"

_SAME = """
SELECT rolsuper OR pg_has_role(oid, $2::name, 'USAGE') FROM pg_roles WHERE rolname = $1
"""

_RELATIONS = """
SELECT c.relname, c.relkind::text AS kind, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
       ARRAY(SELECT x.privilege_type FROM aclexplode(c.relacl) x WHERE x.grantee = r.oid) AS has
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pg_roles r
WHERE n.nspname = current_schema() AND r.rolname = $1 AND pg_has_role(c.relowner, 'USAGE')
  AND (c.relkind IN ('r', 'p') AND (NOT c.relispartition OR c.relname LIKE '%\\_99991231')
       OR c.relkind = 'S' AND NOT EXISTS (
           SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i'))
"""

_FUNCTIONS = """
SELECT oid::regprocedure::text AS name FROM pg_proc
WHERE pronamespace = current_schema()::regnamespace AND proname = ANY($2::text[])
  AND NOT has_function_privilege($1::name, oid, 'EXECUTE')
"""

_OPEN_SCHEMA = """
SELECT quote_ident(nspname) FROM pg_namespace
WHERE nspname = current_schema() AND NOT has_schema_privilege($1::name, oid, 'USAGE')
"""


WALLS = """
SELECT current_user::text AS role, array_to_string(array_remove(ARRAY[
    CASE WHEN r.rolsuper THEN 'superuser' END,
    CASE WHEN pg_has_role(c.relowner, 'MEMBER') THEN 'owns the tables' END,
    CASE WHEN r.rolcreaterole THEN 'may make roles' END,
    CASE WHEN r.rolcreatedb THEN 'may make databases' END,
    CASE WHEN has_schema_privilege(c.relnamespace, 'CREATE') THEN 'may make tables and functions' END
], NULL), ', ') AS may
FROM pg_roles r, pg_class c WHERE r.rolname = current_user AND c.oid = 'schema_info'::regclass
"""
"""What a role may do that the application needs not."""


async def name_of(connection: Connection) -> str:
    """The role that a connection works as."""
    name: str = await connection.fetchval(_SELF)
    return name


async def apart(connection: Connection, application: str) -> bool:
    """Whether that role is another than the owner's, whom ``connection`` works as, and cannot become it."""
    same = await connection.fetchval(_SAME, application, await name_of(connection))
    return not same


async def settle(connection: Connection, application: str) -> None:
    """Give the application the rights of ``TABLES``, and take away what it has beyond them; as the owner.

    Changes nothing where all is as it should be.
    """
    role = await connection.fetchval("SELECT quote_ident($1)", application)
    statements = [
        f"GRANT USAGE ON SCHEMA {row[0]} TO {role}" for row in await connection.fetch(_OPEN_SCHEMA, application)
    ]
    for row in await connection.fetch(_RELATIONS, application):
        if row["kind"] == "S":
            wanted, what = SEQUENCES, f"SEQUENCE {row['name']}"
        elif row["relname"].endswith("_99991231"):  # of a partition itself, only whether there is something in it
            wanted, what = _READ, row["name"]
        else:
            wanted, what = TABLES.get(row["relname"], UNKNOWN), row["name"]
        has = frozenset(row["has"])
        if missing := wanted - has:
            statements.append(f"GRANT {', '.join(sorted(missing))} ON {what} TO {role}")
        if beyond := has - wanted:
            statements.append(f"REVOKE {', '.join(sorted(beyond))} ON {what} FROM {role}")
    statements += [
        f"GRANT EXECUTE ON FUNCTION {row['name']} TO {role}"
        for row in await connection.fetch(_FUNCTIONS, application, list(FUNCTIONS))
    ]
    for statement in statements:
        await connection.execute(statement)
    if statements:
        log.debug("roles.settled", role=application, changes=len(statements))
