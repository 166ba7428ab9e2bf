# One command each, from a fresh clone on a bare machine: `make demo`, `make test`, `make bench`.

# setup may have just installed cargo there.
export PATH := $(HOME)/.cargo/bin:$(PATH)

# Most tests wait for a server most of the time: on two cores, four at once.
TEST_THREADS := $(shell cores=$$(getconf _NPROCESSORS_ONLN); [ "$$cores" -gt 4 ] && echo "$$cores" || echo 4)

.PHONY: help setup demo test bench check fuzz macos

help:
	@echo 'make demo    the main job end to end on embedded servers, in about a minute'
	@echo 'make test    all tests, together on every PostgreSQL version found'
	@echo 'make bench   the benchmarks'
	@echo 'make check   everything that CI checks'
	@echo 'make fuzz    fuzzes what reads a server'"'"'s bytes, a minute a target'
	@echo 'make macos   type-checks the program for macOS, on Debian 12'
	@echo 'make setup   installs what is missing (the others call it)'

setup:
	@scripts/setup

demo: setup
	cargo run --release --locked -- demo

test: setup
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$(TEST_THREADS)} cargo test --locked

bench: setup
	cargo bench --locked

check:
	.ci/run

fuzz: setup
	scripts/fuzz

macos: setup
	scripts/check-macos
