-- From version 14 to 15: any number of those who may lead, in one column. What the columns hold is told
-- in schema.sql.
CREATE TABLE followed_15 (
    hour        INTEGER NOT NULL,
    run         INTEGER NOT NULL REFERENCES runs (id),
    subject     INTEGER NOT NULL REFERENCES subjects (id),
    target      INTEGER NOT NULL REFERENCES targets (id),
    name_source INTEGER NOT NULL,
    catalogue   INTEGER NOT NULL REFERENCES catalogues (id),
    leaders     TEXT    NOT NULL,
    flows       INTEGER NOT NULL,
    levels      INTEGER NOT NULL
                DEFAULT 0,
    PRIMARY KEY (hour, run, subject, target, name_source, catalogue, leaders)
) STRICT, WITHOUT ROWID;

INSERT INTO followed_15
SELECT hour, run, subject, target, name_source, catalogue,
    '[' || leader_1 || iif(leader_2 = 0, '', ',' || leader_2)
        || iif(leader_3 = 0, '', ',' || leader_3) || ']',
    flows, levels
FROM followed;
DROP TABLE followed;
ALTER TABLE followed_15 RENAME TO followed;
