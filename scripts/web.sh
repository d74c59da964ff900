#!/usr/bin/env bash
# Builds the web pages, or checks and builds them.
#
#   scripts/web.sh build|check
set -euo pipefail
cd "$(dirname "$0")/../web-ui"

# `npm ci` starts from nothing each time, so it runs only when the lock file is not the installed one.
install() {
    local stamp=node_modules/.tidehelm-lock
    cmp -s package-lock.json "$stamp" && return
    npm ci --no-audit --no-fund </dev/null
    cp package-lock.json "$stamp"
}

case ${1:-} in
build)
    install
    npm run build
    ;;
check)
    install
    # Where nobody looks, Biome colours every single character.
    npm run lint -- --colors="$([ -t 1 ] && echo force || echo off)" </dev/null
    for step in types test build; do npm run "$step" </dev/null; done
    ;;
*)
    echo 'usage: scripts/web.sh build|check' >&2
    exit 2
    ;;
esac
