# Lockstep. `make` lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

DEBUG := .build
RELEASE := .build-release
PYTHON := .build-python
# Builds of their own: a sanitizer, or the fuzzer, compiles everything anew.
TSAN := .build-tsan
ASAN := .build-asan
FUZZ := .build-fuzz
# OpenSSL's FIPS provider, for tests.
FIPS := .build-fips
STATE ?= .lockstep
# What the build and the tests need of Debian.
PACKAGES := libssl-dev libcrypt-dev libsqlite3-dev libpq-dev postgresql softhsm2 openssl curl procps python3 python3-venv protobuf-compiler libprotobuf-dev
# The OAuth 2.0 server of the walk and of the token service's tests, the validator of OpenAPI, buf, test vectors and
# others' libraries, and what the peer in Python needs: packages with versions.
REQUIREMENTS := $(addsuffix /requirements.txt,Tests/Support/oauth-provider Tests/Support/openapi Tests/Support/buf \
  Tests/Support/vectors Tests/Contract/peers/python)
# `make test FILTER=WireCore` runs the suites whose names match.
FILTER ?=
# How long `make fuzz` and `make sim` go on: 90s, 10m, 1h. SEED replays one world of `make sim`.
DURATION ?= 10m
SEED ?=
# `make bench ROUNDS=1 SAMPLES=150` is the short one, of a quarter of an hour; without, each part takes as many as it needs.
ROUNDS ?=
SAMPLES ?=

.PHONY: help run demo test build check compat baseline contract bench checklist fips tsan asan fuzz sim soak generate \
  generate-with clean deps release lint fips-provider

help: ## List the commands
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Asked first: a build takes minutes, and nothing of a running system is to be touched.
run: ## Build, start the five services, walk through them once, keep running (STATE=.lockstep)
	@STATE=$(STATE) Tests/Walk/run.sh --check
	@$(MAKE) --no-print-directory deps release
	@STATE=$(STATE) BIN=$(RELEASE)/release PYTHON=$(PYTHON)/bin/python3 Tests/Walk/run.sh

demo: deps ## Repeat the walk on a running system
	@$(PYTHON)/bin/python3 Tests/Walk/walk.py --state $(STATE)

build: deps fips-provider ## Build everything, debug, with tests
	swift build --scratch-path $(DEBUG) --build-tests

# The Swift runtime is linked in: it runs a tenth faster, and where no Swift is installed.
OPTIMIZED := swift build -c release --static-swift-stdlib

release: deps ## Build the programs, optimized, into .build-release/release
	@echo "Building release (the first time takes some minutes) ..."
	$(OPTIMIZED) --scratch-path $(RELEASE) --product lockstep
	@for service in encryption email auth token gateway; do \
	  $(OPTIMIZED) --scratch-path $(RELEASE) --product $$service; done

# One test at a time: many of them start servers, and two cores are all there may be.
test: build ## Install what tests need, build, run everything (FILTER=WireCoreTests: one suite)
	@LOCKSTEP_TEST_PYTHON=$(CURDIR)/$(PYTHON)/bin/python3 Tests/Support/test.sh $(DEBUG)/test.log \
	  swift test --scratch-path $(DEBUG) --skip-build --no-parallel $(if $(FILTER),--filter '$(FILTER)')

check: deps ## Regenerate and fail when the generated code was stale, then judge the contract and test
	@told=$$(mktemp); trap 'rm -f "$$told"' EXIT; $(MAKE) -s generate | tee "$$told"; ! grep -qE '^  (wrote|removed) ' "$$told" || \
	  { echo "Generated code was stale, and is new now: look at the files above, and run this again."; exit 1; }
	@$(MAKE) compat
	@$(MAKE) test

checklist: build ## What standards ask of Auth and Encryption: each row with its tests, and whether they pass
	@LOCKSTEP_TEST_PYTHON=$(CURDIR)/$(PYTHON)/bin/python3 $(PYTHON)/bin/python3 Tests/Checklist/checklist.py -- \
	  swift test --scratch-path $(DEBUG) --skip-build --no-parallel

