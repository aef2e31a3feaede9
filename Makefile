# What can be made here. Targets that need root or Debian packages say so and
# install what is missing (as root on Debian) before they start.

GO      ?= go
T       ?= 10s
N       ?= 10000000
BEEPS   ?= 1500
PARTS   ?= .
CUTS     = $(if $(filter file,$(origin N)),5,$(N))
SHELL   := /bin/bash -o pipefail
RELEASE := -buildvcs=auto -trimpath -ldflags='-s -w'
# The daemon speaks HTTP/1.1 alone: less to attack, and 0.4 MB less. Nothing in it is hot but
# cryptography: without inlining elsewhere it is 0.9 MB smaller, and so is each process that maps it.
HOT     := crypto/... vendor/golang.org/x/crypto/... golang.org/x/crypto/... filippo.io/... github.com/go-crypt/... encoding/binary internal/byteorder
DAEMON  := $(RELEASE) -tags nethttpomithttp2 -gcflags=all=-l $(HOT:%=-gcflags=%=)
OUT     ?= bin/paperclipd
TOOL    := $(GO) tool -modfile=tools/go.mod

.PHONY: help build daemon test race lint fuzz kill crash bench-reset bench-idle bench-button soak-button test-vm soak-power bench-recovery-vm test-nspawn mutate test-net bench-find test-thirdparty test-lab demo dist clean

help:            ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build:           ## the programs, static, into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/...

daemon:          ## paperclipd alone, as it is released, to OUT (bin/paperclipd)
	CGO_ENABLED=0 $(GO) build $(DAEMON) -o $(OUT) ./cmd/paperclipd

test:            ## every test with the race detector; what needs root or tools skips and says so
	@.ci/need gcc libc6-dev iproute2 nftables dnsmasq-base systemd
	@$(GO) build -o bin/report ./test/report
	@# Many tests wait more than they compute: more at once than there are processors.
	$(GO) test -race -p 4 -parallel 8 -json ./... | bin/report

