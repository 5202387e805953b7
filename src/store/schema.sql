-- The database of shadowscope, version 16 (PRAGMA user_version).
--
-- Every table is STRICT. Times are UTC: an `hour` is in seconds since 1970-01-01, a `first_seen`
-- or `last_seen` in nanoseconds since then; both may be negative, as a packet's stamp may be.
-- Texts are joined in by small integers, so that the tables that grow hold integers only.
-- References are kept true by the program, which makes all numbers in one place, and not checked
-- row by row (PRAGMA foreign_keys is off, PRAGMA foreign_key_check finds nothing).
-- Who wants to read it with other tools begins with the views at the end.

-- What holds for the whole file.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,  -- 'zone': the IANA time zone whose full hours begin the buckets
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for each reading of captures, and one for each time a live sensor ran.
CREATE TABLE runs (
    id            INTEGER PRIMARY KEY,
    kind          TEXT NOT NULL CHECK (kind IN ('capture', 'live')),
    state         TEXT NOT NULL CHECK (state IN ('open', 'done', 'interrupted')),
                                   -- a 'capture' run is seen in views and reports once it is
                                   -- 'done', a 'live' run always
    program       TEXT NOT NULL,   -- version of the program that made it
    config_sha256 TEXT NOT NULL,   -- of the configuration it began with, as far as it changes
                                   -- results, hex
    first_hour    INTEGER,         -- earliest and latest hour that it has rows in;
    last_hour     INTEGER,         -- null as long as it has none
    pseudonym_key TEXT NOT NULL    -- which key made the pseudonyms of its subjects (a short hash of
                   DEFAULT '',     -- it), '' where they are in the clear
    site          TEXT NOT NULL    -- the place whose traffic it shows, '' where it was not named
                   DEFAULT ''
) STRICT;

-- The configurations that a live run took while it ran, beside the one it began with. One is there
-- with the first rows that were made under it.
CREATE TABLE reconfigured (
    run           INTEGER NOT NULL REFERENCES runs (id),
    config_sha256 TEXT NOT NULL,   -- as in runs
    PRIMARY KEY (run, config_sha256)
) STRICT, WITHOUT ROWID;

-- The captures of a run. What came from a pipe is there too, if it was read to its end.
CREATE TABLE captures (
    run          INTEGER NOT NULL REFERENCES runs (id),
    fingerprint  BLOB NOT NULL,      -- 32 bytes, BLAKE3 over size and samples of the file; of a
                                     -- pipe, what `content` says
    content      BLOB,               -- 32 bytes, BLAKE3 over the unpacked beginning, length and
                                     -- end; null when it was not read to its end
    beginning    BLOB,               -- 32 bytes, BLAKE3 over the first unpacked MiB; null likewise
    size_bytes   INTEGER NOT NULL,
    name         TEXT NOT NULL,      -- as it was given; for messages to people only
    damaged_at   INTEGER,            -- offset in bytes at which the file could not be read on
    in_part      INTEGER NOT NULL DEFAULT 0 CHECK (in_part IN (0, 1)),  -- 1 when its reading
                                     -- stopped though there is more of it
    done         INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1)),  -- 1 once its run is done and
                                     -- has read all of all its captures; else it is read again
    PRIMARY KEY (run, fingerprint)
) STRICT, WITHOUT ROWID;

-- No capture is ever counted twice.
CREATE UNIQUE INDEX captures_done ON captures (fingerprint) WHERE done = 1;
CREATE UNIQUE INDEX captures_done_content ON captures (content) WHERE done = 1;

-- The numbered commits of a run: a repeat is refused by this key.
CREATE TABLE commits (
    run       INTEGER NOT NULL REFERENCES runs (id),
    sequence  INTEGER NOT NULL,  -- as merge numbers them
    catalogue INTEGER NOT NULL REFERENCES catalogues (id),  -- that all its names were matched with
    PRIMARY KEY (run, sequence)
) STRICT, WITHOUT ROWID;

