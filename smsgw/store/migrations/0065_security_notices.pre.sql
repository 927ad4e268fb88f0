-- People are told of a recovery code that was made for them, and of what their login demands now.
CREATE OR REPLACE TRIGGER inbox_security AFTER INSERT ON audit FOR EACH ROW
    WHEN (NEW.action = 'login' OR NEW.object LIKE 'staff/%' AND NEW.action IN (
        'staff.reset', 'staff.grant', 'staff.permissions', 'staff.set', 'staff.stop', 'staff.start', 'factor.reset',
        'factor.emergency', 'login.person', 'session.end'))
    EXECUTE FUNCTION inbox_security();
