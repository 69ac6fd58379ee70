# The ways in. Everything is compiled once, in the dev profile, into a folder that outlives the clone.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
export CARGO_TARGET_DIR ?= $(or $(SAGALINE_TARGET_DIR),$(HOME)/.cache/sagaline-target)
export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)

.PHONY: help setup setup-kafka setup-tests demo test prove bench instructions fmt lint deny

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make demo          orders through three services on the embedded log, checked at the end
## make demo KAFKA=1  the same on a real Kafka
demo: $(if $(KAFKA),setup-kafka,setup)
	scripts/demo $(if $(KAFKA),--kafka)

## make test          every test; brings up a Kafka and a PostgreSQL of its own
test: setup-tests
	scripts/test

## make prove         the long proofs, their output into docs/evidence/
prove: setup-tests
	scripts/prove

## make bench         speed beside the raw log, R1 to R7, in at most ten minutes: a table; bench.json and plots in .bench
##                    RUNS=3 LOG=both: for the evidence; GROWTH=1: what a step costs as work grows; WAITING=1000000: that many sagas wait
bench:
	@scripts/setup kafka
	scripts/bench

## make instructions  counts the instructions of a folded step: no more than tests/bench/instructions.txt allows
instructions:
	@scripts/setup valgrind
	scripts/instructions --check

## make setup         installs what is missing, or says exactly what is
setup:
	@scripts/setup

setup-kafka:
	@scripts/setup kafka

setup-tests:
	@scripts/setup kafka postgres

## make fmt           formats the code
fmt:
	cargo fmt --all

## make lint          clippy, warnings are errors
lint:
	cargo clippy --workspace --all-targets -- -D warnings

## make deny          licences, sources and bans of what we depend on
deny:
	command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny check bans licenses sources