-- The catalogues that names were matched with.
CREATE TABLE catalogues (
    id      INTEGER PRIMARY KEY,
    version TEXT NOT NULL,
    hash  TEXT NOT NULL,  -- hex
    UNIQUE (version, hash)
) STRICT;

-- Who: the only table with users, devices and addresses.
CREATE TABLE subjects (
    id         INTEGER PRIMARY KEY,
    user       TEXT NOT NULL,  -- '' when nobody is attributed
    department TEXT NOT NULL,  -- '' when unknown
    device     TEXT NOT NULL,  -- the client's address until devices are known
    UNIQUE (user, department, device)
) STRICT;

-- The apps met so far, as the catalogue that was last used describes them.
CREATE TABLE apps (
    id       INTEGER PRIMARY KEY,
    app      TEXT NOT NULL UNIQUE,  -- the catalogue's id; survives renames
    name     TEXT NOT NULL,
    vendor   TEXT NOT NULL,
    suite    TEXT NOT NULL,         -- '' when it belongs to none
    category TEXT NOT NULL
) STRICT;

-- What was used: a side of an app, or a registrable domain that no signature knows.
CREATE TABLE targets (
    id      INTEGER PRIMARY KEY,
    app     INTEGER REFERENCES apps (id),  -- null for an unmatched domain
    role    TEXT NOT NULL,  -- use, login, visit, embed, telemetry, site, infra; '' without app, or
                            -- infra where a domain turned out to be shared infrastructure
    tenant  TEXT NOT NULL,  -- the organisation's instance, as far as the name shows it, or ''
    edition TEXT NOT NULL,  -- personal, business, mixed, or ''
    domain  TEXT NOT NULL,  -- registrable domain when unmatched; what it was before it got its
                            -- app, where `catalogue` is set; else ''
    catalogue INTEGER REFERENCES catalogues (id),  -- that gave a domain its app after its rows
                            -- were written; null for all others
    named_at INTEGER,       -- when that was, in seconds since 1970-01-01
    label   TEXT NOT NULL   -- for names below such a domain that would say less about use than
             DEFAULT '',    -- others, if it were an app's: the label that says so; else ''
    grounds TEXT NOT NULL   -- on what it hangs what flows are of, as [rule, targets that it may be,
             DEFAULT '',    -- those that others had there, negative]; rules are 1 names told by DNS,
                            -- 2 calls just before, 3 tenants below a public suffix, 4 names
                            -- told by DNS of flows that hide theirs; '' for most.
                            -- Undecided ones have no app, and their bucket's name as role.
    pattern TEXT NOT NULL   -- the rule by which all of it got its app after its rows were written, as
             DEFAULT ''     -- it stands in the catalogue's file; '' for all others
) STRICT;

CREATE UNIQUE INDEX targets_text
    ON targets (ifnull(app, 0), role, tenant, edition, domain, label, grounds);

