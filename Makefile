# Everything from a fresh clone: needs Python 3.11+ and make.
PYTHON ?= python3
STAMP := .venv/.installed

.PHONY: venv demo test test-quick test-loaded mutants mutants-sample fuzz zoo hospital chaos recovery engines lint bench bench-check picture clean

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: venv
	.venv/bin/hc-batch demo demo

# Compiled once for all processes, whatever the shell says; and there are processes enough without
# threads of BLAS, which take processor time while they wait.
test test-quick: export PYTHONDONTWRITEBYTECODE =
test test-quick: export OPENBLAS_NUM_THREADS = 1

# Three processes for each core; what a file's tests share is made once. Prints the slowest twenty.
test: venv
	.venv/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --durations=20

# What a hand waits for: no server, no training.
test-quick: venv
	.venv/bin/python -m pytest -q -n logical --dist worksteal tests/unit tests/test_readme.py

# The suite RUNS times in a row with two busy loops beside it: who depends on speed is found here.
RUNS ?= 10
test-loaded: venv
	(while :; do :; done) & one=$$!; (while :; do :; done) & two=$$!; \
		trap "kill $$one $$two" EXIT; trap "exit 130" INT TERM; \
		for run in $$(seq $(RUNS)); do $(MAKE) test || exit 1; done

# Small mistakes in the rooms that decide, one at a time; goes on where it was left.
# ROOMS="'ellipse fit' spacing" names some of them.
mutants: venv
	PYTHONPATH=tests .venv/bin/python -m mutants $(ROOMS)

# 40 of them, drawn by the seed in tests/mutants/sample.json; fails below what it says.
mutants-sample: venv
	PYTHONPATH=tests .venv/bin/python -m mutants --sample

# At least 20,000 mutated DICOM and image files; HC_FUZZ_SEED=N repeats a run.
fuzz: venv
	HC_FUZZ_FILES=$${HC_FUZZ_FILES:-20000} HC_FUZZ_SEED=$${HC_FUZZ_SEED:-$$(date +%s)} \
		.venv/bin/python -m pytest -q tests/integration/test_fuzz_reading.py

# 2,000 folders of odd things; a failure names the HC_ZOO_SEED=N of its folder.
zoo: venv
	HC_ZOO_FOLDERS=$${HC_ZOO_FOLDERS:-2000} HC_ZOO_SEED=$${HC_ZOO_SEED:-$$(date +%s)} \
		.venv/bin/python -m pytest -q tests/acceptance/test_zoo.py

# A fault every few seconds; CHAOS_S=60 shortens, CHAOS_SEED=N repeats the order of faults.
chaos: venv
	PYTHONPATH=tests .venv/bin/python tests/faults/chaos.py

# Seconds until work goes on after each fault, with the default settings.
recovery: venv
	PYTHONPATH=tests .venv/bin/python tests/faults/recovery.py

# 500 objects from four callers while the receiver is killed twice; all are measured once.
hospital: venv
	HC_RECEIVED_OBJECTS=$${HC_RECEIVED_OBJECTS:-500} \
		.venv/bin/python -m pytest -q tests/faults/test_receiver_killed.py

lint: venv
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

# HC of all of HC18's images in ONNX Runtime and in TensorFlow; HC18_DIR names them.
engines: venv
	HC_EVERY_IMAGE=1 .venv/bin/python -m pytest -q tests/unit/test_engine.py

bench: venv
	.venv/bin/hc-batch bench --all

# Ratios against those that are kept, as reached on two cores.
bench-check: venv
	.venv/bin/hc-batch bench --check docs/ratios.json

# The rooms and who imports whom, for docs/architecture.md; the tables, for docs/schema.md.
picture: venv
	.venv/bin/python docs/picture.py
	.venv/bin/python docs/schema.py

clean:
	rm -rf .venv demo
