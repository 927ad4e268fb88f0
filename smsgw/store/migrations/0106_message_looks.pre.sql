-- Who answers for channels sees carriers' PDUs octet by octet, and checks them.
UPDATE role SET permissions = permissions || '{message.wire}' WHERE builtin AND code = 'ops'
    AND NOT 'message.wire' = ANY (permissions);
