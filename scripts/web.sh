#!/usr/bin/env bash
# Builds the web pages, checks and builds them, or tries them in a browser against the binary and the mock.
#
#   scripts/web.sh build|check|browser
#
# `browser` needs Chromium (CHROMIUM, /usr/bin/chromium) and a binary (TIDEHELM_BIN, target/debug/tidehelm); pictures of
# every page are in web-ui/test/shots afterwards.
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
browser)
    install
    npm run build
    npm run e2e </dev/null
    ;;
*)
    echo 'usage: scripts/web.sh build|check|browser' >&2
    exit 2
    ;;
esac