# The module's own tests and those of what is built on it, with nothing else of OpenSSL to turn to.
fips: build ## What OpenSSL's FIPS provider does, tested with nothing beside it (FILTER=...)
	@test -e $(FIPS)/only.cnf || { echo "There is no FIPS provider to test with: see above."; exit 1; }
	@LOCKSTEP_TEST_PYTHON=$(CURDIR)/$(PYTHON)/bin/python3 Tests/Support/test.sh $(DEBUG)/fips.log \
	  env OPENSSL_CONF=$(CURDIR)/$(FIPS)/only.cnf OPENSSL_MODULES=$(CURDIR)/$(FIPS) LOCKSTEP_TEST_CRYPTO_PROVIDER=fips \
	  swift test --scratch-path $(DEBUG) --skip-build --no-parallel \
	  --filter '$(or $(FILTER),LibCryptoTests|JOSETests|EncryptionServiceTests)'

tsan: deps ## Unit and integration tests under ThreadSanitizer (FILTER=...)
	swift build --sanitize=thread --scratch-path $(TSAN) --build-tests
	@LOCKSTEP_TEST_PYTHON=$(CURDIR)/$(PYTHON)/bin/python3 Tests/Sanitizers/run.sh thread $(TSAN) '$(FILTER)'

asan: deps ## Unit and integration tests under AddressSanitizer (FILTER=...)
	swift build --sanitize=address --scratch-path $(ASAN) --build-tests
	@LOCKSTEP_TEST_PYTHON=$(CURDIR)/$(PYTHON)/bin/python3 Tests/Sanitizers/run.sh address $(ASAN) '$(FILTER)'

# libFuzzer of the Swift toolchain, without its `main`.
LIBFUZZER = $(shell $$(dirname $$(realpath $$(command -v swift)))/clang -print-resource-dir)/lib/linux/libclang_rt.fuzzer_no_main-$(shell uname -m).a

fuzz: deps ## Fuzz frames, both machines and the HTTP edge, DURATION=10m together
	LOCKSTEP_FUZZ=$(LIBFUZZER) swift build -c release --scratch-path $(FUZZ) --product lockstep-fuzz
	@Tests/Fuzz/fuzz.sh $(FUZZ)/release/lockstep-fuzz $(DURATION)

# DURATION in seconds, for arithmetic.
SECONDS := $(patsubst %s,%,$(patsubst %m,%*60,$(patsubst %h,%*3600,$(DURATION))))

sim: build ## Simulate calls over networks that fail, DURATION=10m, or one world with SEED=
	$(if $(SEED),SIM_SEED=$(SEED),SIM_SECONDS=$$(($(SECONDS)))) \
	  swift test --scratch-path $(DEBUG) --skip-build --filter SimulationTests

# The refreshes alone: at each round 50 with one token, by two handlers as two processes have them, on each engine.
soak: build ## Refresh tokens at once, ROUNDS=1000 rounds of 50, and count sessions and tokens behind them
	@LOCKSTEP_REFRESH_ROUNDS=$(or $(ROUNDS),1000) swift test --scratch-path $(DEBUG) --skip-build --no-parallel \
	  --filter 'TwoProcessesTests/parallelRefreshesLoseNoSession'

# The baseline is the contract that is in use out there: versions N and N-1 work together, so it stays until a release
# has reached every process, and moves with the next one.
BASELINE := Protocols/baseline.binpb
BUF = $(PYTHON)/bin/buf

compat: lint ## Judge what the contract's changes since the baseline break: buf's rules and ours
	$(BUF) breaking Protocols --exclude-imports --against $(BASELINE)
	$(DEBUG)/debug/lockstep contract diff $(BASELINE) Protocols

# What has to hold of a contract whatever it breaks, and what judges the rest.
lint: deps
	$(BUF) lint Protocols
	swift build --scratch-path $(DEBUG) --product lockstep

# Refused while anything breaks, unless that is meant.
baseline: lint ## Take the present contract as the released one (BREAKING=yes: though it breaks callers)
	@$(MAKE) compat || test "$(BREAKING)" = yes || \
	  { echo "The baseline stays: what is above breaks callers. BREAKING=yes takes the contract all the same."; exit 1; }
	$(BUF) build Protocols --as-file-descriptor-set -o $(BASELINE)

# The RPCs to compare with: grpc-swift-2 in a package of its own, grpc-go as Debian has it.
GO_PACKAGES := golang-go golang-google-grpc-dev golang-goprotobuf-dev gcc libc6-dev
PEERS := .build-peers

