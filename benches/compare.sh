#!/usr/bin/env bash
# CPU time a packet of shadowscope and of whichever other readers of captures are installed, on the
# same file, in turn:
#
#     benches/compare.sh CAPTURE [ROUNDS]
#
# Prints for each program its version, the least CPU time (user and system, whole process) of so
# many rounds (3) as nanoseconds a packet, its peak memory, and how many times shadowscope's time
# that is. `dd` only reads the file in blocks of 1 MiB: nobody can be faster. `tcpdump` copies every
# packet to nowhere. The others recognise protocols and names, as shadowscope does.
#
# A capture can be made with `cargo bench --bench capture` (see benches/capture.rs). It should fit
# in memory together with the programs: the first round brings it there.
set -euo pipefail

if (($# < 1)) || [[ ! -r $1 ]]; then
    echo 'name a capture that can be read: benches/compare.sh CAPTURE [ROUNDS]' >&2
    exit 2
fi
capture=$1
rounds=${2:-3}
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

cargo build --release --locked --quiet --manifest-path "$here/Cargo.toml"
shadowscope=${CARGO_TARGET_DIR:-$here/target}/release/shadowscope

names=(shadowscope dd)
declare -A command version
command[shadowscope]="$shadowscope read --quiet --workers 1 $(printf %q "$capture")"
version[shadowscope]=$("$shadowscope" --version)
command[dd]="dd if=$(printf %q "$capture") of=/dev/null bs=1M status=none"
version[dd]='only reading'
add() {
    if command -v "$1" >/dev/null; then
        names+=("$1")
        command[$1]=$2
        version[$1]=$3
    else
        echo "not installed: $1" >&2
    fi
}
# The first line of what a program says of its version, whichever way it says it.
says() { { "$@" 2>&1 || true; } | grep -m1 '[0-9]\.[0-9]' || true; }
add tcpdump "tcpdump -n -r $(printf %q "$capture") -w /dev/null" "$(says tcpdump --version | head -n1)"
add ndpiReader "ndpiReader -q -i $(printf %q "$capture")" "$(says ndpiReader -h | grep -o "nDPI [0-9.]*")"
add suricata "suricata --runmode single -S /dev/null -k none -l $work -r $(printf %q "$capture")" "$(says suricata -V)"
# Without a field to print, tshark does not look into packets.
add tshark "tshark -n -r $(printf %q "$capture") -T fields -e tls.handshake.extensions_server_name" "$(says tshark --version | sed 's/ (Git.*//')"

"$shadowscope" read --quiet --report "$work" "$capture" >/dev/null
packets=$(sed -n 's/^ *"packets": *\([0-9]*\).*/\1/p' "$work/manifest.json" | head -n1)

declare -A best memory
for ((round = 0; round < rounds; round++)); do
    for name in "${names[@]}"; do
        # tshark takes minutes where others take seconds: one round of it tells enough.
        if [[ $name == tshark ]] && ((round > 0)); then continue; fi
        read -r user system peak < <(
            python3 - "$name" ${command[$name]} <<'PYTHON'
import resource, subprocess, sys
done = subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
if done.returncode:
    sys.exit(f"{sys.argv[1]} ended with {done.returncode}")
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime, used.ru_stime, used.ru_maxrss)
PYTHON
        )
        nanos=$(awk -v u="$user" -v s="$system" -v n="$packets" 'BEGIN { printf "%.1f", (u + s) * 1e9 / n }')
        if [[ -z ${best[$name]:-} ]] || awk "BEGIN { exit !($nanos < ${best[$name]}) }"; then
            best[$name]=$nanos
            memory[$name]=$((peak / 1024))
        fi
    done
done

echo "$(uname -m), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n1), $(nproc) cores; $packets packets, $(stat -Lc %s "$capture") bytes, best of $rounds"
echo
echo '| program | ns a packet | against shadowscope | memory, MiB | version |'
echo '| --- | ---: | ---: | ---: | --- |'
for name in "${names[@]}"; do
    ratio=$(awk -v a="${best[$name]}" -v b="${best[shadowscope]}" 'BEGIN { printf "%.2f", a / b }')
    printf '| %s | %.0f | %s | %s | %s |\n' "$name" "${best[$name]}" "$ratio" "${memory[$name]}" "${version[$name]}"
done
