"""Rows that every commit changes, met by the newest of their versions (docs/adr/100).

Each commit leaves a version of such a row, and while somebody keeps an old snapshot (a backup) none can be cleared
away. Their index leads from the oldest to the newest, a way that grows all the time; read from its end it meets the
newest first. That order is asked for over "up to this key": with "this key" the planner takes all to be equal, and
drops it.

What is given are common table expressions by their names, for ``Together``. A ``source`` is one as well, and has the
columns of the key.
"""

from __future__ import annotations


def lock(table: str, columns: str) -> str:
    """The rows with the ids of ``$1``, locked in that order. ``columns`` have ``id`` among them."""
    return f"""
SELECT a.* FROM unnest($1::bigint[]) AS w(id)
CROSS JOIN LATERAL (SELECT {columns} FROM {table} x WHERE x.id <= w.id ORDER BY x.id DESC LIMIT 1 FOR UPDATE) AS a
WHERE a.id = w.id
"""  # noqa: S608 - constant text


def changed(name: str, table: str, key: str, sets: str, source: str, returned: str = "") -> dict[str, str]:
    """Change the rows (``t``) with the keys of ``source`` (``s``) that are there: their keys, and what else is to be
    ``returned``. One that another transaction changes meanwhile may be left out: lock them, or look at what returns."""
    columns = key.split(", ")
    told = ", ".join(f"t.{column}" for column in columns)
    newest = f"""
SELECT s.*, n.place FROM {source} s CROSS JOIN LATERAL (
    SELECT x.ctid AS place, {", ".join(f"x.{c}" for c in columns)} FROM {table} x
    WHERE ({", ".join(f"x.{c}" for c in columns)}) <= ({", ".join(f"s.{c}" for c in columns)})
    ORDER BY {", ".join(f"x.{c} DESC" for c in columns)} LIMIT 1
) n WHERE {" AND ".join(f"n.{c} = s.{c}" for c in columns)}
"""  # noqa: S608 - constant text
    # Nothing else is asked of them: a key would let the planner go through the index.
    at = f"UPDATE {table} AS t SET {sets} FROM {name}_newest s WHERE t.ctid = s.place RETURNING {told}{returned}"  # noqa: S608
    return {f"{name}_newest": newest, name: at}


def added(name: str, table: str, key: str, sums: str, source: str, others: str = "") -> dict[str, str]:
    """Add the ``sums`` of ``source`` to those of the rows with its keys, and enter the rows that are missing, with what
    it says of ``others``, too. Rows are touched in the order of ``source``, which has to be that of their keys."""
    columns = ", ".join(filter(None, (key, sums, others)))
    same = " AND ".join(f"t.{column} = s.{column}" for column in key.split(", "))
    missing = f"""
INSERT INTO {table} AS u ({columns}) SELECT {columns} FROM {source} s
WHERE NOT EXISTS (SELECT FROM {name}_there t WHERE {same}) ORDER BY {key}
ON CONFLICT ({key}) DO UPDATE SET {_adding("u", "excluded", sums)}
"""  # noqa: S608 - constant text
    return {**changed(f"{name}_there", table, key, _adding("t", "s", sums), source), name: missing}


def _adding(to: str, what: str, columns: str) -> str:
    return ", ".join(f"{column} = {to}.{column} + {what}.{column}" for column in columns.split(", "))
