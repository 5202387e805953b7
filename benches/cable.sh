#!/usr/bin/env bash
# Two judgements of `shadowscope run` on a cable: two network namespaces with a veth pair between
# them, tcpreplay at one end. Needs root, ip, tcpreplay, tcpdump, python3, and a quiet machine.
#
#     benches/cable.sh rate [--seconds 10] [--rounds 3] [--share 90]
#     benches/cable.sh soak [--minutes 30] [--pps 20000]
#
# rate: finds the highest rate at which `tcpdump -w /dev/null` with as much ring loses nothing, then
#       sends at --share per cent of it, --rounds times to each in turn: in its best round
#       shadowscope may lose nothing. Then it sends as fast as it can: the account of what was sent
#       has to be exact, sent = seen + dropped.
# soak: a steady rate, the catalogue reloaded each minute, a report written each five (each minute
#       of a run of less than ten): nothing may be dropped, and once it is warm (a fifth of the
#       time) resident memory may move by 5 per cent.
#
# For both: --workers (one a core), --ring MIB for each (64), --capture FILE (a made one), --program
# FILE (the one built here). The last line says how it went; ends with 0 if well, 1 if not, 2 for a
# mistake.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
what=${1:-}
shift || true
seconds=10 rounds=3 share=90 minutes=30 pps=20000 workers=$(nproc) ring=64 capture= program=
while (($# > 1)); do
    case $1 in
    --seconds | --rounds | --share | --minutes | --pps | --workers | --ring | --capture | --program)
        declare "${1#--}=$2"
        shift 2
        ;;
    *) break ;;
    esac