-- Usage: who, what, in which hour. The first key column is the hour, since reports and the
-- removal of a run (whose hours are known) both look for a range of them.
CREATE TABLE usage (
    hour            INTEGER NOT NULL,
    run             INTEGER NOT NULL REFERENCES runs (id),
    subject         INTEGER NOT NULL REFERENCES subjects (id),
    target          INTEGER NOT NULL REFERENCES targets (id),
    name_source     INTEGER NOT NULL,  -- 0 sni, 1 quic, 2 host, 3 cert, 4 dns, 5 net,
                                       -- 6 media, 7 protocol
    catalogue       INTEGER NOT NULL REFERENCES catalogues (id),
    connections     INTEGER NOT NULL,  -- flows that began in this hour
    attempts_failed INTEGER NOT NULL,  -- flows without an answer, or reset before one
    handshakes      INTEGER NOT NULL,  -- flows in which both sides spoke
    dns_queries     INTEGER NOT NULL,
    bytes_up        INTEGER NOT NULL,  -- client to server, of IP packets
    bytes_down      INTEGER NOT NULL,  -- server to client
    minutes_up      INTEGER NOT NULL,  -- bit i: payload from the client in minute i of the hour
    minutes_down    INTEGER NOT NULL,  -- bit i: payload from the server in that minute
    minutes_begun   INTEGER NOT NULL,  -- bit i: a flow began in that minute
    first_seen      INTEGER NOT NULL,
    last_seen       INTEGER NOT NULL,
    followed        INTEGER NOT NULL DEFAULT 0,  -- bit r: a connection began while a page of another
                                                 -- site was loading, by rule r of LOAD_RULES in
                                                 -- src/usage.rs, or had begun so in an earlier hour;
                                                 -- from bit 16 on the same of those of which no name
                                                 -- that is learned later can say otherwise
    flow_up_max     INTEGER NOT NULL DEFAULT 0,  -- the most bytes that the client sent behind its
                                                 -- hello in one answered connection
    flow_bytes_max  INTEGER NOT NULL DEFAULT 0,  -- the same for bytes both ways
    elsewhere_flows INTEGER NOT NULL DEFAULT 0,  -- of the connections and bytes, those that the
    elsewhere_bytes INTEGER NOT NULL DEFAULT 0,  -- books have in another bucket than the target's
    quarters        INTEGER NOT NULL DEFAULT 0,  -- bit q: payload both ways in quarter-hour q, in a
                                                 -- connection with 350 bytes up or 3,500 both ways
                                                 -- behind its hello; from bit 4 on with 700 up, 8
                                                 -- 1,400, 12 3,750 (2,800 before version 13)
    unfollowed      INTEGER NOT NULL DEFAULT 0,  -- bit 3 r + l: a connection that did not begin while
                                                 -- such a page was loading, by rule r, had 350 bytes
                                                 -- up or 3,500 both ways behind its hello, doubled l
                                                 -- times; from bit 27 on the same of those of which
                                                 -- no name that is learned later can say otherwise
    PRIMARY KEY (hour, run, subject, target, name_source, catalogue)
) STRICT, WITHOUT ROWID;

-- Of the connections of usage, those of which the catalogue decides whether they followed a page of
-- another site: the first of the leaders that shows pages to everybody leads. Kept as long as the
-- hours of usage are, so that a domain that gets its name later leads as it would have.
CREATE TABLE followed (
    hour        INTEGER NOT NULL,
    run         INTEGER NOT NULL REFERENCES runs (id),
    subject     INTEGER NOT NULL REFERENCES subjects (id),
    target      INTEGER NOT NULL REFERENCES targets (id),
    name_source INTEGER NOT NULL,
    catalogue   INTEGER NOT NULL REFERENCES catalogues (id),
    leaders     TEXT    NOT NULL,  -- of targets, as JSON: who began first, who then, and so on
    flows       INTEGER NOT NULL,  -- bit r: there are such, by rule r
    levels      INTEGER NOT NULL   -- what they would add to `unfollowed`, if they did not follow
                DEFAULT 0,
    PRIMARY KEY (hour, run, subject, target, name_source, catalogue, leaders)
) STRICT, WITHOUT ROWID;

-- The rules of catalogues by which names were an app's, as they stand in their files: patterns of
-- names, networks, autonomous systems.
CREATE TABLE patterns (
    id      INTEGER PRIMARY KEY,
    pattern TEXT NOT NULL UNIQUE
) STRICT;

-- By which rules names of usage were an app's: as long as it is kept who it was, and by day. Targets
-- with a `pattern` of their own have no rows here.
CREATE TABLE matched (
    day         INTEGER NOT NULL,  -- the beginning of the zone's day, in seconds since 1970-01-01
    run         INTEGER NOT NULL REFERENCES runs (id),
    subject     INTEGER NOT NULL REFERENCES subjects (id),
    target      INTEGER NOT NULL REFERENCES targets (id),
    pattern     INTEGER NOT NULL REFERENCES patterns (id),
    name_source INTEGER NOT NULL,  -- as in usage
    connections INTEGER NOT NULL,
    dns_queries INTEGER NOT NULL,
    PRIMARY KEY (day, run, subject, target, pattern, name_source)
) STRICT, WITHOUT ROWID;

