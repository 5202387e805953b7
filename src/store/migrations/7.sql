-- From version 6 to 7: quarter-hours with payload beyond handshakes, how much of a day regular pauses
-- cover, and initial times to live. What the columns hold is told in schema.sql.
ALTER TABLE usage ADD COLUMN quarters INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_daily ADD COLUMN spaced_regularly INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_daily ADD COLUMN quarters INTEGER NOT NULL DEFAULT 0;

-- Which connection had payload in which minute is not known any more: any may have been the largest.
UPDATE usage SET quarters =
    ((minutes_up & minutes_down & 0x7fff != 0)
        | (((minutes_up & minutes_down) >> 15 & 0x7fff != 0) << 1)
        | (((minutes_up & minutes_down) >> 30 & 0x7fff != 0) << 2)
        | (((minutes_up & minutes_down) >> 45 & 0x7fff != 0) << 3))
    * ((flow_up_max >= 350 OR flow_bytes_max >= 3500)
        + 16 * (flow_up_max >= 700 OR flow_bytes_max >= 7000)
        + 256 * (flow_up_max >= 1400 OR flow_bytes_max >= 14000)
        + 4096 * (flow_up_max >= 2800 OR flow_bytes_max >= 28000));
UPDATE usage_daily SET quarters =
    ((1 << (kind % 5)) - 1)
    * ((flow_up_max >= 350 OR flow_bytes_max >= 3500)
        + 16 * (flow_up_max >= 700 OR flow_bytes_max >= 7000)
        + 256 * (flow_up_max >= 1400 OR flow_bytes_max >= 14000)
        + 4096 * (flow_up_max >= 2800 OR flow_bytes_max >= 28000))
    WHERE target IN (SELECT id FROM targets WHERE role = 'use' OR app IS NULL);
-- Regular pauses were taken to cover all of the day's hours.
UPDATE usage_daily SET spaced_regularly = 60 * spaced_hours WHERE gaps > 0;

DELETE FROM traits WHERE trait = 3
    AND (value BETWEEN 0 AND 47 OR value BETWEEN 65 AND 111 OR value BETWEEN 129 AND 238);
UPDATE OR REPLACE traits
    SET value = CASE WHEN value <= 64 THEN 64 WHEN value <= 128 THEN 128 ELSE 255 END
    WHERE trait = 3 AND value BETWEEN 48 AND 255;

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
    0 AS spaced_regularly, quarters
FROM usage
UNION ALL
SELECT
    day, run, subject, target, name_source, catalogue, kind,
    connections, attempts_failed, handshakes, dns_queries, bytes_up, bytes_down,
    0, 0, 0, day * 1000000000, day * 1000000000,
    followed_1s, followed_2s, followed_5s, flow_up_max, flow_bytes_max,
    elsewhere_flows, elsewhere_bytes,
    active_minutes, loads, spaced_hours, spaced_minutes, gaps, gaps_regular,
    spaced_regularly, quarters
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
