# Thin: cargo does the work. `make help` lists the targets.

CARGO_TARGET_DIR ?= $(HOME)/.cache/raft-target
export CARGO_TARGET_DIR
CARGO_HOME ?= $(HOME)/.cargo
# A shell that is not a login shell may not know where rustup put cargo.
export PATH := $(CARGO_HOME)/bin:$(PATH)

.PHONY: help demo test unit simulate explore mutants tools

# How much `make test` does of what can go on for ever; give more for a long run.
SEEDS ?= 5000
STATES ?= 1200000

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile

demo: ## Three members on this machine, to try things on; installs what is missing, compiles first
	@sh .ci/tools
	@echo "==> cargo build --release -p raft-cli (about 12 minutes the first time: RocksDB)"
	@cargo build --release -p raft-cli
	@$(CARGO_TARGET_DIR)/release/raft-cli demo

test: unit simulate explore mutants ## All tests: those below, one after the other

unit: tools ## The test suites of the workspace
	@echo "==> cargo test --workspace --release (build directory $(CARGO_TARGET_DIR))"
	@cargo test --workspace --release --features raft-log/rocksdb,raft-tests/rocksdb,raft-tests/clients

simulate: tools ## SEEDS=5000 simulated clusters in a world of faults
	@echo "==> $(SEEDS) simulated clusters"
	@cargo run --quiet --release -p raft-tests --bin simulate -- --seeds $(SEEDS)

explore: tools ## STATES=1200000 states of each of the small clusters of the model checker
	@echo "==> $(STATES) states of each small cluster"
	@cargo run --quiet --release -p raft-tests --bin explore -- --states $(STATES)

mutants: tools ## Known bugs, planted one at a time: the tests must notice each
	@echo "==> planted bugs"
	@cargo run --quiet --release -p raft-tests --bin mutants

tools: ## Install the system packages that are missing: a C linker, clang, protoc, clients
	@sh .ci/tools tests
