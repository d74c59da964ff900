# Each target installs what it needs on Debian 12 with Rust and Node, and says so. Everything longer
# than a line or two is a script in scripts/. Flags for the program: make run ARGS='--set http.bind=127.0.0.1:9000'.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run demo test lint sim soak bench fuzz audit clean
export PATH := $(CURDIR)/.tools/bin:$(PATH)

help: ## this list
	@grep -E '^[a-z]+: ## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+): ## /  make \1\t/' | expand -t 14

run: ## build everything and serve on ./data (SQLite inside, nothing to set up)
	@scripts/setup.sh rust cc cmake node
	scripts/web.sh build
	cargo run --release --locked -- serve $(ARGS)

demo: ## the same with made-up terminals and venues, to look around
	@scripts/setup.sh rust cc cmake node
	scripts/web.sh build
	cargo run --release --locked -- demo $(ARGS)

test: ## the whole truth: format, lints, licences, web, every test, the API document
	@scripts/setup.sh rust cc cmake node nextest deny postgres python systemd
	cargo fmt --all --check
	cargo deny check licenses bans sources
	scripts/web.sh check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	TIDEHELM_TEST_SYSTEMD=1 scripts/postgres.sh cargo nextest run --locked --workspace
	cargo test --locked --workspace --doc
	scripts/openapi.sh

lint: ## format and clippy only
	@scripts/setup.sh rust cc cmake
	cargo fmt --all --check
	cargo lint

sim: ## hundreds of seeded worlds, in seconds
	@scripts/setup.sh rust cc
	cargo sim

soak: ## 100,000 seeded worlds, and a storm over real sockets with a thousand slaves
	@scripts/setup.sh rust cc cmake nextest
	cargo soak
	cargo nextest run --release --locked --test it --run-ignored only --no-capture fleet::

bench: ## every figure, side by side with its peers, as one table
	@scripts/setup.sh rust cc cmake postgres
	scripts/postgres.sh cargo bench --locked --bench '*'
	cargo run --release --locked --manifest-path benches/backtest/Cargo.toml --target-dir target

fuzz: ## a minute of random frames against the wire decoder; ARGS=3600 for an hour
	@scripts/setup.sh rust cc cmake
	scripts/fuzz.sh $(ARGS)

audit: ## published advisories against our dependencies (needs the network)
	@scripts/setup.sh rust cc deny
	scripts/audit.sh

clean: ## remove what was built; ./data and .tools stay
	cargo clean
	rm -rf web-ui/dist web-ui/node_modules
