# Lockstep. `make` lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

DEBUG := .build
RELEASE := .build-release
PYTHON := .build-python
STATE ?= .lockstep
# What the build and the tests need of Debian.
PACKAGES := libssl-dev libcrypt-dev libsqlite3-dev openssl curl procps python3 python3-venv
# The OAuth 2.0 server of the walk and of the token service's tests.
PIP_PACKAGES :=
# `make test FILTER=WireCore` runs the suites whose names match.
FILTER ?=

.PHONY: help run demo test build check bench generate clean deps release

help: ## List the commands
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: deps release ## Build, start the five services, walk through them once, keep running
	@STATE=$(STATE) BIN=$(RELEASE)/release PYTHON=$(PYTHON)/bin/python3 Tests/Walk/run.sh

demo: deps ## Repeat the walk on a running system
	@$(PYTHON)/bin/python3 Tests/Walk/walk.py --state $(STATE)

build: deps ## Build everything, debug, with tests
	swift build --scratch-path $(DEBUG) --build-tests

release:
	@echo "Building release (the first time takes some minutes) ..."
	swift build -c release --scratch-path $(RELEASE) --product lockstep
	@for service in encryption email auth token gateway; do \
	  swift build -c release --scratch-path $(RELEASE) --product $$service; done

test: build ## Install what tests need, build, run everything
	LOCKSTEP_TEST_PYTHON=$(CURDIR)/$(PYTHON)/bin/python3 \
	  swift test --scratch-path $(DEBUG) --skip-build $(if $(FILTER),--filter $(FILTER))

check: generate ## Regenerate and fail when the checked-in code was stale, then test
	@test -z "$$(git status --porcelain Sources Protocols Tests)" || \
	  { git status --short Sources Protocols Tests; echo "Generated code was stale: commit the files above."; exit 1; }
	@$(MAKE) test

clean: ## Remove build folders; the state folder stays
	rm -rf $(DEBUG) $(RELEASE) $(PYTHON)

deps:
	@missing=""; for package in $(PACKAGES); do \
	  dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q "ok installed" || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ]; then \
	  sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  echo "Installing Debian packages:$$missing"; \
	  $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing; \
	fi
	@test -x $(PYTHON)/bin/python3 || python3 -m venv $(PYTHON)
	@stamp="$(PYTHON)/.installed-$$(echo '$(PIP_PACKAGES)' | tr -c 'a-zA-Z0-9.=\n' '-')"; \
	if [ ! -e "$$stamp" ]; then \
	  if [ -n "$(PIP_PACKAGES)" ]; then $(PYTHON)/bin/pip install --quiet --disable-pip-version-check $(PIP_PACKAGES); fi; \
	  touch "$$stamp"; fi
