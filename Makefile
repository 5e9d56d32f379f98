# Set-up and the jobs of the project, on a machine with only Python (3.10 or newer), make and a C++ compiler.
#
# Owns the virtual environment in .venv, which is made again whenever what it was made from has changed. Everything
# is installed by pip, with the reader's own pip settings; where pip finds a CPU build of torch, that is enough.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
DEVELOP := .venv/develop
FOLDERS := native $(addprefix native/,cpu cuda device emu imitated metal)
NATIVE := $(wildcard $(foreach folder,$(FOLDERS),$(addprefix $(folder)/*.,h cpp cu)))

.PHONY: help setup demo test lint bench docs wheel emulators browser cuda metal clean

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

# Some systems have a NAME of their own in the environment: only the one on the command line is meant.
bench: $(DEVELOP) ## measure everything into bench/results (hours), or one: `make bench NAME=steps`
	$(BIN)/python bench/keep.py $(if $(filter command%,$(origin NAME)),$(NAME))

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

# Turing to Blackwell; for what comes after it the driver compiles the last one's PTX.
ARCHITECTURES := 75 80 86 89 90 100 120
CUDA := -std=c++17 -O3 -fmad=false -Werror all-warnings -Xptxas -warn-spills
CUDA += $(foreach sm,$(ARCHITECTURES),-gencode arch=compute_$(sm),code=sm_$(sm)) -gencode arch=compute_120,code=compute_120
HOME_OF_NATIVE = $(shell $(BIN)/python -c 'from edgesleep import _native; print(_native.__file__.rpartition("/")[0])')

cuda: $(READY) ## optional, with nvcc 13: the library for NVIDIA cards, beside the native module
	nvcc $(CUDA) -shared -Xcompiler -fPIC,-fvisibility=hidden -o "$(HOME_OF_NATIVE)/libedgesleep_cuda.so" native/cuda/device.cu

metal: $(READY) ## optional, on macOS with Xcode: the library for Apple's cards, beside the native module
	xcrun metal -std=metal3.1 -fno-fast-math -ffp-contract=off -Werror -o "$(HOME_OF_NATIVE)/edgesleep.metallib" native/metal/kernels.metal
	clang++ -std=c++17 -O2 -ffp-contract=off -fobjc-arc -fvisibility=hidden -shared -framework Metal -framework Foundation \
		-o "$(HOME_OF_NATIVE)/libedgesleep_metal.dylib" native/metal/device.mm

clean: ## remove what can be made again (not the models in the user's cache)
	rm -rf .venv build dist demo-home .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
