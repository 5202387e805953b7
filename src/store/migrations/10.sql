-- From version 9 to 10: what flows may have been is kept by sets of candidates, so that a flow is in an
-- app's bound once, however many of its names are the app's; and the books by day are those of a
-- site. What the columns hold is told in schema.sql. What version 9 kept says of each target alone.
CREATE TABLE candidate_sets (
    id      INTEGER PRIMARY KEY,
    members TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE candidates (
    id     INTEGER NOT NULL REFERENCES candidate_sets (id),
    target INTEGER NOT NULL REFERENCES targets (id),
    weight INTEGER NOT NULL,
    PRIMARY KEY (id, target)
) STRICT, WITHOUT ROWID;

CREATE TABLE possible_10 (
    hour       INTEGER NOT NULL,
    run        INTEGER NOT NULL REFERENCES runs (id),
    candidates INTEGER NOT NULL REFERENCES candidate_sets (id),
    flows      INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    PRIMARY KEY (hour, run, candidates)
) STRICT, WITHOUT ROWID;

INSERT INTO candidate_sets SELECT DISTINCT target, target || ':1' FROM possible;
INSERT INTO candidates SELECT id, id, 1 FROM candidate_sets;
INSERT INTO possible_10 SELECT hour, run, target, flows, bytes, first_seen, last_seen FROM possible;
DROP TABLE possible;
ALTER TABLE possible_10 RENAME TO possible;

DROP VIEW visibility_daily;
CREATE VIEW visibility_daily AS
SELECT
    strftime('%Y-%m-%d', v.hour, 'unixepoch') AS date_utc,
    r.site AS site,
    b.name AS bucket,
    sum(v.flows) AS flows,
    sum(v.bytes) AS bytes
FROM visibility AS v
JOIN buckets AS b ON b.id = v.bucket
JOIN runs AS r ON r.id = v.run
WHERE v.run IN runs_visible
GROUP BY date_utc, r.site, v.bucket;
