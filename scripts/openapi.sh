#!/usr/bin/env bash
# Compares docs/openapi.json with what the program describes; TIDEHELM_BLESS=1 writes it instead.
set -euo pipefail
cd "$(dirname "$0")/.."

fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT
cargo run --quiet --locked -- openapi >"$fresh"
grep -q '"openapi": *"3\.1\.' "$fresh" || { echo 'openapi: tidehelm printed no OpenAPI 3.1 document' >&2; exit 1; }

if [ "${TIDEHELM_BLESS:-}" = 1 ]; then
    cp "$fresh" docs/openapi.json
elif ! diff -u docs/openapi.json "$fresh"; then
    echo 'openapi: docs/openapi.json is not what the program does; look at the difference, then TIDEHELM_BLESS=1 scripts/openapi.sh' >&2
    exit 1
else
    echo 'openapi: docs/openapi.json is what the program describes'
fi
