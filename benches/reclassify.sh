#!/bin/sh
# How long `shadowscope reclassify` takes with 18 million rows of usage: 10,000 devices, 20 domains,
# 90 days, all of them named at once. Needs sqlite3's Python module and 3 GB of disk.
#
#     benches/reclassify.sh target/release/shadowscope
set -eu
program=$(realpath "$1")
fixtures=$(dirname "$(realpath "$0")")/../fixtures
desk=$(mktemp -d)
trap 'rm -rf "$desk"' EXIT
"$program" read --quiet --db "$desk/usage.db" "$fixtures/first-look/input.pcap"
python3 - "$desk" <<'PYTHON'
import os, sqlite3, sys
desk = sys.argv[1]
db = sqlite3.connect(desk + "/usage.db")
db.execute("PRAGMA journal_mode = OFF")
db.execute("PRAGMA synchronous = OFF")
run, catalogue = db.execute("SELECT run, catalogue FROM usage LIMIT 1").fetchone()
db.executemany("INSERT INTO subjects VALUES (?, '', '', ?)",
    [(1000 + n, f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}") for n in range(10_000)])
db.executemany("INSERT INTO targets (id, role, tenant, edition, domain) VALUES (?, '', '', '', ?)",
    [(1000 + n, f"saas-number-{n}.com") for n in range(20)])
columns = [row[1] for row in db.execute("PRAGMA table_info(usage)")]
facts = {"hour": "d.n * 86400", "run": run, "subject": "1000 + s.n", "target": "1000 + t.n",
    "catalogue": catalogue, "connections": 3, "bytes_up": 1000, "bytes_down": 9000,
    "minutes_up": 7, "minutes_down": 7, "first_seen": "d.n * 86400000000000",
    "last_seen": "d.n * 86400000000000 + 60000000000"}
db.execute(f"""
    WITH RECURSIVE day (n) AS (SELECT 20000 UNION ALL SELECT n + 1 FROM day WHERE n < 20089),
    s (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < 9999),
    t (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM t WHERE n < 19)
    INSERT INTO usage ({", ".join(columns)})
    SELECT {", ".join(str(facts.get(column, 0)) for column in columns)}
    FROM day AS d CROSS JOIN s CROSS JOIN t""")
db.execute("INSERT INTO visibility SELECT hour, run, 13, sum(connections), sum(bytes_up + bytes_down) "
    "FROM usage WHERE target BETWEEN 1000 AND 1019 GROUP BY hour, run")
db.commit()
print(db.execute("SELECT count(*) FROM usage").fetchone()[0], "rows")
os.mkdir(desk + "/extra")
domains = ", ".join(f'"saas-number-{n}.com"' for n in range(20))
with open(desk + "/extra/saas.toml", "w") as file:
    file.write(f'''schema = 1
id = "saas"
name = "SaaS"
vendor = "local"
kind = "app"
category = "file-sharing"
status = "active"
maturity = "candidate"
homepage = "https://saas-number-0.com/"
verified = 2026-11-22
sources = ["https://saas-number-0.com/"]
[[match]]
role = "use"
domains = [{domains}]
[[test]]
host = "saas-number-0.com"
role = "use"
''')
with open(desk + "/extra/vendors.toml", "w") as file:
    file.write('schema = 1\n[vendors.local]\nname = "Local"\n')
PYTHON
time "$program" reclassify --db "$desk/usage.db" --signatures-extra "$desk/extra"
