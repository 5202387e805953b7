#!/usr/bin/env bash
# What a sensor needs for 1,000 people, measured with a made working day of 240 people:
#
#     benches/sizing.sh
#
# A day is eight hours with 83 visits a person and hour, about 50 packets each, over IPv4 and IPv6, to
# 16 domains. Reads it with one worker, as fast as it goes, and tells processor time, memory and disk
# for it and, in proportion, for 1,000 people. What a network has more or less of than that, it needs
# more or less of: packets cost time, open connections memory, and a row of each client, domain and
# hour disk. Needs python3.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
cargo build --release --locked --quiet --manifest-path "$here/Cargo.toml"
shadowscope=${CARGO_TARGET_DIR:-$here/target}/release/shadowscope
cargo bench --quiet --locked --manifest-path "$here/Cargo.toml" --bench capture -- \
    office 160000 "$work/day.pcap" >/dev/null
# It is in memory from now on.
cat "$work/day.pcap" >/dev/null

python3 - "$shadowscope" "$work" <<'PYTHON'
import os, resource, sqlite3, subprocess, sys

PEOPLE = 240
shadowscope, work = sys.argv[1:]
capture, db = f"{work}/day.pcap", f"{work}/db"
subprocess.run([shadowscope, "read", "--quiet", "--workers", "1", "--db", db, capture], check=True,
               stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
seconds, memory = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
store = sqlite3.connect(db)
one = lambda sql: store.execute(sql).fetchone()[0]
packets, octets = store.execute("SELECT sum(packets), sum(total_bytes) FROM totals").fetchone()
rows, hours = one("SELECT count(*) FROM usage"), one("SELECT count(DISTINCT hour) FROM usage")
clients = one("SELECT count(*) FROM subjects")
days = one("SELECT count(*) FROM (SELECT DISTINCT subject, target, name_source FROM usage)")
size = os.path.getsize(db)
gbit = octets * 8 / (hours * 3600) / 1e9
print(f"{PEOPLE} people with {clients} addresses, {hours} hours: {packets:,} packets, {octets / 1e9:.2f} GB, "
      f"{rows:,} rows, {days:,} of them a day where hours are not kept")
print()
print("| | measured | for 1,000 people |")
print("| --- | --- | --- |")
print(f"| processor time | {seconds / packets * 1e9:,.0f} ns a packet, {seconds:.1f} s for the day "
      f"| {seconds * 1000 / PEOPLE:.0f} s a day |")
print(f"| memory, without rings | {memory:.0f} MiB at most, with one worker | |")
print(f"| disk | {size / rows:.0f} bytes a row, {size / 1e6:.1f} MB a day "
      f"| {size / 1e6 * 1000 / PEOPLE:.0f} MB a day, as long as hours are kept; "
      f"{size / 1e6 * 1000 / PEOPLE * days / rows:.0f} MB a day as rows by day |")
PYTHON
