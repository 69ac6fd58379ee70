# The ways in. Everything is compiled once, in the dev profile, into a folder that outlives the clone.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
export CARGO_TARGET_DIR ?= $(or $(SAGALINE_TARGET_DIR),$(HOME)/.cache/sagaline-target)
export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)

.PHONY: help setup setup-kafka setup-tests demo test prove bench fmt lint deny

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

## make bench         records and instructions per step, steps a second, latency, beside the raw log
bench:
	@scripts/setup kafka bench
	scripts/bench

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
