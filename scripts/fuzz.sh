#!/usr/bin/env bash
# Fuzzes the wire decoder with libFuzzer: scripts/fuzz.sh [SECONDS], or RUNS=N for so many executions.
# The coverage and sanitizer flags are nightly's. With RUSTC_BOOTSTRAP the pinned compiler takes them too, for this only.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
target="$(rustc -vV | sed -n 's/^host: //p')"
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="--cfg fuzzing -Ccodegen-units=1 ${SANITIZER--Zsanitizer=address} $coverage"
cargo build --release --target "$target" --bin wire
mkdir -p corpus/wire
limit=(-max_total_time="${1:-60}")
[[ -z "${RUNS:-}" ]] || limit=(-runs="$RUNS")
exec "target/$target/release/wire" corpus/wire ../ea/golden -max_len=4096 -rss_limit_mb=1024 -malloc_limit_mb=64 -timeout=5 -print_final_stats=1 "${limit[@]}"
