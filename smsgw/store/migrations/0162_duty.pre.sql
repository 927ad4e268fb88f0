-- Who is on duty: two shifts a day (China), from 08:00 and from 20:00. Whom people can turn to. Receivers of alarms that are
-- whoever is on duty when a note leaves; their own address stands in where nobody is.
CREATE TABLE duty (
    day date NOT NULL,
    shift text NOT NULL CHECK (shift IN ('day', 'night')),
    staff_id bigint NOT NULL REFERENCES staff ON DELETE CASCADE,
    PRIMARY KEY (day, shift)
);
CREATE INDEX duty_staff ON duty (staff_id);
CREATE TABLE support_contact (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL CHECK (kind IN ('hotline', 'qq', 'wechat', 'mail', 'other')),
    label text NOT NULL,
    value text NOT NULL,
    note text NOT NULL DEFAULT ''
);
ALTER TABLE alarm_receiver ADD COLUMN on_duty boolean NOT NULL DEFAULT false,
    ADD CHECK (NOT on_duty OR kind IN ('sms', 'mail'));

-- The shift that a moment lies in: before eight in the morning it is still that of the night before.
CREATE FUNCTION duty_at(at timestamptz, OUT day date, OUT shift text) LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN t < time '08:00' THEN d - 1 ELSE d END, CASE WHEN t >= time '08:00' AND t < time '20:00' THEN 'day' ELSE 'night' END
    FROM (SELECT (at AT TIME ZONE 'Asia/Shanghai')::time AS t, (at AT TIME ZONE 'Asia/Shanghai')::date AS d) local
$$;
