//go:build linux

package vm

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// loadDir is where somebody saves files while the power fails.
const loadDir = "/srv/data/load"

//go:embed owner.sh
var ownerScript []byte

// The parts of a reset that a cut can fall into.
const (
	before  = "before acceptance"
	between = "between acceptance and commit"
	after   = "after commit"
)

// aims is where cut after cut is meant to fall, and whether the disks lose their write cache with it. Any
// five in a row have both kinds, and each part.
var aims = [...]struct {
	part  string
	cache bool
}{{between, false}, {before, true}, {between, true}, {after, true}, {between, true}, {before, false}, {between, false}, {after, false}}

// soak is what all cuts begin from: a NAS with files being saved on its array and an owner's computer that
// has shown the plan and waits for nothing but the new password.
type soak struct {
	old, new map[string]string // the rows before and after
	files    Manifest
	spans    map[string]int // how long each part takes without a cut, in files saved meanwhile: the guest's own clock
	gap      time.Duration  // from one saved file to the next, about
	seed     uint64

	mu     sync.Mutex
	counts map[string]int
}

// TestSoakPower takes the power away at random moments of a reset of scope all, while files are being saved
// on the array, PAPERCLIP_CUTS times: some before the NAS accepts it, some between acceptance and commit,
// some after. Every second time the disks lose all that they were not told to keep. After each cut the NAS
// boots: its settings are all old or all new, both password stores agree, what was promised before the cut
// is kept, and no file changed. PAPERCLIP_SEED takes the moments of an earlier run, PAPERCLIP_ONLY one of them.
func TestSoakPower(t *testing.T) {
	cuts, err := strconv.Atoi(os.Getenv("PAPERCLIP_CUTS"))
	if err != nil || cuts < 1 {
		t.Skip("PAPERCLIP_CUTS does not say how many: run make soak-power N=5")
	}
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv("PAPERCLIP_SEED"), fmt.Sprint(time.Now().UnixNano())), 10, 64)
	check(t, err)
	only, err := strconv.Atoi(cmp.Or(os.Getenv("PAPERCLIP_ONLY"), "0"))
	check(t, err)
	ctx := t.Context()
	done := phase(t, "build, boot, install")
	n := boot(t, ctx, programs(t, ctx))
	n.install(t, ctx)
	done()
	soakPower(t, ctx, n, seed, cuts, only)
}

// soakPower dresses a NAS and makes the cuts from 1 to a number, or one alone.
func soakPower(t *testing.T, ctx context.Context, n *nas, seed uint64, cuts, only int) {
	t.Helper()
	done := phase(t, "dress")
	n.dress(t, ctx)
	done()
	s := newSoak(t, ctx, n)
	s.seed = seed
	t.Logf("SEED=%d", s.seed)

	numbers := make(chan int)
	go func() {
		defer close(numbers)
		for i := 1; i <= cuts; i++ {
			if only == 0 || i == only {
				numbers <- i
			}
		}
	}()
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) { // an emulated machine keeps one processor busy
		m := n.beside(t, ctx)
		all.Go(func() {
			for i := range numbers {
				t.Run(fmt.Sprint("cut ", i), func(t *testing.T) { s.run(t, ctx, m, s.aim(i)) })
			}
		})
	}
	all.Wait()
	s.total(t, cuts, only != 0)
}

// total says what came of all cuts.
func (s *soak) total(t *testing.T, cuts int, one bool) {
	t.Helper()
	c := s.counts
	t.Logf("%d power cuts (%d the process killed, %d the disks' cache lost too); %d %s, %d %s, %d %s; %d all old, %d all new; %d half-states; %d files of %d changed on the array",
		c["cuts"], c["kill"], c["flush"], c[before], before, c[between], between, c[after], after,
		c[allOld], c[allNew], c[halfState], c["changed"], s.files.Files())
	switch {
	case one:
	case c[allOld]+c[allNew] != cuts:
		t.Error("not every cut ended all old or all new")
	case c[between] == 0:
		t.Error("no cut fell " + between + ": that proves nothing")
	}
}

func (s *soak) count(what string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what] += n
}

// A cut is one to be made.
type cut struct {
	number int
	part   string        // that it is meant to fall into
	saves  int           // files saved from the beginning of that
	more   time.Duration // after them
	cache  bool          // the disks lose what they were not told to keep
}

