-- From version 15 to 16: by which rules of the catalogue names were an app's. What the columns hold is
-- told in schema.sql. Of what version 15 kept that is not known.
ALTER TABLE targets ADD COLUMN pattern TEXT NOT NULL DEFAULT '';

CREATE TABLE patterns (
    id      INTEGER PRIMARY KEY,
    pattern TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE matched (
    day         INTEGER NOT NULL,
    run         INTEGER NOT NULL REFERENCES runs (id),
    subject     INTEGER NOT NULL REFERENCES subjects (id),
    target      INTEGER NOT NULL REFERENCES targets (id),
    pattern     INTEGER NOT NULL REFERENCES patterns (id),
    name_source INTEGER NOT NULL,
    connections INTEGER NOT NULL,
    dns_queries INTEGER NOT NULL,
    PRIMARY KEY (day, run, subject, target, pattern, name_source)
) STRICT, WITHOUT ROWID;
