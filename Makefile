# Set-up and the jobs of the project, on a machine with only Python (3.10 or newer), make and a C++ compiler.
#
# Owns the virtual environment in .venv, which is made again whenever what it was made from has changed. Everything
# is installed by pip, with the reader's own pip settings; where pip finds a CPU build of torch, that is enough.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
DEVELOP := .venv/develop
NATIVE := $(wildcard $(foreach folder,native native/cpu native/imitated,$(folder)/*.h $(folder)/*.cpp))

.PHONY: help setup demo test lint bench docs wheel emulators browser clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(DEVELOP) ## make .venv and build everything in it

$(READY): pyproject.toml constraints.txt CMakeLists.txt models/catalog.toml $(NATIVE)
	@echo "Setting up .venv. The first time takes about five minutes on two cores: llama.cpp is built from source."
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "edgesleep needs Python 3.10 or newer.")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt -e .
	@touch $@

$(DEVELOP): $(READY)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY) ## ask five questions, sleep one night, ask again
	$(BIN)/python examples/demo.py

test: $(DEVELOP) ## the whole test suite, with real models
	$(BIN)/pytest

lint: $(DEVELOP) ## style, types and the lay-out of the native code
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(NATIVE)

bench: $(DEVELOP) ## measure, and print the machine with the numbers
	@for script in $$(grep -l __main__ bench/*.py); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

docs: $(READY) ## write docs/cli.md from the command line itself, and the example of docs/how-it-works.md
	$(BIN)/python docs/make_cli.py
	$(BIN)/python docs/make_example.py

wheel: $(DEVELOP) ## build the wheel, install it with all it needs in a clean environment, and try it there
	rm -rf build/clean build/wheel
	$(BIN)/pip wheel --quiet --no-deps -w build/wheel .
	$(PYTHON) -m venv build/clean
	build/clean/bin/pip install --quiet -c constraints.txt build/wheel/edgesleep-*.whl
	cd build/clean && bin/python ../../packaging/try_wheel.py && bin/edgesleep --home home doctor

emulators: ## optional, on Debian and Ubuntu: what the tests need to run the kernels of other processors
	apt-get install -y g++-aarch64-linux-gnu qemu-user

browser: ## optional, on Debian and Ubuntu: what the tests need to look at the pages of reports
	apt-get install -y --no-install-recommends chromium fonts-dejavu-core

clean: ## remove what can be made again (not the models in the user's cache)
	rm -rf .venv build dist demo-home .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
