-- From version 10 to 11: what connections said that did not begin in the shadow of another site. What
-- the columns hold is told in schema.sql.
ALTER TABLE usage ADD COLUMN unfollowed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_daily ADD COLUMN unfollowed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_daily ADD COLUMN spaced_edges INTEGER NOT NULL DEFAULT 0;
ALTER TABLE followed ADD COLUMN levels INTEGER NOT NULL DEFAULT 0;

-- Which of them had payload is not known any more: any may have.
UPDATE usage SET unfollowed =
    (15 * (followed_1s < connections) + 240 * (followed_2s < connections)
        + 3840 * (followed_5s < connections)) * 4097;
UPDATE followed SET levels = 15 * (flows_1s > 0) + 240 * (flows_2s > 0) + 3840 * (flows_5s > 0);
-- Kinds had for how many silences all connections were followed, from the longest one on.
UPDATE usage_daily SET unfollowed =
    15 * (kind / 5 % 4 < 3) + 240 * (kind / 5 % 4 < 2) + 3840 * (kind / 5 % 4 < 1);
UPDATE usage_daily SET kind = kind % 5
    + 5 * ((5 - 4 * (kind / 5 % 4 > 2)) + 6 * (5 - 4 * (kind / 5 % 4 > 1))
        + 36 * (5 - 4 * (kind / 5 % 4 > 0)))
    + 1080 * (kind / 20);

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
    0 AS spaced_regularly, quarters, unfollowed, 0 AS spaced_edges
FROM usage
UNION ALL
SELECT
    day, run, subject, target, name_source, catalogue, kind,
    connections, attempts_failed, handshakes, dns_queries, bytes_up, bytes_down,
    0, 0, 0, day * 1000000000, day * 1000000000,
    followed_1s, followed_2s, followed_5s, flow_up_max, flow_bytes_max,
    elsewhere_flows, elsewhere_bytes,
    active_minutes, loads, spaced_hours, spaced_minutes, gaps, gaps_regular,
    spaced_regularly, quarters, unfollowed, spaced_edges
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
