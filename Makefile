# Each target does its own set-up: a fresh machine needs Python 3.11 and make.
# uv is used where it is installed, pip elsewhere.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test thorough kills slow backends matrix check docs format bench lock clean

install: .venv/.ready

# Byte-code is compiled at installation: without it every start costs seconds.
.venv/.ready: setup.cfg pyproject.toml constraints.txt
	@if command -v uv >/dev/null; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) .venv && \
	  uv pip install --quiet --compile-bytecode --python .venv -c constraints.txt -e '.[data,tune,serve,edge,dev]'; \
	else \
	  $(PYTHON) -m venv .venv && \
	  $(BIN)/python -m pip install --quiet --compile -c constraints.txt -e '.[data,tune,serve,edge,dev]'; \
	fi
	@$(BIN)/python -m compileall -q athanor.py apps cli conformance data_checks evaluation exporting inference optimizers pipelines serving training tuning
	@touch $@

.venv/.ready-bench: .venv/.ready
	@if command -v uv >/dev/null; then uv pip install --quiet --python .venv -c constraints.txt -e '.[bench,peers]'; \
	else $(BIN)/python -m pip install --quiet -c constraints.txt -e '.[bench,peers]'; fi
	@touch $@

.venv/.ready-backends: .venv/.ready
	@if command -v uv >/dev/null; then uv pip install --quiet --python .venv -c constraints.txt -e '.[backends]'; \
	else $(BIN)/python -m pip install --quiet -c constraints.txt -e '.[backends]'; fi
	@touch $@

.venv/.ready-docs: .venv/.ready
	@if command -v uv >/dev/null; then uv pip install --quiet --python .venv -c constraints.txt -e '.[docs]'; \
	else $(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'; fi
	@touch $@

demo: .venv/.ready
	$(BIN)/athanor demo

# Two processes, each with half of the tests, and then with what the other has left: most of a
# test is Python, on one core.
test: .venv/.ready
	$(BIN)/python -m pytest -n 2 --dist worksteal

# More cases of what `make test` shows once: every optimizer in the kit, every app in a browser.
thorough: .venv/.ready
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "thorough and not slow"

# Killed at random instants and started again, these end as if nobody had disturbed them.
kills: .venv/.ready
	TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python benchmarks/kill_campaign.py --kills 20 --dry \
	  --only "mnist,recommender,mnist with two replicas,export"

slow: .venv/.ready
	$(BIN)/python -m pytest -m "slow or thorough" --timeout=3600

# Our optimizers on JAX and PyTorch, and against optax and pytorch_optimizer: some 20 minutes.
backends: .venv/.ready-backends
	$(BIN)/python -m pytest -m slow --timeout=3600 tests/test_backends.py tests/test_references.py

# The default tests on every Python that is supported; needs uv, which fetches those that lack.
matrix:
	for version in 3.11 3.12 3.13; do \
	  uv venv --quiet --allow-existing --python $$version .venv-$$version && \
	  uv pip install --quiet --python .venv-$$version -c constraints.txt -e '.[data,tune,serve,edge,dev]' && \
	  .venv-$$version/bin/python -m pytest -n 2 --dist worksteal || exit 1; \
	done

check: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The site: open build/docs/index.html.
docs: .venv/.ready-docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs

format: .venv/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.ready-bench
	$(BIN)/python benchmarks/accuracy.py
	$(BIN)/python benchmarks/mnist_recipe.py
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/check_data.py
	$(BIN)/python benchmarks/reading.py
	$(BIN)/python benchmarks/regression.py
	$(BIN)/python benchmarks/calibration.py
	$(BIN)/python benchmarks/flowers.py
	$(BIN)/python benchmarks/texts.py
	$(BIN)/python benchmarks/movielens.py
	$(BIN)/python benchmarks/sequences.py
	$(BIN)/python benchmarks/new_items.py
	$(BIN)/python benchmarks/optimizers.py
	$(BIN)/python benchmarks/race.py
	$(BIN)/python benchmarks/searches.py
	$(BIN)/python benchmarks/search_kills.py
	$(BIN)/python benchmarks/search_memory.py
	$(BIN)/python benchmarks/kill_campaign.py
	$(BIN)/python benchmarks/checkpoints.py
	$(BIN)/python benchmarks/determinism.py
	$(BIN)/python benchmarks/formats.py
	$(BIN)/python benchmarks/serving_latency.py
	$(BIN)/python benchmarks/serving_load.py

lock:
	uv pip compile setup.cfg --extra data --extra tune --extra serve --extra edge --extra dev --extra docs --extra backends --extra peers --python-version 3.11 --no-annotate --no-header -o constraints.txt

clean:
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache
