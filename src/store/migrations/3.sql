-- From version 2 to 3: what grades of evidence are computed from. Runs of before have none of these facts; the most
-- that can be said of their connections is that one may have had all the bytes of its row.
ALTER TABLE usage ADD COLUMN followed_1s INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN followed_2s INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN followed_5s INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN flow_up_max INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN flow_bytes_max INTEGER NOT NULL DEFAULT 0;
UPDATE usage SET flow_up_max = bytes_up, flow_bytes_max = bytes_up + bytes_down WHERE handshakes > 0;

-- What subjects did that tells whether they are people: distinct values of traits.
CREATE TABLE traits (
    hour    INTEGER NOT NULL,
    run     INTEGER NOT NULL REFERENCES runs (id),
    subject INTEGER NOT NULL REFERENCES subjects (id),
    trait   INTEGER NOT NULL,  -- 0 answered DNS of, 1 proxy of, 2 asks for, 3 time to live,
                               -- 4 shape of a TLS hello, 5 served, 6 took mail of, 7 sent mail to
    value   INTEGER NOT NULL,  -- a number, or the hash of an address
    PRIMARY KEY (hour, run, subject, trait, value)
) STRICT, WITHOUT ROWID;

-- Connections that others opened to a subject and it answered.
CREATE TABLE accepted (
    hour        INTEGER NOT NULL,
    run         INTEGER NOT NULL REFERENCES runs (id),
    subject     INTEGER NOT NULL REFERENCES subjects (id),
    connections INTEGER NOT NULL,
    PRIMARY KEY (hour, run, subject)
) STRICT, WITHOUT ROWID;
