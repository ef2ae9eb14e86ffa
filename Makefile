# Thin: cargo does the work. `make help` lists the targets.

CARGO_TARGET_DIR ?= $(HOME)/.cache/raft-target
export CARGO_TARGET_DIR
CARGO_HOME ?= $(HOME)/.cargo
# A shell that is not a login shell may not know where rustup put cargo.
export PATH := $(CARGO_HOME)/bin:$(PATH)

.PHONY: help test tools

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile

test: tools ## Run every test of the workspace
	@echo "==> cargo test --workspace --release (build directory $(CARGO_TARGET_DIR))"
	@cargo test --workspace --release

tools: ## Install the system packages that are missing: a C linker, git, make
	@sh .ci/tools
