-- From version 1 to 2; what the columns hold is told in schema.sql.
ALTER TABLE runs ADD COLUMN pseudonym_key TEXT NOT NULL DEFAULT '';

-- How good the capture is, by the hour in which a flow was seen last or a question asked.
CREATE TABLE health (
    hour             INTEGER NOT NULL,
    run              INTEGER NOT NULL REFERENCES runs (id),
    tcp_flows        INTEGER NOT NULL,
    tcp_two_way      INTEGER NOT NULL,
    tcp_begun_before INTEGER NOT NULL,
    sequence_bytes   INTEGER NOT NULL,
    gap_bytes        INTEGER NOT NULL,
    dns_questions    INTEGER NOT NULL,
    dns_answers      INTEGER NOT NULL,
    PRIMARY KEY (hour, run)
) STRICT, WITHOUT ROWID;

-- What the kernel says of a live run's rings, of which each worker has one.
CREATE TABLE rings (
    hour              INTEGER NOT NULL,
    run               INTEGER NOT NULL REFERENCES runs (id),
    ring              INTEGER NOT NULL,
    received          INTEGER NOT NULL,
    dropped           INTEGER NOT NULL,
    interface_dropped INTEGER NOT NULL,
    down_nanos        INTEGER NOT NULL,
    PRIMARY KEY (hour, run, ring)
) STRICT, WITHOUT ROWID;
