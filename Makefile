# make run     set up what is needed, then hear a real model answer
# make check   style, types and the tests that need no model: under a minute
# make test    everything that must hold before a change goes in
# make bench   speed and memory, as ratios measured side by side
# make test-gpu   offload to a GPU, on a driver in software where there is none (the first time 12 min)
# make device-check   a real GPU beside libllama alone on it, as JSON (about 8 min)
# make device-build   libllama for a GPU elsewhere, compiled without CUDA here (ARCH=90: Hopper)
# make soak    many clients, many models and faults, for MINUTES=20
# make fuzz    what strangers send, mutated, for MINUTES=5
# make lint    style and types only
# make clean   remove what the others made (the starter models, too)
#
# PYTHON=… chooses the interpreter; otherwise the newest from 3.10 on that is found is used.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: run check test-gpu device-build device-check test soak fuzz bench lint clean tools kernels chromium

BIN := .venv/bin
CLIENTS := tests/clients/node_modules
# What finds faults of accessibility in the page.
AXE := tests/web/node_modules
# Coding agents that `puna launch` starts.
AGENTS := tests/agents/node_modules
AIDER := .cache/aider
# The registry that pull and push are tested against: the system's, or else one that is only unpacked.
REGISTRY := $(if $(shell command -v docker-registry),,.cache/docker-registry)
# What compiles the kernels for ARM and runs them in emulation: the system's, or else only unpacked; ARM itself needs neither.
AARCH64 := $(if $(filter aarch64 arm64,$(shell uname -m))$(and $(shell command -v aarch64-linux-gnu-g++),$(shell command -v qemu-aarch64)),,.cache/aarch64)
# The browser that the page is tested in.
CHROMIUM := $(if $(shell command -v chromium || command -v chromium-browser || command -v google-chrome),,chromium)
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3.10 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && { echo "$$p"; break; }; done)
JOBS := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

run: .venv/runs
	$(BIN)/puna run smollm2:135m "Why is the sky blue?"
	@echo "Next:"
	@echo "  $(BIN)/puna                     a menu: talk, open the page, pull a model, connect a coding agent"
	@echo "  $(BIN)/puna run smollm2:135m    talk with this model, which is tiny"
	@echo "  $(BIN)/puna run qwen3:0.6b      a larger one, fetched from its registry"
	@echo "  $(BIN)/puna ui                  the page in your browser"
	@echo "  curl http://localhost:11434/api/tags"

# Pure code: no Node, no network, no engine. The types are checked beside the tests, on another core.
UNIT := tests/access tests/chat tests/gguf/test_reader.py tests/gguf/test_writer.py tests/scheduling/test_placement.py \
	$(addprefix tests/test_,documents.py modelfile.py rooms.py settings.py) \
	$(addprefix tests/library/test_,f16.py model.py names.py split.py)
NOT_UNIT := $(addprefix grammars/test_,constraint.py enclosed.py patterns.py walks.py) \
	$(addprefix parsing/test_,elements.py families.py stream.py)

check: .venv/tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright puna benchmarks & types=$$!; \
		$(BIN)/pytest -q $(UNIT) $(addprefix --ignore=tests/chat/,$(NOT_UNIT)); wait $$types

# These run beside the others, with which they share no port; each half takes about as long.
COMPUTES := $(addprefix tests/,chat engine gguf kernels library scheduling)

test: kernels lint $(CLIENTS)/.package-lock.json $(AXE)/.package-lock.json $(AGENTS)/.package-lock.json $(AIDER)/installed $(REGISTRY) $(AARCH64) $(CHROMIUM)
	@mkdir -p .cache; nice $(BIN)/pytest -q -p no:cacheprovider $(COMPUTES) > .cache/computes.txt 2>&1 & computes=$$!; \
		trap "kill $$computes 2> /dev/null || true" EXIT; ended=0; \
		$(BIN)/pytest $(addprefix --ignore=,$(COMPUTES)) || ended=$$?; \
		wait $$computes || ended=$$?; cat .cache/computes.txt; exit $$ended

# Besides: compiling libllama for Vulkan takes long, once a machine.
test-gpu: .venv/tests
	$(BIN)/python -m tests.gpu.software

# With libllama as it was compiled here: PUNA_BACKEND=cuda make device-check compiles it for CUDA before.
device-check: kernels .venv/tests
	$(BIN)/python -m benchmarks.device

device-build: .venv/tests
	$(BIN)/python -m benchmarks.cuda $(ARCH)

soak: kernels .venv/tests
	$(BIN)/python -m tests.soak $(or $(MINUTES),20)

fuzz: .venv/fuzz
	$(BIN)/python -m tests.fuzz $(or $(MINUTES),5)

bench: kernels .venv/tests $(REGISTRY)
	$(BIN)/python -m benchmarks

lint: .venv/clients tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright

clean:
	rm -rf puna/kernels/libpuna_kernels.so .venv .cache .pytest_cache .ruff_cache .hypothesis $(CLIENTS) $(AXE) $(AGENTS)
	find puna tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# A virtual environment with a Python that is new enough.
$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "Puna needs Python 3.10 or newer (Debian: apt install python3 python3-venv)."; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments (Debian: apt install python3-venv)."; exit 1; }
	"$(PYTHON)" -m venv .venv

