-- From version 12 to 13: how much the hours of a day differ. What the columns hold is told in
-- schema.sql; of days whose hours are not kept any more it is not known, and 0 hours are even.
ALTER TABLE usage_daily ADD COLUMN even_hours INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_daily ADD COLUMN even_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_daily ADD COLUMN even_minutes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_daily ADD COLUMN even_gaps INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_daily ADD COLUMN even_regular INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_daily ADD COLUMN even_variation INTEGER NOT NULL DEFAULT 0;

DROP VIEW targets_kept;
DROP VIEW usage_kept;

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
    0 AS spaced_hours, 0 AS spaced_minutes, 0 AS gaps, 0 AS gaps_regular,
    0 AS spaced_regularly, quarters, unfollowed, 0 AS spaced_edges,
    0 AS even_hours, 0 AS even_bytes, 0 AS even_minutes, 0 AS even_gaps, 0 AS even_regular,
    0 AS even_variation
FROM usage
UNION ALL
SELECT
    day, run, subject, target, name_source, catalogue, kind,
    connections, attempts_failed, handshakes, dns_queries, bytes_up, bytes_down,
    0, 0, 0, day * 1000000000, day * 1000000000,
    followed_1s, followed_2s, followed_5s, flow_up_max, flow_bytes_max,
    elsewhere_flows, elsewhere_bytes,
    active_minutes, loads, spaced_hours, spaced_minutes, gaps, gaps_regular,
    spaced_regularly, quarters, unfollowed, spaced_edges,
    even_hours, even_bytes, even_minutes, even_gaps, even_regular, even_variation
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