bench: SHORT = $(if $(ROUNDS),--rounds $(ROUNDS))
# A missed bound is told and fails nothing: another machine is another measure. What could not be measured does.
bench: deps ## Measure all of README's figures (ROUNDS=1 SAMPLES=150: a quarter of an hour)
	@Tests/Benchmarks/bench.sh --check
	@$(MAKE) -s release PACKAGES="$(PACKAGES) $(GO_PACKAGES)"
	$(OPTIMIZED) --scratch-path $(RELEASE) --product lockstep-load
	$(OPTIMIZED) --scratch-path $(RELEASE) --product lockstep-echo
	@echo "Building grpc-swift-2 for comparison (the first time takes some minutes) ..."
	$(OPTIMIZED) --package-path Tests/Benchmarks/Peers/grpc-swift --scratch-path $(PEERS)/swift
	@mkdir -p $(PEERS)
	cd Tests/Benchmarks/Peers/grpc-go && GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= GOCACHE=$(CURDIR)/$(PEERS)/go \
	  go build -o $(CURDIR)/$(RELEASE)/release/grpc-go-echo main.go
	cc -O2 -shared -fPIC -o $(PEERS)/malloc-count.so Tests/Benchmarks/malloc-count.c
	cc -O2 -o $(PEERS)/bcrypt-floor Tests/Benchmarks/bcrypt-floor.c -lcrypt -lpthread
	@test -x $(PEERS)/python/bin/uvicorn || python3 -m venv $(PEERS)/python
	@$(PEERS)/python/bin/pip install --quiet --disable-pip-version-check -r Tests/Benchmarks/Peers/fastapi/requirements.txt
	@cp $(PEERS)/swift/release/grpc-swift-echo $(RELEASE)/release/
	@trap 'exit 130' INT; failed=""; run() { local name=$$1; shift; "$$@" || failed="$$failed $$name"; }; \
	  part() { run "$$1" $(PYTHON)/bin/python3 Tests/Benchmarks/$$1.py --bin $(RELEASE)/release $(SHORT) "$${@:2}"; }; \
	  BIN=$(RELEASE)/release run bench.sh Tests/Benchmarks/bench.sh; \
	  part echo --counter $(PEERS)/malloc-count.so; part overload; part tail; part scale; \
	  part services $(if $(SAMPLES),--samples $(SAMPLES)); \
	  [ -z "$$failed" ] || { echo "bench: these did not end well:$$failed"; exit 1; }

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

# Names of cases, with `*` for anything. Another's implementation: `lockstep contract run --server CMD --client CMD`.
CASES ?= *

contract: build ## Run the contract tests: our peer, mutants, the peer in Python, the five services (CASES='status/*')
	@BIN=$(DEBUG)/debug PYTHON=$(PYTHON)/bin/python3 CASES='$(CASES)' Tests/Contract/run.sh

generate: deps ## Regenerate Swift from Protocols/*.proto
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
	rm -rf $(DEBUG) $(RELEASE) $(TSAN) $(ASAN) $(FUZZ) $(FIPS) $(PYTHON) $(PEERS)

# Without it the tests that need it are skipped, and say so. Its configuration holds the path of this folder.
fips-provider: deps
	@grep -qsF "$(CURDIR)/$(FIPS)/" $(FIPS)/only.cnf || { echo "Getting OpenSSL's FIPS provider into $(FIPS), for tests"; \
	  Tests/Support/fips/provider.sh $(FIPS) || echo "What needs it is not tested here."; }

deps:
	@command -v swift > /dev/null || { echo "There is no \`swift\` on the PATH: Swift 6.3 is at https://swift.org/install."; exit 1; }
	@command -v dpkg-query apt-get > /dev/null || \
	  { echo "This is neither Debian nor a relative of it: install the likes of $(PACKAGES), and see the Makefile's \`deps\`."; exit 1; }
	@missing=""; for package in $(PACKAGES); do \
	  dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q "ok installed" || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ]; then \
	  sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  echo "Installing Debian packages:$$missing"; \
	  $$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	fi
	@stamp="$(PYTHON)/.installed-$$(cat $(REQUIREMENTS) | sha256sum | cut -c1-16)"; \
	if [ ! -e "$$stamp" ]; then \
	  echo "Installing an OAuth 2.0 server, an OpenAPI validator, buf and test vectors into $(PYTHON)"; \
	  python3 -m venv $(PYTHON); \
	  $(PYTHON)/bin/pip install --quiet --disable-pip-version-check $(addprefix -r ,$(REQUIREMENTS)); \
	  touch "$$stamp"; fi