done
if (($# > 0)) || [[ $what != rate && $what != soak ]]; then
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
for tool in ip tcpreplay tcpdump python3; do
    command -v "$tool" >/dev/null || { echo "not installed: $tool" >&2; exit 2; }
done
((EUID == 0)) || { echo 'network namespaces need root' >&2; exit 2; }

shadowscope=$program
if [[ -z $shadowscope ]]; then
    cargo build --release --locked --quiet --manifest-path "$here/Cargo.toml"
    shadowscope=${CARGO_TARGET_DIR:-$here/target}/release/shadowscope
fi
work=$(mktemp -d)
sender=bench-$$a
sensor=bench-$$b
background=
clean_up() {
    local process
    for process in $background; do kill "$process" 2>/dev/null || true; done
    ip netns del "$sender" 2>/dev/null || true
    ip netns del "$sensor" 2>/dev/null || true
    rm -r "$work"
}
trap clean_up EXIT

if [[ -z $capture ]]; then
    capture=$work/office.pcap
    cargo bench --quiet --locked --manifest-path "$here/Cargo.toml" --bench capture -- \
        office 3000 "$capture" >/dev/null
fi
for name in "$sender" "$sensor"; do
    ip netns add "$name"
    # Only what is replayed shall be on the cable.
    for of in all default; do ip netns exec "$name" sysctl -qw "net.ipv6.conf.$of.disable_ipv6=1"; done
done
ip -n "$sender" link add va type veth peer name vb netns "$sensor"
ip -n "$sender" link set va up
ip -n "$sensor" link set vb up
until ip -n "$sensor" -o link show vb | grep -q 'state UP'; do sleep 0.1; done

send() { ip netns exec "$sender" tcpreplay -q -i va --preload-pcap "$@" "$capture" 2>/dev/null; }
sent_of() { awk '/Successful packets:/ { print $NF }' <<<"$1"; }
packets=$(sent_of "$(send --topspeed)")
# How often the capture is sent to make so many seconds at a rate.
loops() { echo $((($1 * $2 + packets - 1) / packets)); }
echo "$(uname -sr), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n1), $(nproc) cores; $packets packets, $(stat -Lc %s "$capture") bytes; $workers workers with $ring MiB each"

# One row of what a question to the sensor's database says.
ask() {
    python3 - "$work/db" "$1" <<'PYTHON'
import sqlite3, sys
print(*sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone())
PYTHON
}

start_sensor() {
    rm -f "$work"/db*
    : >"$work/said"
    ip netns exec "$sensor" "$shadowscope" run --interface vb --db "$work/db" --clear --allow-root \
        --workers "$workers" --ring "$ring" "$@" 2>"$work/said" &
    running=$!
    background+=" $running"
    until grep -q 'capturing on' "$work/said"; do
        kill -0 "$running" 2>/dev/null || { cat "$work/said" >&2; exit 1; }
        sleep 0.1
    done
}

# Ends what is running, once it has taken what is in its rings.
end() {
    sleep 2
    kill -TERM "$running"
    wait "$running" || { cat "$work/said" >&2; exit 1; }
}

# Sends to one of them; sets `sent`, `seen` and `dropped`.
through() {
    local whom=$1
    shift
    if [[ $whom == tcpdump ]]; then
        : >"$work/said"
        ip netns exec "$sensor" tcpdump -i vb -n -w /dev/null -B $((ring * workers * 1024)) 2>"$work/said" &
        running=$!
        background+=" $running"
        until grep -q 'listening on' "$work/said"; do sleep 0.1; done
        sent=$(sent_of "$(send "$@")")
        end
        seen=$(awk '/packets captured/ { print $1 }' "$work/said")
        dropped=$(awk '/dropped by (kernel|interface)/ { n += $1 } END { print n + 0 }' "$work/said")
    else
        start_sensor
        sent=$(sent_of "$(send "$@")")
        end
        seen=$(ask 'SELECT ifnull(sum(packets), 0) FROM totals')
        dropped=$(ask 'SELECT ifnull(sum(dropped + interface_dropped), 0) FROM rings')
    fi
}

rate() {
    local low=0 high fast round whom best=
    fast=$(send --topspeed --loop "$(loops 100000 2)")
    high=$(awk '/Rated:/ { print int($(NF - 1)) }' <<<"$fast")
    echo "the sender alone: $high packets a second"
    # The sender's own speed first: where nothing is lost at that, there is no higher rate.
    local try=$high
    for _ in {1..7}; do
        through tcpdump --pps "$try" --loop "$(loops "$try" "$seconds")"
        echo "tcpdump at $try a second: $((sent - seen)) of $sent lost"
        if ((sent == seen)); then low=$try; else high=$try; fi
        if ((high - low < high / 20)); then break; fi
        try=$(((low + high) / 2))
    done
    ((low > 0)) || { echo 'tcpdump loses packets at every rate: this machine is not quiet'; exit 1; }
    local pps=$((low * share / 100))
    for ((round = 1; round <= rounds; round++)); do
        for whom in tcpdump shadowscope; do
            through "$whom" --pps "$pps" --loop "$(loops "$pps" "$seconds")"
            echo "round $round, $whom at $pps a second: $((sent - seen)) of $sent lost"
        done
        if [[ -z $best ]] || ((sent - seen < best)); then best=$((sent - seen)); fi
    done
    through shadowscope --topspeed --loop "$(loops 200000 "$seconds")"
    echo "as fast as it goes: $sent sent, $seen seen, $dropped dropped"
    if ((best != 0)); then echo "BAD: $best lost at $share % of tcpdump's rate"; exit 1; fi
    if ((sent != seen + dropped)); then echo 'BAD: the account is not exact'; exit 1; fi
    echo "well: nothing lost at $pps packets a second, $share % of tcpdump's $low; the account is exact"
}

soak() {
    local extra=$work/extra every=5 begun minute=0 reports=0 sample
    ((minutes >= 10)) || every=1
    mkdir "$extra"
    printf 'schema = 1\n[vendors.local]\nname = "Local"\n' >"$extra/vendors.toml"
    start_sensor --signatures-extra "$extra" --socket "$work/socket"
    send --pps "$pps" --loop "$(loops "$pps" $((minutes * 60)))" >"$work/sent" &
    local sending=$!
    background+=" $sending"
    begun=$SECONDS
    : >"$work/memory"
    while ((SECONDS - begun < minutes * 60)); do
        sleep 5
        sample=$(awk '/^VmRSS/ { print $2 }' "/proc/$running/status")
        echo "$((SECONDS - begun)) $sample" >>"$work/memory"
        if (((SECONDS - begun) / 60 == minute)); then continue; fi
        minute=$(((SECONDS - begun) / 60))
        # Another catalogue each minute.
        sed -e "s/DOMAIN/soak-$minute.example/" >"$extra/soak.toml.new" <<'TOML'
schema = 1
id = "soak"
name = "Soak"
vendor = "local"
kind = "app"
category = "collaboration"
status = "active"
maturity = "candidate"
homepage = "https://DOMAIN/"
verified = 2026-11-22
sources = ["https://DOMAIN/"]

[[match]]
role = "use"
domains = ["DOMAIN"]
TOML
        mv "$extra/soak.toml.new" "$extra/soak.toml"
        if ((minute % every == 0)); then
            "$shadowscope" report --db "$work/db" --out "$work/report" >/dev/null
            reports=$((reports + 1))
        fi
        echo "minute $minute: $((sample / 1024)) MiB resident"
    done
    wait "$sending" || true
    local sent reloads
    sent=$(sent_of "$(cat "$work/sent")")
    reloads=$("$shadowscope" status --socket "$work/socket" --json |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["reloads"])')
    end
    local seen dropped
    seen=$(ask 'SELECT sum(packets) FROM totals')
    dropped=$(ask 'SELECT sum(dropped + interface_dropped) FROM rings')
    echo "$sent sent, $seen seen, $dropped dropped; $reloads reloads, $reports reports"
    python3 - "$work/memory" $((minutes * 12)) <<'PYTHON' || { echo 'BAD: memory moves'; exit 1; }
import sys
samples = [tuple(map(int, line.split())) for line in open(sys.argv[1])]
warm = [kib for at, kib in samples if at >= int(sys.argv[2])]
middle = (min(warm) + max(warm)) / 2
moves = (max(warm) - middle) / middle * 100
print(f"resident once warm: {min(warm) / 1024:.1f} to {max(warm) / 1024:.1f} MiB, +-{moves:.1f} %")
sys.exit(moves > 5)
PYTHON
    if ((dropped != 0 || seen != sent)); then echo 'BAD: packets are lost'; exit 1; fi
    if ((reloads < minutes - 1)); then echo 'BAD: a reload was not taken'; exit 1; fi
    echo "well: $minutes minutes at $pps packets a second"
}

"$what"
