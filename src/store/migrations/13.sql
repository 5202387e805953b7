-- From version 12 to 13: how much the hours of a day differ, and what followed by several rules of
-- loads. What the columns hold is told in schema.sql; of days whose hours are not kept any more it
-- is not known how even they were, and 0 hours are.
ALTER TABLE usage_daily ADD COLUMN even_hours INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_daily ADD COLUMN even_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_daily ADD COLUMN even_minutes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_daily ADD COLUMN even_gaps INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_daily ADD COLUMN even_regular INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_daily ADD COLUMN even_variation INTEGER NOT NULL DEFAULT 0;

DROP VIEW targets_kept;
DROP VIEW usage_kept;

-- Rules 0 to 2 are silences of 1, 2 and 5 s. Of the others nothing was kept, and they have what the
-- usual one has, 2 s: 506 are its bits. Where as many followed as anybody may have led, no name that
-- is learned later is taken to be without say in it.
UPDATE usage SET followed_1s =
    ((followed_1s > 0) + 506 * (followed_2s > 0) + 4 * (followed_5s > 0))
    + ((followed_1s > (SELECT ifnull(sum(flows_1s), 0) FROM followed AS f WHERE f.hour = usage.hour
            AND f.run = usage.run AND f.subject = usage.subject AND f.target = usage.target
            AND f.name_source = usage.name_source AND f.catalogue = usage.catalogue))
        + 506 * (followed_2s > (SELECT ifnull(sum(flows_2s), 0) FROM followed AS f WHERE f.hour = usage.hour
            AND f.run = usage.run AND f.subject = usage.subject AND f.target = usage.target
            AND f.name_source = usage.name_source AND f.catalogue = usage.catalogue))
        + 4 * (followed_5s > (SELECT ifnull(sum(flows_5s), 0) FROM followed AS f WHERE f.hour = usage.hour
            AND f.run = usage.run AND f.subject = usage.subject AND f.target = usage.target
            AND f.name_source = usage.name_source AND f.catalogue = usage.catalogue))) * 65536;
UPDATE followed SET flows_1s = (flows_1s > 0) + 506 * (flows_2s > 0) + 4 * (flows_5s > 0);
UPDATE usage_daily SET followed_1s =
    ((followed_1s > 0) + 506 * (followed_2s > 0) + 4 * (followed_5s > 0)) * 65537;

-- Three levels for each rule, of four for each silence: 19173888 is the sum of their places for the
-- rules 3 to 8, and 488250 that of the places of states in kinds.
UPDATE usage SET unfollowed =
    (unfollowed & 7) + (unfollowed >> 4 & 7) * (8 + 19173888) + (unfollowed >> 8 & 7) * 64
    + ((unfollowed >> 12 & 7) + (unfollowed >> 16 & 7) * (8 + 19173888)
        + (unfollowed >> 20 & 7) * 64) * 134217728;
UPDATE usage_daily SET unfollowed =
    (unfollowed & 7) + (unfollowed >> 4 & 7) * (8 + 19173888) + (unfollowed >> 8 & 7) * 64
    + ((unfollowed >> 12 & 7) + (unfollowed >> 16 & 7) * (8 + 19173888)
        + (unfollowed >> 20 & 7) * 64) * 134217728;
UPDATE followed SET levels =
    (levels & 7) + (levels >> 4 & 7) * (8 + 19173888) + (levels >> 8 & 7) * 64;
UPDATE usage_daily SET kind = kind % 5
    + 5 * (min(kind / 5 % 6, 4) + (5 + 488250) * min(kind / 30 % 6, 4) + 25 * min(kind / 180 % 6, 4))
    + 9765625 * (kind / 1080 % 2) + 19531250 * (kind / 2160 % 16)
    + 312500000 * (kind / 34560);

ALTER TABLE usage RENAME COLUMN followed_1s TO followed;
ALTER TABLE usage DROP COLUMN followed_2s;
ALTER TABLE usage DROP COLUMN followed_5s;
ALTER TABLE usage_daily RENAME COLUMN followed_1s TO followed;
ALTER TABLE usage_daily DROP COLUMN followed_2s;
ALTER TABLE usage_daily DROP COLUMN followed_5s;
ALTER TABLE followed RENAME COLUMN flows_1s TO flows;
ALTER TABLE followed DROP COLUMN flows_2s;
ALTER TABLE followed DROP COLUMN flows_5s;

-- Usage that can be told of somebody: by hour where hours are kept, else by day. `kind` is null in
-- rows of hours; what only rows of the other sort have is 0.
CREATE VIEW usage_kept AS
SELECT
    hour, run, subject, target, name_source, catalogue, NULL AS kind,
    connections, attempts_failed, handshakes, dns_queries, bytes_up, bytes_down,
    minutes_up, minutes_down, minutes_begun, first_seen, last_seen,
    followed, flow_up_max, flow_bytes_max,
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
    followed, flow_up_max, flow_bytes_max,
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
