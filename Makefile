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
# The OAuth 2.0 server of the walk and of the token service's tests, and the validator of OpenAPI: packages with versions.
REQUIREMENTS := Tests/Support/oauth-provider/requirements.txt Tests/Support/openapi/requirements.txt
# `make test FILTER=WireCore` runs the suites whose names match.
FILTER ?=

.PHONY: help run demo test build check bench generate generate-with clean deps release

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

# One test at a time: many of them start servers, and two cores are all there may be.
test: build ## Install what tests need, build, run everything
	LOCKSTEP_TEST_PYTHON=$(CURDIR)/$(PYTHON)/bin/python3 \
	  swift test --scratch-path $(DEBUG) --skip-build --no-parallel $(if $(FILTER),--filter '$(FILTER)')

check: generate ## Regenerate and fail when the checked-in code was stale, then test
	@test -z "$$(git status --porcelain Sources Protocols Tests)" || \
	  { git status --short Sources Protocols Tests; echo "Generated code was stale: commit the files above."; exit 1; }
	@$(MAKE) test

bench: deps release ## Measure a system under load, and the RPC against the floor below it
	swift build -c release --scratch-path $(RELEASE) --product lockstep-load
	swift build -c release --scratch-path $(RELEASE) --product lockstep-echo
	@BIN=$(RELEASE)/release Tests/Benchmarks/bench.sh
	@$(PYTHON)/bin/python3 Tests/Benchmarks/echo.py --bin $(RELEASE)/release
	@$(PYTHON)/bin/python3 Tests/Benchmarks/overload.py --bin $(RELEASE)/release

# Where the plugins are; `make generate` builds them.
PLUGINS := $(DEBUG)/debug
PROTOS = $(shell cd Protocols && find lockstep -name '*.proto' ! -path '*/contract/*' | sort)
# The generator's own test contract: what comes of it is compared, compiled and run.
GOLDEN := golden/digest.proto golden/ledger.proto
# What the benchmarks of the RPC call.
ECHO := echo/echo.proto relay/relay.proto
# What the contract-test harness and implementations under test say to each other.
CONFORMANCE := lockstep/conformance/v1/conformance.proto lockstep/conformancesync/v1/conformancesync.proto
PROTOC_SWIFT = --plugin=protoc-gen-swift=$(abspath $(PLUGINS))/protoc-gen-swift \
  --swift_opt=Visibility=Package,FileNaming=DropPath,UseAccessLevelOnImports=true
PROTOC_LOCKSTEP = --plugin=protoc-gen-lockstep=$(abspath $(PLUGINS))/protoc-gen-lockstep --lockstep_opt=Visibility=Package

generate: ## Regenerate Swift from Protocols/*.proto (installs protobuf-compiler)
	@$(MAKE) -s deps PACKAGES="$(PACKAGES) protobuf-compiler libprotobuf-dev"
	swift build --scratch-path $(DEBUG) --product protoc-gen-swift
	swift build --scratch-path $(DEBUG) --product protoc-gen-lockstep
	@$(MAKE) -s generate-with

