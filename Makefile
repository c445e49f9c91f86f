# Everything one does here, as one word each. `make help` lists them.
#
# The work itself is done by CMake with the presets of CMakePresets.json; nothing stops you from calling
# cmake, ninja and ctest yourself.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

JOBS ?= $(shell nproc)
PORT ?= 8080
FUZZ_SECONDS ?= 20
export FUZZ_SECONDS
# Lets several clones share one compiler cache.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1

say = @printf '\n== %s\n' $(1)

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 26

# --- Running and building ---------------------------------------------------------------------------------------------

.PHONY: run
run: .build-server ## Install what is missing, build, and serve the counter on port 8080 (or PORT)
	@PORT=$(PORT) exec build/release/bin/jamsocket serve build/release/examples/counter.wasm --static examples/counter/static

.PHONY: build
build: .configure-release ## Build build/release/bin/jamsocket and build/release/examples/NAME.wasm
	@cmake --build build/release --parallel $(JOBS)

.PHONY: .build-server
.build-server: .configure-release
	@cmake --build build/release --parallel $(JOBS) --target jamsocket guest_counter

.PHONY: .configure-release
.configure-release: .setup-run .engine
	@if [[ ! -f build/release/build.ninja ]]; then cmake --preset run; fi

.PHONY: .setup-run .setup-test .setup-peers .engine
.setup-run:
	@tools/setup.sh run
.setup-test:
	@tools/setup.sh test
.setup-peers:
	@tools/setup.sh peers
.engine:
	@tools/build-wasmtime.sh >/dev/null

.PHONY: install
install: build ## Install the server and the library under PREFIX (default /usr/local)
	@cmake --install build/release --prefix "$${PREFIX:-/usr/local}"

# --- Testing ----------------------------------------------------------------------------------------------------------

# Four builds of the same tree, then one ctest over all of them:
#   release  what is shipped; every test, and the linters
#   dev      address and undefined-behaviour sanitizers
#   tsan     the thread sanitizer, over what has threads
#   fuzz     clang; every fuzzer for FUZZ_SECONDS
TEST_BUILDS := release dev tsan fuzz

.PHONY: test
test: .setup-test .engine ## Install what is missing, build four ways, run every test, linter and fuzzer
	@mkdir -p build/all
	@printf 'subdirs("$(CURDIR)/build/%s")\n' $(TEST_BUILDS) > build/all/CTestTestfile.cmake
	@for preset in $(TEST_BUILDS); do \
	  printf '\n== building: %s\n' $$preset; \
	  cmake --preset $$preset -Wno-dev --log-level=WARNING; \
	  target=all; if [[ $$preset == fuzz ]]; then target=fuzzers; fi; \
	  cmake --build build/$$preset --parallel $(JOBS) --target $$target; \
	done
	$(call say,'running every test')
	@ctest --test-dir build/all -LE slow --output-on-failure --parallel $(JOBS) --no-tests=error --no-label-summary

.PHONY: check
check: .setup-test .engine ## The quick half of `make test`: the release build, its tests and the linters
	@cmake --preset release -Wno-dev --log-level=WARNING
	@cmake --build build/release --parallel $(JOBS)
	@ctest --test-dir build/release -LE slow --output-on-failure --parallel $(JOBS) --no-tests=error --no-label-summary

.PHONY: fuzz
fuzz: FUZZ_SECONDS := 600
fuzz: .setup-test .engine ## Run every fuzzer for ten minutes (or FUZZ_SECONDS)
	@cmake --preset fuzz -Wno-dev --log-level=WARNING
	@cmake --build build/fuzz --parallel $(JOBS) --target fuzzers
	@ctest --test-dir build/fuzz -L fuzz --output-on-failure --parallel $(JOBS) --no-tests=error --no-label-summary

# --- Looking after the code -------------------------------------------------------------------------------------------

.PHONY: format
format: ## Format every C++ file in place
	@tools/lint format --fix

.PHONY: lint
lint: .setup-test .engine ## Format, structure and clang-tidy checks
	@cmake --preset release -Wno-dev --log-level=WARNING
	@tools/lint format
	@tools/check-structure.py
	@tools/lint tidy --build build/release

# --- Measuring --------------------------------------------------------------------------------------------------------

.PHONY: bench
bench: .setup-test .engine ## Measure against the floor and print a table of ratios (BENCH='--only echo --rounds 3')
	@cmake --preset release -Wno-dev --log-level=WARNING
	@cmake --build build/release --parallel $(JOBS)
	@bench/run.py --build build/release $(BENCH)

.PHONY: bench-durable
bench-durable: .setup-test .engine ## Measure what keeping rooms costs, beside a bare fdatasync of the same disk
	@cmake --preset release -Wno-dev --log-level=WARNING
	@cmake --build build/release --parallel $(JOBS)
	@bench/durable.py --build build/release $(BENCH)

.PHONY: bench-isolation
bench-isolation: .setup-test .engine ## Measure what rooms notice of a neighbour that misbehaves (BENCH='--only spin')
	@cmake --preset release -Wno-dev --log-level=WARNING
	@cmake --build build/release --parallel $(JOBS)
	@bench/isolation.py --build build/release $(BENCH)

.PHONY: bench-peers
bench-peers: .setup-peers .engine ## Measure Boost.Beast, libwebsockets and Node's ws beside ours
	@cmake --preset release -Wno-dev --log-level=WARNING
	@cmake --build build/release --parallel $(JOBS) --target all bench_peers
	@npm ci --prefix bench/peers --no-audit --no-fund --loglevel=error
	@bench/run.py --build build/release --peers --out build/bench/peers.json $(BENCH)

.PHONY: clean
clean: ## Remove the build folder (the engine's cache stays)
	@rm -rf build
