# Set-up from nothing but Python 3.11+ and pip. `make demo` runs the main job, `make test` every test a user can run.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := .venv-torch
STORES := .venv-stores
# networks to compare with, each without the packages of its year
REFERENCES := msclap==1.3.4 panns-inference==0.1.1 torch-vggish-yamnet==0.2.1 aisfx==0.1.2 musicnn==0.1.0 Resemblyzer==0.1.4

.PHONY: demo test test-page test-torch test-stores lint format wheel bench clean

demo: $(VENV)/run
	$(BIN)/soundalike demo --out demo-out

test: $(VENV)/test wheel
	$(BIN)/python -m pytest
	$(BIN)/python tests/wheel.py dist/*.whl

test-torch: $(TORCH)/ready
	$(TORCH)/bin/python -m pytest tests/live -m torch

test-stores: $(STORES)/ready  # vector databases: real ones where they run here, stand-ins for the rest
	$(STORES)/bin/python -m pytest tests/test_push.py

test-page: $(VENV)/page  # the page: its types, its parts, and all of it in a Chromium, where there is one
	$(BIN)/npm --prefix frontend ci --no-audit --no-fund
	$(BIN)/npm --prefix frontend run check
	$(BIN)/npm --prefix frontend test
	$(BIN)/npm --prefix frontend run build
	$(BIN)/python -m pytest tests/test_page.py tests/test_map_page.py

lint: $(VENV)/test
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/test
	$(BIN)/ruff check --fix .

wheel: $(VENV)/test
	rm -rf dist
	$(BIN)/python -m build --quiet --outdir dist .

bench: $(VENV)/bench
	$(BIN)/python benchmarks/speed.py

clean:
	rm -rf $(VENV) $(TORCH) $(STORES) dist build demo-out frontend/node_modules src/soundalike/web/static

$(VENV)/run: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/test: $(VENV)/run
	$(BIN)/python -m pip install --quiet --group test --group lint --group build
	touch $@

$(VENV)/page: $(VENV)/test
	$(BIN)/python -m pip install --quiet --group page
	touch $@

$(VENV)/bench: $(VENV)/test
	$(BIN)/python -m pip install --quiet --group bench
	touch $@

$(TORCH)/ready: pyproject.toml
	$(PYTHON) -m venv $(TORCH)
	$(TORCH)/bin/python -m pip install --quiet --upgrade pip
	$(TORCH)/bin/python -m pip install --quiet torch==2.13.0
	$(TORCH)/bin/python -m pip install --quiet --editable . --group test --group train --group reference
	$(TORCH)/bin/python -m pip install --quiet --no-deps --target $(TORCH)/references $(REFERENCES)
	touch $@

$(STORES)/ready: pyproject.toml
	$(PYTHON) -m venv $(STORES)
	$(STORES)/bin/python -m pip install --quiet --upgrade pip
	$(STORES)/bin/python -m pip install --quiet --editable . --group test --group stores
	touch $@
