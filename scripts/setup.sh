#!/usr/bin/env bash
# Installs what a target needs and says what and why; quiet and quick when everything is there.
#
#   scripts/setup.sh THING…     THING is one of: rust cc cmake node nextest deny postgres python systemd chromium
#
# System packages come from Debian (root, or a user with sudo); cargo's helpers go to .tools/ in the
# checkout. Nothing that is present is replaced, and a Debian index is fetched only if something is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

NEXTEST=0.9.143
DENY=0.20.2
PATH="$PWD/.tools/bin:$PATH"

packages=()

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# want WHY PACKAGE…: collects packages, so that they are installed in one go.
want() {
    local why=$1
    shift
    say "needed: $* ($why); installing"
    packages+=("$@")
}

thing() {
    case $1 in
    rust) rust ;;
    cc) compiles || want 'a C compiler: SQLite, ring and zstd are built from source' gcc libc6-dev ;;
    cmake) { has cmake && has g++; } || want 'builds the NNG library' cmake g++ ;;
    node) node_ ;;
    nextest) cargo_tool cargo-nextest "$NEXTEST" 'runs the tests' ;;
    deny) cargo_tool cargo-deny "$DENY" 'checks licences, bans and sources' ;;
    postgres) server_binaries || want 'a throw-away PostgreSQL for the tests' postgresql ;;
    python) pythonic || want 'the sample terminal and tests against another NNG' python3 python3-venv ;;
    systemd) has systemd-analyze || want 'checks the unit of the service; nothing of it is started' systemd ;;
    chromium) has chromium || has google-chrome || want 'the browser for the web tests' chromium ;;
    *) fail "unknown thing '$1'; known: rust cc cmake node nextest deny postgres python systemd chromium" ;;
    esac
}

rust() {
    has cargo || fail 'cargo is not on PATH. Install Rust with rustup (https://rustup.rs); Debian 12 ships one that is too old.'
    cargo --version >/dev/null || fail 'the toolchain that rust-toolchain.toml names is missing: run rustup toolchain install in this folder.'
}

compiles() { has cc && printf '#include <stdio.h>\n' | cc -E - >/dev/null 2>&1; }

node_() {
    { has node && has npm; } || fail 'Node.js 20.19 or newer with npm is needed to build the web pages (https://nodejs.org); Debian 12 ships 18, which is too old.'
    node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
        fail "Node.js $(node --version) is too old: 20.19 or newer is needed (https://nodejs.org)."
}

server_binaries() { compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || has initdb; }

pythonic() { python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# cargo_tool NAME VERSION WHY: takes the one on PATH, else builds it into .tools/.
cargo_tool() {
    has "$1" && return
    install_packages # a cargo tool may need the compiler that was asked for before it
    compiles || { want "a C compiler: $1 is built from source" gcc libc6-dev; install_packages; }
    say "building $1 $2 into .tools/ ($3); this takes some minutes, once per checkout"
    cargo install --quiet --locked --root .tools "$1@$2"
}

install_packages() {
    [ ${#packages[@]} -gt 0 ] || return 0
    has apt-get || fail "cannot install by itself here (no apt-get). Install these, or what your system calls them: ${packages[*]}"
    as_root true || fail "root is needed to install packages. Run: sudo apt-get install ${packages[*]}"
    as_root apt-get update -qq
    case " ${packages[*]} " in *' postgresql '*) without_cluster apt_install ;; *) apt_install ;; esac
    packages=()
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null </dev/null
}

# Debian creates and starts a database cluster when the server is first installed. We want the binaries
# only: a setting that lives as long as this installation prevents it, and says so.
without_cluster() {
    local setting=/etc/postgresql-common/createcluster.d/tidehelm.conf status=0
    say "no database cluster is created or started by this installation ($setting, removed afterwards)"
    as_root mkdir -p "${setting%/*}"
    printf 'create_main_cluster = false\n' | as_root tee "$setting" >/dev/null
    "$@" || status=$?
    as_root rm -f "$setting"
    return "$status"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif has sudo; then sudo "$@"; else return 1; fi
}

[ $# -gt 0 ] || fail 'say what is needed: rust cc cmake node nextest deny postgres python systemd chromium'
for wanted in "$@"; do thing "$wanted"; done
install_packages
