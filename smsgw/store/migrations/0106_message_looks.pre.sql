-- What was done with one message, and who has looked at it.
CREATE INDEX audit_message ON audit (object, id) WHERE object LIKE 'message/%';
-- Who answers for channels sees carriers' PDUs octet by octet, and checks them.
UPDATE role SET permissions = permissions || '{message.wire}' WHERE builtin AND code = 'ops'
    AND NOT 'message.wire' = ANY (permissions);
