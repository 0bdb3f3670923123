# `make help` lists what there is.
SHELL := /bin/bash
export PATH := $(CURDIR)/.tools/bin:$(PATH)
BOOTY := target/debug/booty

.DEFAULT_GOAL := help
.PHONY: help setup build demo test programs verify lint docs bench contract peer clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Bring nats-server and bubblewrap when they are missing
	@scripts/setup.sh

build: ## Build the booty program (target/debug/booty)
	@cargo build -p booty

demo: setup build ## A labelled issue becomes a draft pull request, here, with no account; CHAOS=1 kills processes on the way
	@$(BOOTY) demo $(if $(filter-out 0,$(CHAOS)),--chaos)

test: setup ## Run all tests
	@scripts/test.sh

programs: setup ## Repair forty real defects on the whole line; kill the builder at each step of a long job
	BOOTY_TEST_ALL=1 cargo test -p booty --test it programs:: -- --nocapture --test-threads=1
	BOOTY_TEST_ALL=1 cargo test -p booty-builder --test it each_step:: -- --nocapture

verify: setup lint test programs ## What CI runs: formatting, lints, dependency rules, all tests, all programs

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --offline check bans licenses sources; \
	 else echo "lint: cargo-deny is not installed; bans on crates are still checked by the tests"; fi

docs: build ## Write the generated parts of docs/ anew
	@text="$$($(BOOTY) docs configuration)" && printf '%s\n' "$$text" > docs/CONFIGURATION.md
	@text="$$($(BOOTY) config schema)" && printf '%s\n' "$$text" > docs/booty.schema.json

bench: setup ## Measure ingress beside a bare probe, and a judgement beside its commands run by hand
	cargo run --release -p booty-ingress --example bench
	cargo run --release -p booty-judge --example bench

contract: ## Check the simulator's traffic against GitHub's published OpenAPI (needs npm and pip)
	@crates/sim/contract/run .tools/contract

peer: setup build ## The builder beside mini-swe-agent, on the same tasks and answers (needs its `mini` in PATH or MINI_SWE_AGENT)
	@python3 scripts/peer/run.py --booty $(BOOTY)

clean: ## Remove everything that was built or downloaded
	rm -rf target .tools .booty