-- What subjects did that tells whether they are people: distinct values of traits.
CREATE TABLE traits (
    hour    INTEGER NOT NULL,
    run     INTEGER NOT NULL REFERENCES runs (id),
    subject INTEGER NOT NULL REFERENCES subjects (id),
    trait   INTEGER NOT NULL,  -- 0 answered DNS of, 1 proxy of, 2 asks for, 3 initial time to
                               -- live, 4 shape of a TLS hello, 5 served, 6 took mail of, 7 sent
                               -- mail to, 8 what the operator says it is, where it is kept under a
                               -- pseudonym: 0 person, 1 resolver, 2 forward_proxy, 3 mail_relay,
                               -- 4 nat_gateway, 5 server; 9 TCP clock behind it, 10 order of TCP
                               -- options, 11 connection to a push service, 12 desktop session of,
                               -- 13 and 14 connections that it passed on and its own beside them, by
                               -- how often 1 was doubled, 15 runs of source ports
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

-- Usage by day, once its hours are not kept any more: who, what, on which day, and no time of day.
-- Hours of a day are added up where they are alike, so that the class of evidence stays what it was.
CREATE TABLE usage_daily (
    day             INTEGER NOT NULL,  -- the beginning of the zone's day, in seconds since 1970-01-01
    run             INTEGER NOT NULL REFERENCES runs (id),
    subject         INTEGER NOT NULL REFERENCES subjects (id),
    target          INTEGER NOT NULL REFERENCES targets (id),
    catalogue       INTEGER NOT NULL REFERENCES catalogues (id),
    kind            INTEGER NOT NULL,  -- of hour: quarter-hours with payload both ways on hosts of
                                       -- role use, 0 to 4; and 5 times, for rule 0 of loads, 25
                                       -- times, for rule 1, and so on to 1,953,125 times, for rule 8:
                                       -- 0 if nothing followed, else 1 more than levels in
                                       -- `unfollowed`; and 9,765,625 times: 1 if there was traffic
                                       -- with hosts that are not incidental; and 19,531,250 times:
                                       -- for how many of 3, 5 and 10 times the bytes of the day's
                                       -- middle hour it had as many, 0 to 3; and 78,125,000 times:
                                       -- for how many of 2, 3 and 5 minutes it had as many more than
                                       -- the middle one, 0 to 3; and 312,500,000 times: which tenants
                                       -- and editions of the app took part, as a hash; 0 where it
                                       -- has none
    name_source     INTEGER NOT NULL,  -- the most trusted
    connections     INTEGER NOT NULL,
    attempts_failed INTEGER NOT NULL,
    handshakes      INTEGER NOT NULL,
    dns_queries     INTEGER NOT NULL,
    bytes_up        INTEGER NOT NULL,
    bytes_down      INTEGER NOT NULL,
    followed        INTEGER NOT NULL,  -- as in usage
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
    spaced_regularly INTEGER NOT NULL DEFAULT 0,  -- minutes of the latter
    quarters        INTEGER NOT NULL DEFAULT 0,  -- as in usage, of the best hour; bits of as many
                                                 -- quarter-hours, from the first on
    unfollowed      INTEGER NOT NULL DEFAULT 0,  -- as in usage
    spaced_edges    INTEGER NOT NULL DEFAULT 0,  -- ends of the day over which such pauses go on,
                                                 -- where most are alike
    even_hours      INTEGER NOT NULL DEFAULT 0,  -- hours with payload both ways on any host of the app
                                                 -- that do not stand out; in one row likewise, as
                                                 -- what follows
    even_bytes      INTEGER NOT NULL DEFAULT 0,  -- their bytes,
    even_minutes    INTEGER NOT NULL DEFAULT 0,  -- their minutes,
    even_gaps       INTEGER NOT NULL DEFAULT 0,  -- pauses between them,
    even_regular    INTEGER NOT NULL DEFAULT 0,  -- those as long as the middle one,
    even_variation  INTEGER NOT NULL DEFAULT 0,  -- and how much the hours differ: the larger
                                                 -- coefficient of variation of bytes and of minutes,
                                                 -- in thousandths
    PRIMARY KEY (day, run, subject, target, catalogue, kind)
) STRICT, WITHOUT ROWID;

-- What traits and accepted connections told of a day: whether a subject is a person.
CREATE TABLE sources_daily (
    day     INTEGER NOT NULL,
    run     INTEGER NOT NULL REFERENCES runs (id),
    subject INTEGER NOT NULL REFERENCES subjects (id),
    fact    INTEGER NOT NULL,  -- a trait's number, and then `number` is that of its distinct values,
                               -- of 3, 4, 9 to 11 within one hour, of 8 the last value; or 255, and it is
                               -- that of accepted connections
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

-- The books: where every byte ended up.
CREATE TABLE visibility (
    hour   INTEGER NOT NULL,
    run    INTEGER NOT NULL REFERENCES runs (id),
    bucket INTEGER NOT NULL REFERENCES buckets (id),
    flows  INTEGER NOT NULL,
    bytes  INTEGER NOT NULL,
    PRIMARY KEY (hour, run, bucket)
) STRICT, WITHOUT ROWID;

-- Sets of what flows may have been of whose name is hidden, ambiguous or not there at all. The empty
-- one says that nobody knows.
CREATE TABLE candidate_sets (
    id      INTEGER PRIMARY KEY,
    members TEXT NOT NULL UNIQUE  -- targets and weights, to find a set by
) STRICT;

CREATE TABLE candidates (
    id     INTEGER NOT NULL REFERENCES candidate_sets (id),
    target INTEGER NOT NULL REFERENCES targets (id),  -- one of each app that is possible, and each
                                      -- domain that no signature knows
    weight INTEGER NOT NULL,          -- names of it that DNS had told the same client; 0 of what only
                                      -- others used there. Where all are 0, all weigh the same.
    PRIMARY KEY (id, target)
) STRICT, WITHOUT ROWID;

CREATE TABLE possible (
    hour       INTEGER NOT NULL,
    run        INTEGER NOT NULL REFERENCES runs (id),
    candidates INTEGER NOT NULL REFERENCES candidate_sets (id),
    flows      INTEGER NOT NULL,  -- that began in this hour
    bytes      INTEGER NOT NULL,  -- all of theirs: what an app of the set had at most, besides `usage`
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    held       INTEGER NOT NULL   -- of targets with grounds, where they count while it is undecided;
                DEFAULT 0,        -- 0 of all others
    PRIMARY KEY (hour, run, candidates, held)
) STRICT, WITHOUT ROWID;

-- Ways around: traffic into which nobody can look, and DNS that nobody can read, outside the network.
CREATE TABLE detours (
    hour    INTEGER NOT NULL,  -- once it is not kept who it was, the beginning of the zone's day
    run     INTEGER NOT NULL REFERENCES runs (id),
    kind    INTEGER NOT NULL,  -- 1 wireguard, 2 openvpn, 3 ipsec, 4 l2tp, 5 pptp, 6 ssh, 7 tor,
                               -- 8 tailscale, 9 zerotier, 10 anyconnect, 11 socks, 12 masque, 13 gre,
                               -- 14 rdp, 15 vnc, 16 teamviewer, 17 anydesk, 18 sstp, 19 softether,
                               -- 20 fortinet, 21 globalprotect, 22 pulse, 23 chisel, 24 hysteria,
                               -- 25 rustdesk, 26 tinc, 27 nebula, 28 lightway,
                               -- by what they say; 64 dot,
                               -- 66 doq by their hello, 65 dot, 67 doq, 68 doh by the list of
                               -- resolvers; 69 vpn-anonymizer, 70 tunnelling,
                               -- 71 remote-access by the catalogue
    subject INTEGER NOT NULL,  -- of subjects, or 0: nobody at home, or it is no longer kept who
    flows   INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    devices INTEGER NOT NULL,  -- 1, or of how many it is the sum
    PRIMARY KEY (hour, run, kind, subject)
) STRICT, WITHOUT ROWID;

-- Names of the buckets, in the order of reports. A byte is in the first that fits.
CREATE TABLE buckets (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- What came in, counted once at the decoder: the other side of the books.
CREATE TABLE totals (
    hour        INTEGER NOT NULL,
    run         INTEGER NOT NULL REFERENCES runs (id),
    packets     INTEGER NOT NULL,
    total_bytes INTEGER NOT NULL,  -- equals the sum of visibility.bytes
    ip_bytes    INTEGER NOT NULL,  -- of IP packets only
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL,
    PRIMARY KEY (hour, run)
) STRICT, WITHOUT ROWID;

-- How good the capture is, by the hour in which a flow was seen last or a question asked.
CREATE TABLE health (
    hour             INTEGER NOT NULL,
    run              INTEGER NOT NULL REFERENCES runs (id),
    tcp_flows        INTEGER NOT NULL,  -- that ended
    tcp_two_way      INTEGER NOT NULL,  -- of these, seen in both directions
    tcp_begun_before INTEGER NOT NULL,  -- of these, begun before the capture
    sequence_bytes   INTEGER NOT NULL,  -- payload of the sample of TCP flows that is followed
    gap_bytes        INTEGER NOT NULL,  -- what was missing between it
    dns_questions    INTEGER NOT NULL,
    dns_answers      INTEGER NOT NULL,
    PRIMARY KEY (hour, run)
) STRICT, WITHOUT ROWID;

-- What the kernel says of a live run's rings, of which each worker has one.
CREATE TABLE rings (
    hour              INTEGER NOT NULL,
    run               INTEGER NOT NULL REFERENCES runs (id),
    ring              INTEGER NOT NULL,
    received          INTEGER NOT NULL,  -- frames, also those that were dropped
    dropped           INTEGER NOT NULL,  -- frames for which the ring had no room
    interface_dropped INTEGER NOT NULL,  -- frames that the interfaces say they dropped
    down_nanos        INTEGER NOT NULL,  -- how long interfaces were down
    PRIMARY KEY (hour, run, ring)
) STRICT, WITHOUT ROWID;

-- What was lost, refused or bounded in a run.
CREATE TABLE counters (
    run   INTEGER NOT NULL REFERENCES runs (id),
    name  TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

-- Runs whose rows count: captures only when all of them was read.
CREATE VIEW runs_visible AS
SELECT id FROM runs WHERE kind = 'live' OR state = 'done';

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

-- Usage in words, one row for each row of `usage`. active_minutes are minutes with payload both
-- ways: the bits that both masks have, added up pairwise.
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

-- Use of apps by day of UTC; the reports have days of the configured zone.
CREATE VIEW apps_daily AS
SELECT
    substr(hour_utc, 1, 10) AS date_utc,
    app_id,
    app_name,
    app_vendor,
    app_suite,
    app_category,
    count(DISTINCT nullif(user, '')) AS users,
    count(DISTINCT device) AS devices,
    sum(connections) AS connections,
    sum(attempts_failed) AS attempts_failed,
    sum(bytes_up) AS bytes_up,
    sum(bytes_down) AS bytes_down,
    min(first_seen_utc) AS first_seen_utc,
    max(last_seen_utc) AS last_seen_utc
FROM usage_readable
WHERE role IN ('use', 'login')
    AND connections + attempts_failed + bytes_up + bytes_down > 0
GROUP BY date_utc, app_id;

-- The books of each site by day of UTC.
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