# Everything is written into a fresh folder and then compared, so that files which did not change keep their date.
generate-with:
	@out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; tests=Tests/RPCCodeGenTests; \
	mkdir -p $$out/{options,contracts,clients,golden,echo,conformance,descriptors}; \
	protoc -I Protocols $(PROTOC_SWIFT) --swift_out=$$out/options lockstep/contract/v1/options.proto; \
	protoc -I Protocols $(PROTOC_SWIFT) --swift_out=$$out/contracts $(PROTOS); \
	protoc -I Protocols $(PROTOC_LOCKSTEP) --lockstep_out=$$out/contracts $(PROTOS); \
	protoc -I Protocols $(PROTOC_LOCKSTEP) --lockstep_opt=Output=Clients --lockstep_out=$$out/clients $(PROTOS); \
	protoc -I Protocols --include_imports --include_source_info \
	  --descriptor_set_out=$$out/descriptors/protocols.pb $(PROTOS); \
	(cd Protocols && sha256sum lockstep/contract/v1/options.proto $(PROTOS)) > $$out/descriptors/protocols.sha256; \
	fixtures="-I Protocols -I $$tests/Fixtures"; \
	protoc $$fixtures --include_source_info --descriptor_set_out=$$out/descriptors/golden.pb $(GOLDEN); \
	protoc $$fixtures --include_source_info --descriptor_set_out=$$out/descriptors/lint.pb \
	  google/protobuf/any.proto google/protobuf/duration.proto google/protobuf/empty.proto \
	  $$(cd $$tests/Fixtures && ls lint/*.proto); \
	protoc $$fixtures $(PROTOC_SWIFT) --swift_out=$$out/golden $(GOLDEN); \
	protoc $$fixtures $(PROTOC_LOCKSTEP) --lockstep_out=$$out/golden $(GOLDEN); \
	protoc $$fixtures $(PROTOC_LOCKSTEP) --lockstep_opt=Output=Clients,ContractsModule= \
	  --lockstep_out=$$out/golden $(GOLDEN); \
	(cd $$tests/Fixtures && sha256sum golden/*.proto lint/*.proto) > $$out/descriptors/fixtures.sha256; \
	bench="-I Protocols -I Tests/Benchmarks/Protocols"; \
	protoc $$bench $(PROTOC_SWIFT) --swift_out=$$out/echo $(ECHO); \
	protoc $$bench $(PROTOC_LOCKSTEP) --lockstep_out=$$out/echo $(ECHO); \
	protoc $$bench $(PROTOC_LOCKSTEP) --lockstep_opt=Output=Clients,ContractsModule= --lockstep_out=$$out/echo $(ECHO); \
	peers="-I Protocols -I Tests/Contract/Protocols"; \
	protoc $$peers $(PROTOC_SWIFT) --swift_out=$$out/conformance $(CONFORMANCE) lockstep/conformance/v1/control.proto; \
	protoc $$peers $(PROTOC_LOCKSTEP) --lockstep_out=$$out/conformance $(CONFORMANCE); \
	protoc $$peers $(PROTOC_LOCKSTEP) --lockstep_opt=Output=Clients,ContractsModule= \
	  --lockstep_out=$$out/conformance $(CONFORMANCE); \
	sync_folder() { mkdir -p "$$2"; \
	  for old in "$$2"/*; do [ ! -e "$$old" ] || [ -e "$$1/$$(basename "$$old")" ] || { rm "$$old"; echo "  removed $$old"; }; done; \
	  for new in "$$1"/*; do cmp -s "$$new" "$$2/$$(basename "$$new")" || \
	    { cp "$$new" "$$2/"; echo "  wrote   $$2/$$(basename "$$new")"; }; done; }; \
	sync_folder $$out/options Sources/RPCCodeGen/Generated; \
	sync_folder $$out/contracts Sources/Contracts/Generated; \
	sync_folder $$out/clients Sources/ContractClients/Generated; \
	sync_folder $$out/golden $$tests/Golden; \
	sync_folder $$out/echo Tests/Benchmarks/Echo/Generated; \
	sync_folder $$out/conformance Sources/ContractHarness/Generated; \
	sync_folder $$out/descriptors $$tests/Descriptors

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
	@stamp="$(PYTHON)/.installed-$$(cat $(REQUIREMENTS) | sha256sum | cut -c1-16)"; \
	if [ ! -e "$$stamp" ]; then \
	  echo "Installing an OAuth 2.0 server and an OpenAPI validator into $(PYTHON)"; \
	  python3 -m venv $(PYTHON); \
	  $(PYTHON)/bin/pip install --quiet --disable-pip-version-check $(addprefix -r ,$(REQUIREMENTS)); \
	  touch "$$stamp"; fi
