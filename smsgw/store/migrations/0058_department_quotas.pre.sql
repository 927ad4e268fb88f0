-- Parts accepted in a month (its first day, in China) for accounts of a department that has a quota, and of those below
-- it. A row comes into being when the first call of the month asks for it, from what the accounts' own books say.
-- Nothing refers to department: who accepts holds locks of accounts, and must not wait for who changes a department.
CREATE TABLE department_used (
    department_id bigint NOT NULL,
    month date NOT NULL CHECK (extract(day FROM month) = 1),
    parts bigint NOT NULL,
    PRIMARY KEY (department_id, month)
);
SELECT config_watch('department', 'accounts');
