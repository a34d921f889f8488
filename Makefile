# The commands a person needs: `make` lists them. Nothing here needs root.

PYTHON      ?= python3
VENV        := .venv
CONSTRAINTS := constraints.txt
PY          := $(VENV)/bin/python
STAMP       := $(VENV)/.installed
OLDEST      := _build/oldest.txt

.DEFAULT_GOAL := help
.PHONY: help book test test-oldest serve pdf repo clean assets data chromium

help:
	@echo 'make book             build the HTML book into _build/html (PRODGEN_PRESET=smoke|quick|full sets the effort)'
	@echo 'make test             check the code; run every test, every notebook and every page'
	@echo 'make test-oldest      the unit tests on the oldest versions that pyproject.toml allows, in .venv-oldest'
	@echo 'make serve            show the built book at http://127.0.0.1:8000'
	@echo 'make pdf              print the built book into one PDF, _build/book.pdf, with Chromium'
	@echo 'make repo URL=https…  write the address of the public repository wherever it is needed'
	@echo 'make clean            remove what was built; the environment stays'

# pip runs once, and again only when what it is told to install has changed.
$(STAMP): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'prodgen needs Python 3.11 or newer. Say which one to use: make PYTHON=/path/to/python3.13' >&2; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo 'Python could not create an environment. On Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	@echo 'Installing into $(VENV); the first time PyTorch alone is several GB.'
	$(PY) -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[book,test]'
	@touch $@

assets: $(STAMP)
	$(PY) tools/assets.py

# Fetched here and not by the first chapter that wants them: a page shows no download.
data: $(STAMP)
	@$(PY) tools/fetch_data.py

book: assets data
	$(PY) tools/build_book.py
	@echo 'The book is ready: $(CURDIR)/_build/html/index.html'

# The page tests need a browser. It is installed only where that takes no question and no password.
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	if grep -qx ID=debian /etc/os-release 2>/dev/null && [ "$$(id -u)" = 0 ]; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium; \
	else \
	  echo 'No Chromium on PATH: the page tests will be skipped. Install the package chromium, or Google Chrome.'; \
	fi

test: assets data chromium
	$(PY) tools/run_tests.py

$(OLDEST): pyproject.toml constraints.txt tools/oldest.py
	@mkdir -p $(@D)
	$(PYTHON) tools/oldest.py > $@

# Without the pages, which need a book, without the labs' scripts and the printing, which a browser does and no Python library, and
# without what judges constraints.txt by the versions installed.
test-oldest: $(OLDEST)
	@$(MAKE) --no-print-directory data VENV=.venv-oldest CONSTRAINTS=$(OLDEST)
	OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest -q -n 2 \
	  --ignore=tests/test_pages.py --ignore-glob='tests/test_labs*' \
	  --ignore=tests/test_make_pdf.py --ignore=tests/test_repository.py

serve: $(STAMP)
	@test -f _build/html/index.html || { echo 'There is no book yet: run make book first.' >&2; exit 1; }
	$(PY) -m http.server --bind 127.0.0.1 --directory _build/html 8000

pdf: $(STAMP)
	@$(PY) tools/make_pdf.py

repo: $(STAMP)
	@test -n '$(URL)' || { echo 'Say which address: make repo URL=https://github.com/OWNER/NAME' >&2; exit 2; }
	$(PY) tools/set_repository.py '$(URL)'

clean:
	rm -rf _build build dist .pytest_cache .ruff_cache
