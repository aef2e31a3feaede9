//go:build linux

package vm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// loadDir is where somebody saves files while the power fails.
const loadDir = "/srv/data/load"

// soak is a NAS with an open claim, to be reset and cut again and again from the same moment.
type soak struct {
	*nas
	code     [4]int
	old, new map[string]string // the rows before and after
	files    Manifest
	windows  []window
}

// A window is a part of a reset, by what rescue says at its beginning: cuts fall at random moments of it.
type window struct {
	says string
	span time.Duration
}

// TestSoakPower takes the power away at random moments of a reset of scope all, while files are being saved
// on the array, PAPERCLIP_CUTS times. Every second time the disks lose their write cache too. After each
// cut the NAS boots: all its settings are old or all are new, both password stores agree, and no file changed.
func TestSoakPower(t *testing.T) {
	cuts, err := strconv.Atoi(os.Getenv("PAPERCLIP_CUTS"))
	if err != nil || cuts < 1 {
		t.Skip("PAPERCLIP_CUTS does not say how many: run make soak-power N=5")
	}
	ctx := t.Context()
	n := boot(t, ctx, programs(t, ctx))
	n.install(t, ctx)
	n.dress(t, ctx)
	soakPower(t, ctx, n, cuts)
}

func soakPower(t *testing.T, ctx context.Context, n *nas, cuts int) {
	t.Helper()
	s := newSoak(t, ctx, n)
	seed := uint64(time.Now().UnixNano())
	for _, w := range s.windows {
		t.Logf("from %q to the end: %.1f s", w.says, w.span.Seconds())
	}
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	count := map[string]int{}
	for i := range cuts {
		w, cache := s.windows[i/2%len(s.windows)], i%2 == 1
		after := time.Duration(random.Int64N(int64(w.span)))
		name := fmt.Sprintf("cut %d, write cache kept, %.2f s after %q", i+1, after.Seconds(), w.says)
		if cache {
			name = strings.Replace(name, "kept", "lost", 1)
		}
		t.Run(name, func(t *testing.T) {
			defer phase(t, "took")()
			result := s.cut(t, ctx, w.says, after, cache)
			count[result]++
			if t.Failed() {
				count["failed"]++
				s.confess(t)
			}
			t.Log(result)
			check(t, s.Cut())
		})
	}
	t.Logf("%d power cuts: %d all old, %d all new; %d half-states or changed files", cuts, count["all old"], count["all new"], count["failed"])
	if count["all old"]+count["all new"] != cuts {
		t.Error("not every cut ended all old or all new")
	}
}

// newSoak brings a NAS to the moment, and resets it once without a cut, to know how that looks and how
// long it takes.
func newSoak(t *testing.T, ctx context.Context, n *nas) *soak {
	t.Helper()
	s := &soak{nas: n, old: n.look(t, ctx, OldSubnet, GuestAddress)}
	s.code = n.openClaim(t, ctx)
	var err error
	s.files, err = n.Agent.Manifest(ctx, "/srv")
	check(t, err)
	check(t, n.Suspend(ctx))
	r := s.begin(t, ctx)
	for _, says := range []string{"The NAS changes its settings", "Handing it over"} {
		s.windows = append(s.windows, window{says, 0})
	}
	handed := time.Now()
	check(t, r.Says(ctx, s.windows[0].says))
	accepted := time.Now()
	check(t, r.Says(ctx, "Signing in anew"))
	s.windows[0].span, s.windows[1].span = time.Since(accepted), time.Since(handed)
	_, _, _, err = r.Wait(ctx)
	check(t, err)
	s.new = n.look(t, ctx, Client, LeasedAddress)
	for _, row := range rows() {
		if row.id != "E13" && s.old[row.id] == s.new[row.id] {
			t.Errorf("%s stays %q: a half-state could not be told by it", row.id, s.old[row.id])
		}
	}
	check(t, n.Cut())
	return s
}

// begin goes on from the saved moment, with files being saved, until a reset is handed over.
func (s *soak) begin(t *testing.T, ctx context.Context) *Rescue {
	t.Helper()
	check(t, s.Wake(ctx))
	s.shell(t, ctx, "systemd-run --quiet --collect --unit=load "+guestProgram+" load "+loadDir)
	r, err := s.lan.StartRescue(ctx, s.built.Paperclip, t.TempDir(), "--administrator", "anna", "--scope", string(reset.All))
	check(t, err)
	check(t, r.Tell(s.code))
	check(t, r.Says(ctx, "Handing it over"))
	return r
}