# What `puna` needs to run; libllama is compiled for this machine.
.venv/runs: pyproject.toml | $(BIN)/python
	@command -v "$${CXX:-c++}" >/dev/null || command -v clang++ >/dev/null || \
		{ echo "The engine is compiled here and needs a C++ compiler (Debian: apt install build-essential)."; exit 1; }
	@echo "Installing Puna. The first time, libllama is compiled for this processor: about 10 core-minutes,"
	@echo "that is about $$(( (10 + $(JOBS) - 1) / $(JOBS) )) min on the $(JOBS) cores here. pip says 'still running' meanwhile."
	CMAKE_BUILD_PARALLEL_LEVEL=$(JOBS) $(BIN)/python puna/engine/building.py
	CMAKE_BUILD_PARALLEL_LEVEL=$(JOBS) $(BIN)/python -m pip install --disable-pip-version-check -e .
	@touch $@

# PUNA_BACKEND=cuda|hip|sycl|vulkan|metal|cpu: libllama is compiled anew when another one is asked for.
ifneq ($(PUNA_BACKEND),)
.venv/runs: .venv/backend-$(PUNA_BACKEND)
.venv/backend-$(PUNA_BACKEND): | $(BIN)/python
	@rm -f .venv/backend-*
	@touch $@
endif

# The kernels as they are now; pip compiled those of the day it installed Puna.
kernels: puna/kernels/libpuna_kernels.so
puna/kernels/libpuna_kernels.so: $(shell find puna/kernels/native -type f) | .venv/runs
	@$(BIN)/python -m puna.kernels

# What the tests need besides.
.venv/tests: .venv/runs
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[dev]'
	@touch $@

# What guides the fuzzing, where there is a wheel of it: compiling it takes a Clang of its own.
.venv/fuzz: .venv/tests
	$(BIN)/python -m pip install --disable-pip-version-check --only-binary atheris -e '.[dev,fuzz]' || \
		echo "Without atheris, fuzzing is not guided by what code it reaches."
	@touch $@

# The clients that are tried on Puna; they are large.
.venv/clients: .venv/tests
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[dev,clients]'
	@touch $@

# The programs that are no Python packages.
tools:
	@for tool in node npm curl; do command -v $$tool >/dev/null || \
		{ echo "make test needs $$tool: the JavaScript clients, the type checker and the guide's requests" \
		"are run for real (Debian: apt install nodejs npm curl)."; exit 1; }; done

$(CLIENTS)/.package-lock.json: tests/clients/package.json tests/clients/package-lock.json | tools
	npm ci --prefix tests/clients --no-audit --no-fund
	@touch $@

$(AXE)/.package-lock.json: tests/web/package.json tests/web/package-lock.json | tools
	npm ci --prefix tests/web --no-audit --no-fund
	@touch $@

# Without a lock file: it would name binaries for every system, and not every registry has them all.
$(AGENTS)/.package-lock.json: tests/agents/package.json | tools
	npm install --prefix tests/agents --no-audit --no-fund --no-package-lock
	@touch $@

# In an environment of its own, because it pins what other clients need newer; it runs on Python before 3.13.
$(AIDER)/installed: tests/agents/aider.txt
	@rm -rf $(AIDER)
	@for p in $(BIN)/python python3.12 python3.11 python3.10; do \
		"$$p" -c 'import sys; sys.exit(sys.version_info >= (3, 13))' 2>/dev/null && exec "$$p" -m venv $(AIDER); \
	done; echo "make test runs Aider, which needs a Python before 3.13 (Debian: apt install python3-venv)."; exit 1
	$(AIDER)/bin/python -m pip install --disable-pip-version-check -q -r tests/agents/aider.txt
	@touch $@

.cache/docker-registry:
	@rm -rf $@.new && mkdir -p $@.new
	@cd $@.new && { apt-get -q download docker-registry || { apt-get -q update && apt-get -q download docker-registry; }; } && \
		dpkg -x docker-registry_*.deb . && rm docker-registry_*.deb || \
		{ echo "make test needs docker-registry, which pull and push are tested against" \
		"(Debian: apt install docker-registry)."; exit 1; }
	@mv $@.new $@

.cache/aarch64:
	@rm -rf $@.new && mkdir -p $@.new
	@packages() { apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
			--no-enhances g++-aarch64-linux-gnu qemu-user | grep -E '^[^ <]*(aarch64-linux-gnu|arm64-cross|qemu-user$$|capstone|uring)'; }; \
	cd $@.new && { apt-get -q download $$(packages) || { apt-get -q update && apt-get -q download $$(packages); }; } && \
		for package in *.deb; do dpkg -x $$package . && rm $$package; done || \
		{ echo "make test needs a compiler and an emulator for ARM, which the kernels are tested with" \
		"(Debian: apt install g++-aarch64-linux-gnu qemu-user)."; exit 1; }
	@mv $@.new $@

chromium:
	@{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		{ apt-get -qy install chromium || { apt-get -q update && apt-get -qy install chromium; }; }; } || \
		{ echo "make test needs Chromium, which the page is tested in (Debian: apt install chromium)."; exit 1; }