lint:            ## format, vet, staticcheck, a tidy go.mod
	@out=$$($(TOOL) gofumpt -l cmd internal test); test -z "$$out" || { echo "not formatted (gofumpt -w):"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	$(GO) mod tidy -diff

fuzz:            ## each parser for T, or so often (make fuzz T=1m, T=1000000x, ONLY=qfinder)
	$(GO) run ./test/fuzz -for $(T) -only '$(ONLY)'

kill:            ## a child killed at every operation of a reset, restarted: all old or all new
	$(GO) test ./internal/device/journal -run 'TestKilled|TestTheSuite' -count=1 -timeout 30m -v -crash.every=1 | grep -vE '^ *(===|---) .*/places'

crash:           ## a power cut at every point of every reset, restore and account change, on disks that forget (by hand)
	$(GO) test ./test/crash -run 'TestEveryCrashPoint|TestKilledThenCut|TestEveryFsyncIsNeeded' -crash.full -count=1 -timeout 4h -v

bench-reset:     ## journal and files, accepted to committed, beside the same writes and fsyncs alone
	$(GO) test ./test/crash -run '^$$' -bench '^BenchmarkReset$$' -benchtime 40x -count=1

bench-button:    ## how late a beep is with every core busy: as any program, as core, and the floor (root, a minute)
	PAPERCLIP_BENCH=1 PAPERCLIP_PULSES=$(BEEPS) $(GO) test ./internal/device/panel -run '^TestBeepLateness$$' -count=1 -v

bench-idle:      ## both processes with nothing to do: memory, wake-ups and size, beside a bare Go listener (root, three minutes)
	@.ci/need $$(cat test/idle/packages)
	PAPERCLIP_BENCH=1 $(GO) test ./test/idle -run '^TestIdle$$' -count=1 -v

soak-button:     ## N button traces against the oracle, 0 may be misread (N=10000000)
	$(GO) test ./internal/domain/button -run '^TestSoak$$' -count=1 -timeout 0 -v -soak.traces=$(N)

test-vm:         ## soft and hard resets on a real kernel in QEMU, E1 to E13 (root on Debian, under 25 minutes)
	@.ci/need $$(cat test/vm/packages)
	PAPERCLIP_VM=1 $(GO) test ./test/vm -run '$(PARTS)' -count=1 -timeout 50m -v

soak-power:      ## N power cuts at random moments of a reset under load on RAID1 (N=200; again: SEED=… ONLY=7)
	@.ci/need $$(cat test/vm/packages)
	PAPERCLIP_VM=1 PAPERCLIP_CUTS=$(CUTS) PAPERCLIP_SEED=$(SEED) PAPERCLIP_ONLY=$(ONLY) $(GO) test ./test/vm -run '^TestSoakPower$$' -count=1 -timeout 0 -v

bench-recovery-vm: ## locked out to signed in, beside a rescue shell, on the same virtual machine
	@.ci/need $$(cat test/vm/packages)
	PAPERCLIP_VM=1 PAPERCLIP_BENCH=1 $(GO) test ./test/vm -run '^TestBenchRecovery$$' -count=1 -timeout 30m -v

test-nspawn:     ## E1 to E13 on real programs, three network stacks, before, after, restored (PAPERCLIP_SUITE=trixie: on Debian 13)
	@.ci/need $$(cat test/nspawn/packages)
	PAPERCLIP_NSPAWN=1 $(GO) test ./test/nspawn -count=1 -timeout 30m -v

mutate:          ## N damaged messages for each parser of what a LAN says, none may panic (N=10000000)
	PAPERCLIP_MUTATIONS=$(N) $(GO) test ./test/mutate -count=1 -timeout 0 -v

test-net:        ## finding on real networks: avahi, minissdpd, dnsmasq, loss, floods (root on Debian, 3 minutes)
	@.ci/need $$(cat test/net/packages)
	PAPERCLIP_NET=1 $(GO) test ./test/net -count=1 -timeout 15m -v

test-thirdparty: ## the lab's Synology by a client that others wrote (needs node and npm)
	@command -v npm >/dev/null || .ci/need nodejs npm
	cd test/thirdparty/clients && npm ci --no-audit --no-fund --loglevel=error
	PAPERCLIP_THIRDPARTY=1 $(GO) test ./test/thirdparty -count=1 -timeout 20m -v

test-lab:        ## cause x way for the lab's Synology and QNAP: result, time, lost, restored, left (3 minutes)
	PAPERCLIP_LAB=1 $(GO) test ./test/lab -count=1 -timeout 20m -parallel 8 -v | grep -vE '^ *=== |^ *--- (PASS|SKIP)'

bench-find:      ## our search beside arp-scan, nmap and avahi-browse, with the ratios (root on Debian)
	@.ci/need $$(cat test/net/packages)
	PAPERCLIP_NET=1 PAPERCLIP_BENCH=1 $(GO) test ./test/net -run '^TestBench$$' -count=1 -v

demo:            ## locked out and back in, in the lab
	$(GO) run ./cmd/paperclip rescue --lab --yes

dist:            ## what is released: static programs for every system, with checksums, in dist/
	rm -rf dist && mkdir -p dist
	for os in linux darwin windows; do for arch in amd64 arm64; do \
	  end=; [ $$os = windows ] && end=.exe; \
	  CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build $(RELEASE) -o dist/paperclip-$$os-$$arch$$end ./cmd/paperclip || exit 1; done; done
	for arch in amd64 arm64 arm; do \
	  GOOS=linux GOARCH=$$arch $(MAKE) daemon OUT=dist/paperclipd || exit 1; \
	  tar -C dist --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -czf dist/paperclipd-linux-$$arch.tar.gz paperclipd -C .. packaging LICENSE || exit 1; done
	rm dist/paperclipd
	cd dist && sha256sum * > SHA256SUMS && sha256sum --check --quiet SHA256SUMS

clean:           ## what was built
	rm -rf bin dist
