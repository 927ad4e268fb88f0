-- How many whole numbers somebody was shown on a day (China). Days that are over are forgotten with the next one.
CREATE TABLE unmask_day (
    actor text NOT NULL,
    day date NOT NULL,
    shown int NOT NULL,
    PRIMARY KEY (actor, day)
);
