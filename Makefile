# The menu. `make` alone prints it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

HOST := $(shell rustc -vV | sed -n 's/^host: //p')
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
# `make e2e PROFILE=quick`: the same static program, built in a third of the time.
PROFILE ?= release
BIN := target/$(HOST)/$(PROFILE)/locket
BIN_DIR ?= $(HOME)/.local/bin
PLUGIN_DIR ?= $(or $(DOCKER_CONFIG),$(HOME)/.docker)/cli-plugins

# What the set-up found or made: OpenBao, age, a YAML language server, the docker CLI. Read in each recipe, because `make setup` may have run just before.
WITH_ENV = if [ -f .e2e/env ]; then set -a; . .e2e/env; set +a; fi;

NEXTEST := $(shell command -v cargo-nextest >/dev/null && echo yes)
SCENARIOS := package(locket-e2e) & binary(main)
# Tests that start a real server, so they need `make setup`.
SERVERS := binary(openbao_server) | test(/real/)

help: ## This menu
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: build setup ## Show the main job on a real engine
	@$(WITH_ENV) LOCKET_BIN="$(abspath $(BIN))" e2e/demo/demo

test: SCHEDULES ?= 10000
test: fmt ## Everything: style, licences, tests of every room, scenarios on a real engine
	@echo "The release program is built beside what follows: target/build.log"
	@.ci/beside target/build.log "$(MAKE) build" "$(MAKE) clippy deny setup unit doc SCHEDULES=$(SCHEDULES)"
	@$(MAKE) e2e-run

check: fmt clippy deny quick-unit ## Fast, needs no engine: style, licences, tests of the rooms

e2e: setup build e2e-run ## Scenarios on a real engine, real compose, real backends; ONLY=name for some

bench: setup build ## Figures of docs/benchmarks.md; ARGS="--projects 50 --write" puts them there
	@$(WITH_ENV) . e2e/setup/state.sh; state_before; trap state_after EXIT; \
	  LOCKET_BIN="$(abspath $(BIN))" cargo bench --locked -q -p locket-e2e --bench figures -- $(ARGS)

fuzz: ## One parser under libFuzzer, TIME seconds (300): TARGET=name, or nothing for the list
	@.ci/fuzz "$(TARGET)" "$(or $(TIME),300)"

mutants: ## Take guards away, one at a time: the simulation must notice (about 3 minutes each)
	@e2e/mutants/run

install: build ## Into ~/.local/bin, and as docker-locket into the docker CLI's plugin folder
	@.ci/install "$(BIN)" "$(BIN_DIR)/locket" "$(PLUGIN_DIR)/docker-locket"

uninstall: ## Take both away again
	@REMOVE=1 .ci/install "$(BIN)" "$(BIN_DIR)/locket" "$(PLUGIN_DIR)/docker-locket"

image: build ## Import the binary as image locket:VERSION
	@$(WITH_ENV) dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; install -m 0755 "$(BIN)" "$$dir/locket"; \
	  tar -C "$$dir" --owner=0 --group=0 --numeric-owner --mtime=@0 --format=ustar -cf - locket \
	  | docker import --change 'ENTRYPOINT ["/locket"]' --change 'LABEL org.opencontainers.image.title=locket' - locket:$(VERSION) >/dev/null; \
	  docker image ls locket:$(VERSION)

clean: ## Remove builds, the test images, and what a killed test left on the engine
	@e2e/setup/setup clean || true
	cargo clean
	rm -rf .e2e

setup: ## Make this machine ready for demo and e2e (an engine if none answers, test images, OpenBao, a YAML language server)
	@e2e/setup/setup

build: ## The static release binary
	@RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --profile $(PROFILE) --target $(HOST) -p locket --bin locket
	@echo "$(BIN) $$(stat -c %s $(BIN)) bytes"

fmt: ## rustfmt
	@cargo fmt --all --check

clippy: ## clippy, with the fences of clippy.toml
	@cargo clippy --locked --workspace --lib --bins -- -D warnings
	@# Tests may write files, read the clock and start programs.
	@cargo clippy --locked --workspace --tests --benches -- -D warnings -A clippy::disallowed_methods -A clippy::disallowed_macros

deny: ## Licences, bans and sources of the dependencies
	@command -v cargo-deny >/dev/null || { echo "cargo-deny is missing: installing it, once, about 3 minutes"; \
	  CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	  cargo install cargo-deny --locked --version '^0.20'; }
	@cargo deny --log-level error check bans licenses sources

advisories: ## Known vulnerabilities in the dependencies (fetches the database)
	@cargo deny check advisories

unit: ## Tests of every room; SCHEDULES=10000 for more of the simulation
	@$(WITH_ENV) $(if $(SCHEDULES),export LOCKET_SCHEDULES=$(SCHEDULES);) $(if $(NEXTEST),cargo nextest run --locked --workspace -E 'not ($(SCENARIOS))',cargo test --locked --workspace --exclude locket-e2e && cargo test --locked -p locket-e2e --lib --bins --test arrows --test editor --test fake --test fire)

quick-unit:
	@$(WITH_ENV) $(if $(NEXTEST),cargo nextest run --locked --workspace -E 'not ($(SCENARIOS) | $(SERVERS) | binary(fire))',cargo test --locked --workspace --lib --bins && cargo test --locked -p locket-e2e --test fake)

doc: ## Doctests
	@cargo test --locked --workspace --doc -q

e2e-run:
	@$(WITH_ENV) LOCKET_BIN="$(abspath $(BIN))" e2e/run $(ONLY)

.PHONY: help demo test check e2e bench fuzz mutants install uninstall image clean setup build fmt clippy deny advisories unit quick-unit doc e2e-run
