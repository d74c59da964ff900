#!/usr/bin/env bash
# Runs Python with pynng, which is fetched from PyPI into target/pynng the first time: scripts/python.sh ARG…
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
place=$root/target/pynng
PYNNG=0.9.0

fail() { printf 'python: %s\n' "$*" >&2; exit 1; }
works() { "$place/bin/python" -c 'import importlib.metadata as it, pynng, sys; sys.exit(it.version("pynng") != sys.argv[1])' "$PYNNG" 2>/dev/null; }

mkdir -p "$root/target"
# Tests run at once: one of them makes it, the others wait.
{
    flock 9
    if ! works; then
        python3 -m venv --clear "$place" >&2 || fail 'python3 with its venv module is needed: scripts/setup.sh python'
        "$place/bin/python" -m pip install --quiet --disable-pip-version-check "pynng==$PYNNG" >&2 ||
            fail "pynng $PYNNG cannot be fetched from PyPI"
    fi
} 9>"$root/target/pynng.lock"
exec "$place/bin/python" "$@"
