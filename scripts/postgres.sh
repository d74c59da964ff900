#!/usr/bin/env bash
# Runs one command beside a PostgreSQL of its own, which is gone afterwards.
#
#   scripts/postgres.sh CMD…
#
# The command finds the server in TIDEHELM_TEST_POSTGRES (TCP) and TIDEHELM_TEST_POSTGRES_SOCKET (Unix
# socket). The data lives in a fresh folder, the server listens on loopback and in that folder only, and
# no other server is touched. The command's exit code is passed on.
set -euo pipefail

say() { printf 'postgres: %s\n' "$*" >&2; }
[ $# -gt 0 ] || { say 'usage: scripts/postgres.sh CMD…'; exit 2; }

bin=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1 || true)
bin=${bin:-$(command -v initdb || true)}
[ -n "$bin" ] || { say 'no PostgreSQL server found: run scripts/setup.sh postgres'; exit 1; }
bin=${bin%/initdb}

# A socket's path may have 107 bytes, and a long TMPDIR would eat them.
base=${TMPDIR:-/tmp}
[ ${#base} -le 60 ] || base=/tmp
dir=$(mktemp -d "$base/tidehelm-postgres.XXXXXX")

# PostgreSQL refuses to run as root: then it runs as the user that its package made. If this script is
# killed, the kernel tells the server to stop.
as_server=(setpriv --pdeathsig INT)
if [ "$(id -u)" = 0 ]; then
    id postgres >/dev/null 2>&1 || { say 'root cannot run PostgreSQL and there is no user "postgres"'; rmdir "$dir"; exit 1; }
    chown postgres: "$dir"
    as_server+=(--reuid=postgres --regid=postgres --init-groups)
fi

server=
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    trap '' INT TERM HUP
    stop
    rm -rf "$dir"
}

# shellcheck disable=SC2317
stop() {
    [ -n "$server" ] || return 0
    kill -INT "$server" 2>/dev/null || true # a fast shutdown: ends the sessions, writes a checkpoint
    for _ in $(seq 200); do
        if ! kill -0 "$server" 2>/dev/null; then
            wait "$server" 2>/dev/null || true
            return 0
        fi
        sleep 0.1
    done
    kill -QUIT "$server" 2>/dev/null || true # 20 s were not enough
    wait "$server" 2>/dev/null || true
}

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

cd "$dir" # a folder that the server's user may read
"${as_server[@]}" "$bin/initdb" --pgdata="$dir/data" --username=postgres --auth=trust --encoding=UTF8 --locale=C \
    --no-sync >"$dir/initdb.log" 2>&1 </dev/null || { cat "$dir/initdb.log" >&2; exit 1; }

# start PORT: true once the server answers; false if it ended, which a taken port makes it do.
start() {
    "${as_server[@]}" "$bin/postgres" -D "$dir/data" -p "$1" -k "$dir" -c listen_addresses=127.0.0.1 \
        -c max_connections=200 -c fsync=on -c synchronous_commit=on -c logging_collector=off \
        >"$dir/server.log" 2>&1 </dev/null &
    server=$!
    for _ in $(seq 300); do
        if ! kill -0 "$server" 2>/dev/null; then
            wait "$server" || true
            server=
            return 1
        fi
        # Asked over the socket in our own folder: nobody else's server can answer there.
        "$bin/pg_isready" -q -U postgres -h "$dir" -p "$1" && return 0
        sleep 0.1
    done
    return 1
}

port=
for _ in $(seq 10); do
    try=$((20000 + RANDOM % 12000)) # below the ports that the kernel hands out
    if start "$try"; then
        port=$try
        break
    fi
    grep -q 'Address already in use' "$dir/server.log" || break
done
[ -n "$port" ] || { say 'the server did not start:'; cat "$dir/server.log" >&2; exit 1; }
cd "$OLDPWD"

export TIDEHELM_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres"
export TIDEHELM_TEST_POSTGRES_SOCKET="postgres:///postgres?host=$dir&port=$port&user=postgres"

status=0
"$@" || status=$?
if [ -n "$server" ] && ! kill -0 "$server" 2>/dev/null; then
    say 'the server ended before the command did; its last words:'
    tail -n 20 "$dir/server.log" >&2
    [ "$status" -ne 0 ] || status=1
fi
exit "$status"
