# Two commands set everything up: `make demo` and `make test`. Everything happens inside .venv.
PYTHON ?= python3
BIN = .venv/bin
READY = .venv/.ready
export PYTHONDONTWRITEBYTECODE ?=

.PHONY: demo test check prove bench docs clean

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "maskdial needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)

demo: $(READY)  ## train five objectives on the embedded text and write the report
	$(BIN)/maskdial compare --data pydocs --out runs/demo

test: $(READY)  ## everything but the long proofs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow'

check: $(READY)  ## style, types, import arrows
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/house

prove: $(READY)  ## the long proofs; the log is kept
	$(BIN)/python -m pytest -m slow -p no:cacheprovider -v 2>&1 | tee benchmarks/results/prove.log

bench: $(READY)  ## speed against peers, one run each (peers need: pip install -c constraints.txt -e '.[hf]')
	$(BIN)/maskdial bench samples --threads 2
	$(BIN)/maskdial bench step

clean:
	rm -rf .venv build dist src/*.egg-info
