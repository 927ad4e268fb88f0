"""What proves the results of parts. The very statement that writes a result writes it, too: ``PROOF`` and ``DECISION``
stand in those, and there is no other way to a delivered part."""

from __future__ import annotations

from typing import Final

EARLY: Final = 3_600_000 << 22
"""Evidence has the time of the database's clock, a message that of a node's: by ids it may be an hour before it."""

PROOF = """
    INSERT INTO evidence (message_id, part, kind, state, channel_id, carrier_id, code, at, pdu, digest, salt)
    SELECT id, part, 'report', state, told_channel, told_id, code, final_at, NULLIF(pdu, ''), sha256(salt || pdu), salt
    FROM (SELECT done.*, uuid_send(gen_random_uuid()) AS salt FROM done) s
"""
"""Part of a statement: of the parts ``done``, each with the report that changed it (told_channel, told_id, pdu). They
stand in its rows: a join with the reports would look at all of them for each."""

DECISION = """
    INSERT INTO evidence (message_id, part, kind, state, channel_id, carrier_id, code, at, digest, decided_by)
    SELECT d.id, d.part, 'operator', d.state, COALESCE(d.channel_id, 0), COALESCE(d.carrier_id, ''), d.code, $4,
           sha256(''), $6
    FROM done d WHERE d.final_at IS NOT NULL
"""
"""The same of an operator's decision: ``$4`` when, ``$6`` who."""