// cut does it once, and says how the NAS came up.
func (s *soak) cut(t *testing.T, ctx context.Context, says string, after time.Duration, cache bool) string {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	r := s.begin(t, ctx)
	check(t, r.Says(ctx, says))
	pause(ctx, after)
	check(t, s.Cut())
	r.Stop()
	acknowledged := s.acknowledged(t)
	if cache {
		lost, err := s.Forget(ctx)
		check(t, err)
		t.Logf("%d writes to the disks are lost", lost)
	}
	check(t, s.BootRaw(ctx))
	s.running(t, ctx)
	s.serving(t, ctx)
	s.ended(t, ctx)

	result := s.judge(t, ctx)
	s.passwords(t, ctx, r, result)
	saved, err := strconv.Atoi(s.shell(t, ctx, guestProgram+" check-load "+loadDir))
	check(t, err)
	if saved < acknowledged {
		t.Errorf("%d files were saved and synced, %d are there", acknowledged, saved)
	}
	t.Logf("%d files were saved meanwhile, %d are there, each whole", acknowledged, saved)
	now, err := s.Agent.Manifest(ctx, "/srv")
	check(t, err)
	for _, change := range s.files.Changes(now, loaded) {
		t.Error("on the array: ", change)
	}
	return result
}

// loaded are the names that whoever saves files makes, and the folder that their folder is new in.
func loaded(path string) string {
	if path == filepath.Dir(loadDir) || path == loadDir || strings.HasPrefix(path, loadDir+"/") {
		return "files were being saved there"
	}
	return ""
}

var savedLine = regexp.MustCompile(`(?m)^saved (\d+)\r?$`)

// acknowledged is how many files the guest had said to be safe.
func (s *soak) acknowledged(t *testing.T) int {
	t.Helper()
	console, err := os.ReadFile(s.path("console"))
	check(t, err)
	all := savedLine.FindAllSubmatch(console, -1)
	if len(all) == 0 {
		t.Fatal("nothing was saved before the cut: the NAS was under no load")
	}
	last, err := strconv.Atoi(string(all[len(all)-1][1]))
	check(t, err)
	return last + 1
}

// ended waits until no reset is open any more.
func (s *soak) ended(t *testing.T, ctx context.Context) {
	t.Helper()
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	state, err := s.Agent.Until(limited, `s=$(paperclipd status --json); echo "$s" | python3 -c 'import json,sys; j=json.load(sys.stdin)["journal"]; print(j); sys.exit(j.get("state") not in (None, "", "committed", "undone"))'`)
	check(t, err)
	t.Logf("the journal says %s", state)
}

// judge waits until the rows are all old or all new.
func (s *soak) judge(t *testing.T, ctx context.Context) string {
	t.Helper()
	var seen map[string]string
	for end := time.Now().Add(patience); ; pause(ctx, time.Second) {
		from, address := OldSubnet, GuestAddress
		if !s.lan.Reachable(ctx, from, address) {
			from, address = Client, LeasedAddress
		}
		seen = s.look(t, ctx, from, address)
		old, now := 0, 0
		for _, row := range rows() {
			if seen[row.id] == s.old[row.id] {
				old++
			}
			// Each run has a password of its own.
			if seen[row.id] == s.new[row.id] || row.id == "E1" && seen[row.id] != s.old[row.id] {
				now++
			}
		}
		switch {
		case old == len(rows()):
			return "all old"
		case now == len(rows()):
			return "all new"
		case time.Now().After(end):
			for _, row := range rows() {
				t.Errorf("%s (%s): old %q, new %q, is %q", row.id, row.what, s.old[row.id], s.new[row.id], seen[row.id])
			}
			return "a half-state"
		}
	}
}

// passwords asks SSH and SMB which password holds.
func (s *soak) passwords(t *testing.T, ctx context.Context, r *Rescue, result string) {
	t.Helper()
	if result == "all old" {
		s.witness(t, ctx, say{"anna", oldPassword, Accepted}, say{"ben", benPassword, Accepted})
		return
	}
	password, err := r.Password()
	check(t, err)
	s.witnessAt(t, ctx, Client, LeasedAddress, say{"anna", password, Accepted}, say{"anna", oldPassword, Refused}, say{"ben", benPassword, Accepted})
}
