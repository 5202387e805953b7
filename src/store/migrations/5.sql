-- From version 4 to 5: what is kept of usage once its hours, and later its subjects, are not.
-- Usage by day, once its hours are not kept any more: who, what, on which day, and no time of day.
-- Hours of a day are added up where they are alike, so that the class of evidence stays what it was.
CREATE TABLE usage_daily (
    day             INTEGER NOT NULL,  -- the beginning of the zone's day, in seconds since 1970-01-01
    run             INTEGER NOT NULL REFERENCES runs (id),
    subject         INTEGER NOT NULL REFERENCES subjects (id),
    target          INTEGER NOT NULL REFERENCES targets (id),
    catalogue       INTEGER NOT NULL REFERENCES catalogues (id),
    kind            INTEGER NOT NULL,  -- of hour: quarter-hours with payload both ways on hosts of
                                       -- role use, 0 to 4; and 5 times: for how many of 1, 2 and 5 s
                                       -- all connections were followed, 0 to 3; and 20 times: 1 if
                                       -- there was traffic with hosts that are not incidental
    name_source     INTEGER NOT NULL,  -- the most trusted
    connections     INTEGER NOT NULL,
    attempts_failed INTEGER NOT NULL,
    handshakes      INTEGER NOT NULL,
    dns_queries     INTEGER NOT NULL,
    bytes_up        INTEGER NOT NULL,
    bytes_down      INTEGER NOT NULL,
    followed_1s     INTEGER NOT NULL,
    followed_2s     INTEGER NOT NULL,
    followed_5s     INTEGER NOT NULL,
    flow_up_max     INTEGER NOT NULL,
    flow_bytes_max  INTEGER NOT NULL,
    elsewhere_flows INTEGER NOT NULL,
    elsewhere_bytes INTEGER NOT NULL,
    active_minutes  INTEGER NOT NULL,  -- with payload both ways; a minute of a subject and app stands
                                       -- in one of their rows, so that they can be added up
    loads           INTEGER NOT NULL,  -- minutes in which flows to hosts began that are not
                                       -- incidental; in one row likewise, as what follows
    spaced_hours    INTEGER NOT NULL,  -- hours of the day with payload both ways on such hosts,
    spaced_minutes  INTEGER NOT NULL,  -- their minutes,
    gaps            INTEGER NOT NULL,  -- pauses between them,
    gaps_regular    INTEGER NOT NULL,  -- and those as long as the middle one
    PRIMARY KEY (day, run, subject, target, catalogue, kind)
) STRICT, WITHOUT ROWID;

-- What traits and accepted connections told of a day: whether a subject is a person.
CREATE TABLE sources_daily (
    day     INTEGER NOT NULL,
    run     INTEGER NOT NULL REFERENCES runs (id),
    subject INTEGER NOT NULL REFERENCES subjects (id),
    fact    INTEGER NOT NULL,  -- a trait's number, and then `number` is that of its distinct values;
                               -- or 255, and it is that of accepted connections
    number  INTEGER NOT NULL,
    PRIMARY KEY (day, run, subject, fact)
) STRICT, WITHOUT ROWID;

-- Totals of a day, once it is not kept who it was: what, on which day, by how many.
CREATE TABLE targets_daily (
    day              INTEGER NOT NULL,
    run              INTEGER NOT NULL REFERENCES runs (id),
    target           INTEGER NOT NULL REFERENCES targets (id),
    catalogue        INTEGER NOT NULL REFERENCES catalogues (id),
    connections      INTEGER NOT NULL,
    attempts_failed  INTEGER NOT NULL,
    dns_queries      INTEGER NOT NULL,
    bytes_up         INTEGER NOT NULL,
    bytes_down       INTEGER NOT NULL,
    attributed_bytes INTEGER NOT NULL,  -- of those with a user
    elsewhere_flows  INTEGER NOT NULL,
    elsewhere_bytes  INTEGER NOT NULL,
    -- What follows is of the app, as the thresholds in force then judged it, and stands in one of its
    -- rows of the day; 0 in the others.
    users_seen       INTEGER NOT NULL,  -- that had traffic with it
    devices_seen     INTEGER NOT NULL,
    users            INTEGER NOT NULL,  -- that used it; a domain is judged as if it were an app in use
    devices          INTEGER NOT NULL,
    active_minutes   INTEGER NOT NULL,
    incidental_bytes INTEGER NOT NULL,
    evidence         INTEGER NOT NULL,  -- the best: 0 dns_only, 1 address_only, 2 handshake,
                                        -- 3 two_way_payload, 4 interactive
    pattern          INTEGER NOT NULL,  -- 1: sync
    PRIMARY KEY (day, run, target, catalogue)
) STRICT, WITHOUT ROWID;

-- How many rows of a day were deleted.
CREATE TABLE deleted (
    day   INTEGER NOT NULL,
    stage INTEGER NOT NULL,  -- 0 usage, 1 usage_daily, 2 targets_daily
    rows  INTEGER NOT NULL,
    PRIMARY KEY (day, stage)
) STRICT, WITHOUT ROWID;

-- Usage that can be told of somebody: by hour where hours are kept, else by day. `kind` is null in
-- rows of hours; what only rows of the other sort have is 0.
CREATE VIEW usage_kept AS
SELECT
    hour, run, subject, target, name_source, catalogue, NULL AS kind,
    connections, attempts_failed, handshakes, dns_queries, bytes_up, bytes_down,
    minutes_up, minutes_down, minutes_begun, first_seen, last_seen,
    followed_1s, followed_2s, followed_5s, flow_up_max, flow_bytes_max,
    elsewhere_flows, elsewhere_bytes,
    0 AS active_minutes, 0 AS loads,
    0 AS spaced_hours, 0 AS spaced_minutes, 0 AS gaps, 0 AS gaps_regular
FROM usage
UNION ALL
SELECT
    day, run, subject, target, name_source, catalogue, kind,
    connections, attempts_failed, handshakes, dns_queries, bytes_up, bytes_down,
    0, 0, 0, day * 1000000000, day * 1000000000,
    followed_1s, followed_2s, followed_5s, flow_up_max, flow_bytes_max,
    elsewhere_flows, elsewhere_bytes,
    active_minutes, loads, spaced_hours, spaced_minutes, gaps, gaps_regular
FROM usage_daily;

-- Usage of targets, whoever it was: by hour, by day, and totals of days. `subject` is null in the
-- last, and `users_seen`, `devices_seen` and `attributed_bytes` are 0 in the others.
CREATE VIEW targets_kept AS
SELECT
    hour, run, subject, target, catalogue, kind IS NOT NULL AS is_day,
    connections, attempts_failed, dns_queries, bytes_up, bytes_down,
    elsewhere_flows, elsewhere_bytes, first_seen, last_seen,
    0 AS users_seen, 0 AS devices_seen, 0 AS attributed_bytes
FROM usage_kept
UNION ALL
SELECT
    day, run, NULL, target, catalogue, 1,
    connections, attempts_failed, dns_queries, bytes_up, bytes_down,
    elsewhere_flows, elsewhere_bytes, day * 1000000000, day * 1000000000,
    users_seen, devices_seen, attributed_bytes
FROM targets_daily;
