# Everything a person needs: make run, make demo, make test. `make help` lists the rest.
GO      ?= go
BIN     := bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: drift-secrets help build run demo test check fast fuzz bench bench-fleet bench-offboarding microbench lossless compat kill-loop kill-quotas bench-records bench-tokens soak screenshots tools clean docs

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

build: ## the two binaries, static, into bin/
	@mkdir -p $(BIN)
	@echo 'building $(BIN)/gatehouse and $(BIN)/eid; the first time it takes a minute' >&2
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/gatehouse ./cmd/gatehouse
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/eid ./examples/eid

run: build ## everything on this machine, in development mode: portal on localhost:8001, gateway on localhost:8000
	@exec $(BIN)/gatehouse serve --dev --example --manifest examples/eid/manifest

demo: build ## walk the whole story against a fresh instance, through public HTTP only (STORY=lifecycle: every credential, approval, review and end; DEMO_OUTPUT=json for machines)
	@$(GO) run ./examples/demo -gatehouse $(BIN)/gatehouse -eid $(BIN)/eid

tools: ## install what the tests need (Debian packages, as root)
	@scripts/tools

test: tools ## everything that CI runs, and what it needs installed: as check, but every test under the race detector
	@scripts/check race

check: ## before a change goes in: gofmt, vet, staticcheck, every test, fuzz seeds, architecture
	@scripts/check

fast: ## the tests of what changed, nothing else
	$(GO) test ./...

fuzz: ## each fuzz target for FUZZTIME (default 30s)
	@scripts/fuzz $(or $(FUZZTIME),30s)

bench: build ## Gatehouse, nginx, HAProxy and Caddy in one run (SHORT=1: the two main cases, under three minutes; ONLY=main,tls,h2)
	@scripts/tools nginx haproxy wrk nghttp2-client strace >&2
	@[ -n "$(SHORT)" ] || scripts/tools caddy >&2 || echo 'Caddy cannot be had here; the run goes on without it' >&2
	@PATH="$$PATH:/usr/sbin" $(GO) run ./bench -gatehouse $(BIN)/gatehouse $(if $(SHORT),-short,$(if $(ONLY),-only $(ONLY),-page docs/performance.md))

bench-fleet: build ## a control plane, 100 feed connections, 1,000,000 credentials: revocations, publishing, cold starts, writes (SHORT=1: fewer, under three minutes)
	@scripts/tools postgresql >&2
	@$(GO) run ./bench -fleet -gatehouse $(BIN)/gatehouse $(if $(ONLY),-only $(ONLY)) $(if $(SHORT),-short,$(if $(ONLY),,-page docs/performance.md))

bench-offboarding: ## an organization with 1,000 credentials (CREDENTIALS=n) ends at three gateways, real processes, SQLite and PostgreSQL, until its evidence has verified offline
	@scripts/tools postgresql >&2
	GATEHOUSE_OFFBOARDED=$(or $(CREDENTIALS),1000) $(GO) test -count=1 -v -run OffboardingOfManyCredentials -timeout 30m ./cmd/gatehouse

bench-records: build ## lists and decisions among 10,000 organizations and 1,000,000 credentials, on SQLite and PostgreSQL (SHORT=1; ONLY=sqlite; CASE=dormant; DATA=dir keeps SQLite's; DATABASE=postgres://… is filled and kept)
	@scripts/tools postgresql >&2
	@$(GO) run ./bench -gatehouse $(BIN)/gatehouse -records $(if $(SHORT),-short) $(if $(ONLY),-only $(ONLY)) $(if $(CASE),-case $(CASE)) $(if $(DATA),-data $(DATA)) $(if $(DATABASE),-database '$(DATABASE)')

bench-tokens: build ## access tokens a second by the real program with one core: secret, private_key_jwt, DPoP (SHORT=1; CASE=secret)
	@$(GO) run ./bench -gatehouse $(BIN)/gatehouse -tokens $(if $(SHORT),-short) $(if $(CASE),-case '$(CASE)')

soak: build ## 10,000 idle connections and 9,000 slow heads against the gateway: memory, deadlines, other clients' latency
	@scripts/tools nginx >&2
	@PATH="$$PATH:/usr/sbin" $(GO) run ./bench -gatehouse $(BIN)/gatehouse -soak

microbench: ## Go's own benchmarks, and http1 and its peers in process
	@scripts/tools nginx wrk
	$(GO) test -run '^$$' -bench . -benchmem ./credential ./ratelimit ./policy/... ./snapshot ./event ./manifest ./drift ./store/... ./control ./audit
	PATH="$$PATH:/usr/sbin" $(GO) test -run '^$$' -bench . -benchmem -timeout 30m ./http1 ./gateway

screenshots: build ## the portal's pages as pictures, into screenshots/
	$(GO) test -count=1 ./portal/browsertest

lossless: ## no request lost over 100 publishes and 10 upgrades under load, on the real binary
	GATEHOUSE_LOSSLESS=100,10 $(GO) test -count=1 -v -run NothingIsLost -timeout 15m ./cmd/gatehouse

compat: ## real processes of the last build without regions, from the history of a full clone, beside those of this one, on PostgreSQL
	@old=$$(git log --diff-filter=A --format=%H -- store/sqldb/migrations/postgres/0130_regions.sql | tail -1); dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	test -n "$$old" || { echo 'the history before regions is not here: use a full clone' >&2; exit 1; }; \
	git archive "$$old~1" | tar x -C "$$dir" && (cd "$$dir" && CGO_ENABLED=0 $(GO) build -o "$$dir/gatehouse" ./cmd/gatehouse) && \
	GATEHOUSE_BEFORE="$$dir/gatehouse" $(GO) test -tags compat -count=1 -v -run ReleaseBeforeBeside -timeout 10m ./cmd/gatehouse

kill-loop: ## KILLS (default 1,000) rounds, on DATABASE=postgres or SQLite, of kill -9 of control plane, gateway and both under writes; then the trace of a sync before each answer
	@scripts/tools strace >&2
	GATEHOUSE_KILLS=$(or $(KILLS),1000) GATEHOUSE_KILLS_DATABASE=$(DATABASE) $(GO) test -count=1 -v -run 'KilledFleet|SyncedBefore' -timeout 6h ./cmd/gatehouse

kill-quotas: ## KILLS (default 200) rounds on SQLite and as many on PostgreSQL of kill -9 of gateways and control plane while requests use a quota up: what is lost, and that nothing counts twice
	@scripts/tools postgresql >&2
	GATEHOUSE_QUOTA_KILLS=$(or $(KILLS),200) $(GO) test -count=1 -v -run KilledGatewaysCountOnce -timeout 6h ./cmd/gatehouse

drift-secrets: ## every output of the drift review for every file of the corpus, plans included, searched for secrets
	go test -count=1 -timeout 120m -v -run TestSecretsAreInNoOutput ./drift/review -whole

docs: ## what is generated: the manifest reference
	$(GO) run ./manifest/reference > docs/manifest.md

clean:
	rm -rf $(BIN) screenshots