// aim is the cut of a number: with the same seed and the same spans always the same.
func (s *soak) aim(number int) cut {
	a := aims[(number-1)%len(aims)]
	random := rand.New(rand.NewPCG(s.seed, uint64(number)))
	saves, more := math.Modf(random.Float64() * float64(s.spans[a.part]))
	return cut{number, a.part, int(saves), time.Duration(more * float64(s.gap)), a.cache}
}

// newSoak brings a NAS to the moment, and resets it once without a cut, to know how that looks and how
// long it takes.
func newSoak(t *testing.T, ctx context.Context, n *nas) *soak {
	t.Helper()
	defer phase(t, "up to the plan, and once without a cut")()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	check(t, n.lan.Connects(ctx, OldSubnet, GuestAddress, "445")) // the bond may be new to its neighbours
	s := &soak{old: n.look(t, ctx, OldSubnet, GuestAddress), counts: map[string]int{}}
	var err error
	s.files, err = n.Agent.Manifest(ctx, "/srv")
	check(t, err)
	n.askOwner(t, ctx)
	// What was set up long ago is on the disks by the time of a cut. (fail2ban's database asks for no flush.)
	n.shell(t, ctx, "sync")
	n.shell(t, ctx, "systemd-run --quiet --collect --unit=load "+guestProgram+" load "+loadDir)
	check(t, n.Suspend(ctx))

	earlier := n.accepts(t, ctx)
	began := time.Now()
	check(t, n.shows(ctx, markerGone))
	console := n.console(t)
	s.spans = map[string]int{before: saves(console, "") - saves(console, markerThere) - earlier, between: saves(console, markerThere), after: 60}
	s.gap = time.Since(began) / time.Duration(saves(console, "")-earlier+1)
	for _, p := range []string{before, between, after} {
		t.Logf("%s: cuts fall into %d saved files, one in %s", p, s.spans[p], s.gap.Round(time.Millisecond))
	}
	check(t, n.lan.Connects(ctx, Client, LeasedAddress, "22"))
	s.new = n.look(t, ctx, Client, LeasedAddress)
	for _, row := range rows() {
		if row.id != "E13" && s.old[row.id] == s.new[row.id] {
			t.Errorf("%s stays %q: a half-state could not be told by it", row.id, s.old[row.id])
		}
	}
	check(t, n.Cut())
	return s
}

// askOwner opens a claim and puts an owner's computer on the LAN, inside the machine, so that it is saved
// with it; and waits until that has shown the plan and asks for the new password.
func (n *nas) askOwner(t *testing.T, ctx context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	code := n.openClaim(t, ctx)
	r, err := n.Agent.Do(ctx, ownerScript, "bash", "-s", fmt.Sprintf("%d%d%d%d", code[0], code[1], code[2], code[3]), string(reset.All))
	check(t, err)
	if r.Exit != 0 {
		t.Fatalf("owner.sh: exit %d: %s%s", r.Exit, r.Stdout, r.Stderr)
	}
	n.shell(t, ctx, "systemd-run --quiet --collect --unit=tell "+guestProgram+` tell /var/lib/paperclip '"state":"([a-z]+)"' journal.b journal.open`)
	if err := n.shows(ctx, "Choosing the new password"); err != nil {
		n.confess(t)
		t.Fatal(err)
	}
}

// beside is another machine that wakes from the same moment.
func (n *nas) beside(t *testing.T, ctx context.Context) *nas {
	t.Helper()
	c := site(t, ctx, n.built)
	m, err := n.Beside(ctx, c)
	check(t, err)
	return &nas{Machine: m, built: n.built, lan: c.LAN, dir: c.Dir}
}

// accepts goes on from the saved moment and gives the owner's computer the new password, so that it hands
// the plan over. It returns how many files were saved by then.
func (n *nas) accepts(t *testing.T, ctx context.Context) int {
	t.Helper()
	check(t, n.Wake(ctx))
	check(t, n.shows(ctx, "\nsaved ")) // the array is under load
	n.shell(t, ctx, "echo '"+newPassword+"' > /run/owner/password")
	return saves(n.console(t), "")
}

// newPassword is what every cut reset would set.
const newPassword = "violet tractor 9 gulls"
