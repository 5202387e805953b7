-- From version 13 to 14: on what it hangs what flows are of, that have no certain name. What the columns
-- hold is told in schema.sql. Of what version 13 kept that is not known.
ALTER TABLE targets ADD COLUMN grounds TEXT NOT NULL DEFAULT '';
DROP INDEX targets_text;
CREATE UNIQUE INDEX targets_text
    ON targets (ifnull(app, 0), role, tenant, edition, domain, label, grounds);

CREATE TABLE possible_14 (
    hour       INTEGER NOT NULL,
    run        INTEGER NOT NULL REFERENCES runs (id),
    candidates INTEGER NOT NULL REFERENCES candidate_sets (id),
    flows      INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    held       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (hour, run, candidates, held)
) STRICT, WITHOUT ROWID;

INSERT INTO possible_14
SELECT hour, run, candidates, flows, bytes, first_seen, last_seen, 0 FROM possible;
DROP TABLE possible;
ALTER TABLE possible_14 RENAME TO possible;
