#!/bin/bash
# deploy/lib.sh - what deploy/up and deploy/down share. Sourced; sets REPO.
# Processes are known by DIR/run/NAME.pid and stopped by number, never by name.

# shellcheck disable=SC2034
REPO=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

say() { printf '%s\n' "$*" >&2; }
die() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    shift
    if (($# > 0)); then printf '  %s\n' "$@" >&2; fi
    exit 1
}

# pid_of DIR NAME: prints the process number if that process runs and is the one that was started there.
pid_of() {
    local dir=$1 name=$2 pid state mark
    read -r pid 2>/dev/null <"$dir/run/$name.pid" || return 1
    [[ $pid =~ ^[0-9]+$ && -r /proc/$pid/stat ]] || return 1
    # A number may belong to somebody else by now: the command line must name our directory.
    mark=$dir
    if [[ $name == postgres ]]; then mark=$(cat "$dir/run/postgres.data" 2>/dev/null) || return 1; fi
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$mark" || return 1
    state=$(sed 's/.*) //; s/ .*//' "/proc/$pid/stat" 2>/dev/null) || return 1
    [[ -n $state && $state != Z ]] || return 1
    printf '%s\n' "$pid"
}

# stop_process DIR NAME SECONDS: asks, waits, and then kills.
stop_process() {
    local dir=$1 name=$2 seconds=$3 pid signal=TERM tenths
    if pid=$(pid_of "$dir" "$name"); then
        if [[ $name == postgres ]]; then signal=INT; fi # "fast": does not wait for its clients
        kill "-$signal" "$pid" 2>/dev/null
        for ((tenths = seconds * 10; tenths > 0; tenths--)); do
            pid_of "$dir" "$name" >/dev/null || break
            sleep 0.1
        done
        if pid=$(pid_of "$dir" "$name"); then
            say "$name did not stop within $seconds s: killed"
            kill -KILL "$pid" 2>/dev/null
        fi
    fi
    rm -f "$dir/run/$name.pid"
}

# process_names DIR: in the order in which they are stopped: each drains into the next, so the source goes first.
process_names() {
    local dir=$1 pattern file
    for pattern in demo tailer 'broker-*' 'edge-*' postgres; do
        for file in "$dir"/run/$pattern.pid; do
            if [[ -e $file ]]; then basename "$file" .pid; fi
        done
    done
}

# stop_all DIR SECONDS
stop_all() {
    local name
    while read -r name; do
        stop_process "$1" "$name" "$2"
    done < <(process_names "$1")
}
