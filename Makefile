# Builds, installs and checks the extension the way every PostgreSQL extension does (PGXS):
#
#   make && make install PG_CONFIG=… && make installcheck
#
# `make help` lists the rest.

EXTENSION  = e2i_serve
PG_CONFIG ?= pg_config
PG_MAJOR  ?= 15
PROFILE   ?= release
# What `make install` puts beside the extension; empty installs none.
ONNXRUNTIME ?= target/onnxruntime/libonnxruntime.so
# Where the tests find their models: a folder the *server* can read.
E2I_MODELS ?= $(CURDIR)/tests/models

PGVER := $(shell $(PG_CONFIG) --version 2>/dev/null | sed -E 's/[^0-9]*([0-9]+).*/\1/')
BUILT  = $(or $(CARGO_TARGET_DIR),target)/$(patsubst dev,debug,$(PROFILE))
SO     = $(BUILT)/$(EXTENSION)-pg$(PGVER).so

DATA           = $(wildcard sql/$(EXTENSION)--*.sql)
REGRESS        = setup $(filter-out setup,$(sort $(patsubst tests/pg_regress/sql/%.sql,%,$(wildcard tests/pg_regress/sql/*.sql))))
REGRESS_OPTS   = --inputdir=tests/pg_regress --outputdir=tests/pg_regress
ISOLATION      = $(sort $(patsubst tests/isolation/specs/%.spec,%,$(wildcard tests/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=tests/isolation --outputdir=tests/isolation --load-extension=$(EXTENSION)
EXTRA_CLEAN    = tests/pg_regress/results tests/isolation/results

export PGRX_PG_CONFIG_PATH ?= $(shell command -v $(PG_CONFIG))
export PG_MAJOR E2I_MODELS TEST BATCH_SCAN

.DEFAULT_GOAL := all
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(PGXS),)
include $(PGXS)

all: $(SO)

$(SO): Cargo.toml Cargo.lock $(shell find src crates sql -type f -not -name '$(EXTENSION)--*' 2>/dev/null)
	cargo build --lib --profile $(PROFILE) --no-default-features --features pg$(PGVER)
	cp $(BUILT)/lib$(EXTENSION).so $@

# The new library gets a new inode: a running server keeps the one it has mapped.
install: install-library
install-library: $(SO) $(ONNXRUNTIME)
	$(MKDIR_P) '$(DESTDIR)$(pkglibdir)/$(EXTENSION)'
	$(INSTALL_SHLIB) $(SO) '$(DESTDIR)$(pkglibdir)/$(EXTENSION).so.new'
	mv -f '$(DESTDIR)$(pkglibdir)/$(EXTENSION).so.new' '$(DESTDIR)$(pkglibdir)/$(EXTENSION).so'
ifneq ($(ONNXRUNTIME),)
	$(INSTALL_SHLIB) $(ONNXRUNTIME) '$(DESTDIR)$(pkglibdir)/$(EXTENSION)/libonnxruntime.so.new'
	mv -f '$(DESTDIR)$(pkglibdir)/$(EXTENSION)/libonnxruntime.so.new' '$(DESTDIR)$(pkglibdir)/$(EXTENSION)/libonnxruntime.so'
	for notice in $(wildcard $(dir $(ONNXRUNTIME))LICENSE $(dir $(ONNXRUNTIME))ThirdPartyNotices.txt); do \
	    $(INSTALL_DATA) $$notice '$(DESTDIR)$(pkglibdir)/$(EXTENSION)/'; done
endif

uninstall: uninstall-library
uninstall-library:
	rm -rf '$(DESTDIR)$(pkglibdir)/$(EXTENSION).so' '$(DESTDIR)$(pkglibdir)/$(EXTENSION)'

# A setting rather than an environment variable reaches every session, isolation specs' included. BATCH_SCAN=off runs the tests
# without the plan node that scores in batches; they print the same.
installcheck: export PGOPTIONS += -c e2i_test.models=$(E2I_MODELS) $(if $(BATCH_SCAN),-c e2i_serve.batch_scan=$(BATCH_SCAN))
else
all install uninstall installcheck:
	@echo "No PGXS from '$(PG_CONFIG)': install the server headers of PostgreSQL, or say PG_CONFIG=/path/to/pg_config"; exit 1
endif

target/onnxruntime/libonnxruntime.so: scripts/onnxruntime.env
	@scripts/onnxruntime

target/onnx_backend/version: scripts/onnx_backend.env
	@scripts/onnx_backend

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(firstword $(MAKEFILE_LIST)) | while IFS='|' read -r t d; do printf '  make %-15s %s\n' "$$t" "$$d"; done

setup:          ## install what building and testing need (scripts/setup says what)
	@scripts/setup
demo:           ## a throw-away cluster with the demo models, scored
	@scripts/demo
demo-stop:      ## stop it and delete it
	@scripts/demo stop
schema:         ## write sql/e2i_serve--VERSION.sql, which is installed, from what src/ and sql/ declare
	@scripts/schema
test:           ## everything; PG_MAJOR=16, 17 or 18 runs it on that PostgreSQL
	@scripts/test
test-server:    ## what of it another major may change: PG_MAJOR=16 make test-server
	@scripts/test server
nightly:        ## the native engine against the runtime at length: 100,000 random graphs, a million rows a model
	@scripts/nightly
bench:          ## nanoseconds a row, next to the runtime alone
	@scripts/bench
unit: target/onnxruntime/libonnxruntime.so target/onnx_backend/version ## the pure crates' tests and the house rules (no PostgreSQL)
	cargo test --workspace --exclude $(EXTENSION)
sql:            ## TEST=name: build, install, run one pg_regress test on the kept dev cluster; BATCH_SCAN=off: each row alone
	@scripts/dev sql "$(TEST)"
rust:           ## TEST=name: the same for one test of src/tests.rs, or for all
	@scripts/dev rust "$(TEST)"
isolation:      ## TEST=name: the same for one isolation spec
	@scripts/dev isolation "$(TEST)"
cluster:        ## TEST=name: the same for one script of tests/cluster, or for all
	@scripts/dev cluster "$(TEST)"
regress-accept: ## TEST=name: the last result becomes the expected one
	@scripts/dev accept "$(TEST)"
docs:           ## TEST=docs/file.md: run the SQL blocks of one page, or of all
	@scripts/dev docs $(TEST)
python:         ## TEST=name: the Python package's types and tests, or some of them
	@scripts/dev python "$(TEST)"
wheel:          ## the Python package as a wheel, into target/wheels
	@scripts/python environment
	target/python/bin/pip wheel -q --no-deps --no-build-isolation -w target/wheels clients/python
psql:           ## a psql on the dev cluster
	@scripts/dev psql
dev-stop:       ## stop and delete the dev cluster
	@scripts/dev stop
deb:            ## the Debian package for PostgreSQL PG_MAJOR, in target/packages
	@scripts/deb
deb-try:        ## lintian, and a fresh Debian 12 that installs the package, scores, and purges it (root)
	@scripts/deb_try
dist:           ## sources for PGXN, bill of materials, checksums; KEY=… signs them
	@scripts/dist
audit:          ## licences and advisories of the dependencies (needs cargo-deny)
	@scripts/audit

.PHONY: all install install-library uninstall uninstall-library installcheck help setup demo demo-stop schema test test-server nightly bench unit rust sql \
        isolation cluster regress-accept docs python wheel psql dev-stop deb deb-try dist audit
