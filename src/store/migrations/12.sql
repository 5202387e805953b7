-- From version 11 to 12: names that were told by what a flow speaks, and ways around of nobody at home.
DROP VIEW usage_readable;

CREATE VIEW usage_readable AS
WITH
    both AS (
        SELECT *, minutes_up & minutes_down AS m FROM usage WHERE run IN runs_visible
    ),
    pairs AS (
        SELECT *, m - ((m >> 1) & 0x5555555555555555) AS p FROM both
    ),
    nibbles AS (
        SELECT *, (p & 0x3333333333333333) + ((p >> 2) & 0x3333333333333333) AS n FROM pairs
    )
SELECT
    strftime('%Y-%m-%dT%H:%M:%SZ', u.hour, 'unixepoch') AS hour_utc,
    s.user,
    s.department,
    s.device,
    a.app AS app_id,
    a.name AS app_name,
    a.vendor AS app_vendor,
    a.suite AS app_suite,
    a.category AS app_category,
    t.role AS role,
    t.tenant AS app_tenant,
    t.edition AS app_edition,
    iif(t.app IS NULL, t.domain, '') AS unmatched_domain,
    CASE u.name_source WHEN 0 THEN 'sni' WHEN 1 THEN 'quic' WHEN 2 THEN 'host'
        WHEN 3 THEN 'cert' WHEN 4 THEN 'dns' WHEN 5 THEN 'net' WHEN 6 THEN 'media'
        WHEN 7 THEN 'protocol' END AS name_source,
    c.version AS catalogue_version,
    u.connections,
    u.attempts_failed,
    u.dns_queries,
    ((u.n + (u.n >> 4)) & 0x0f0f0f0f0f0f0f0f) % 255 AS active_minutes,
    u.bytes_up,
    u.bytes_down,
    strftime('%Y-%m-%dT%H:%M:%SZ', u.first_seen / 1000000000, 'unixepoch') AS first_seen_utc,
    strftime('%Y-%m-%dT%H:%M:%SZ', u.last_seen / 1000000000, 'unixepoch') AS last_seen_utc
FROM nibbles AS u
JOIN subjects AS s ON s.id = u.subject
JOIN targets AS t ON t.id = u.target
JOIN catalogues AS c ON c.id = u.catalogue
LEFT JOIN apps AS a ON a.id = t.app;
