package crash

import (
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs/crashfs"
)

// needless are the fsyncs that could be left out one at a time without anything
// being worse, and why they are there all the same.
func needless() map[string]string {
	const (
		again = "a lost mark only means that the steps before it are done again, which changes nothing; but status says what is done, and must not take it back"
		next  = "the next fsync makes the same directory durable, in this order of work"
		there = "the directory was made durable before, by somebody else; nobody relies on that"
	)
	const marker = "a marker that comes back names the finished record, and goes at the next start or acceptance"
	all := map[string]string{
		"journal.committed.open.syncdir": marker,
		"journal.undone.open.syncdir":    marker,
		"guest.undo.syncdir":             next,
		"shares.undo.syncdir":            next,
		"journal.persisted.syncdir":      again,
		"journal.activated.syncdir":      again,
		"journal.verified.syncdir":       again,
		"journal.reverted.syncdir":       again,
		"journal.committed.syncdir":      next,
		"journal.undone.syncdir":         next,
		"identity.create.syncdir":        next,
		"journal.accept.settle":          "it is needed after a kill only: package journal tests that",
		"journal.accept.syncparent":      there,
		"journal.accept.open.syncdir":    "a record without its marker is carried out all the same, and whoever carries it out makes the directory durable first",
		"codes.spend.syncdir":            "accepting what the code was for makes the same directory durable; one that comes back without that has opened nothing",
		"networkd.persist.syncparent":    there,
		"journal.trial.syncdir":          "a restore whose mark is lost goes back at the next start, as it does with it",
		"bundle.syncparent":              next,
		"owners.enrol.syncdir":           next,
		"snapshot.syncparent":            next,
		"setup.note.syncdir":             "it is noted again at the next start; after another acceptance it is durable",
		"setup.done.syncdir":             "it is noted again at the next start; after another acceptance it is durable",
		"signed_in.syncdir":              "whoever signs in again is taken down again; that is asked for before an account is switched off",
		"receipt.settle.syncdir":         "it is needed after a kill only, by whoever has read the receipt since; one that is lost is written anew",
		"notices.add.syncdir":            next,
		"requests.begin.syncdir":         next,
		"requests.refuse.syncdir":        next,
		"requests.resume.syncdir":        next,
		"requests.ripe.syncdir":          next,
		"requests.done.syncdir":          "a request whose end is lost is mended at the next start, by the receipt",
		"encrypted.undo.syncdir":         next,
		"shadow.account.syncdir":         next,
		"hostname.persist.syncdir":       next,
		"hostname.undo.syncdir":          next,
		"codes.key.syncdir":              "no code was given out yet that needs the key",
	}
	// The masks of five units lie in one directory, one after the other.
	for _, id := range []string{"fail2ban", "firewalld", "nftables", "keepalived", "libvirt"} {
		all[id+".persist.syncparent"] = next
		if id != "libvirt" {
			all[id+".persist.syncdir"] = next
		}
		if id != "fail2ban" {
			all[id+".undo.syncdir"] = next // backwards
		}
	}
	return all
}

// group is the fsyncs of some names, and the runs in which they are missed: few
// steps for what is common to all settings, all of them for the adapters' own.
type group struct {
	names []string // what they begin with
	runs  []scenario
}

// groups are all; the first that has a name counts.
func groups() []group {
	forwards := func(k kind, acts ...act) scenario { return scenario{kind: k, acts: acts, ending: forward} }
	back := func(k kind, acts ...act) scenario { return scenario{kind: k, acts: acts, ending: verify} }
	proofs, trials := proofsAndWaits(virtual(), crashfs.Weak), restores(virtual(), crashfs.Weak)
	return []group{
		{[]string{"journal.trial.", "setup.done.", "receipt.settle."}, []scenario{trials[1], trials[5]}},
		{[]string{"bundle.", "setup."}, []scenario{forwards(virtual(), resets(hard)...)}},
		{[]string{"attempts.sign_in.", "signed_in."}, accounts(virtual(), crashfs.Weak)[:1]},
		{[]string{"recovery.", "snapshot."}, []scenario{forwards(administered(virtual()), append([]act{snapshotted()}, resets(reset.Credentials)...)...)}},
		{[]string{"attempts.code.", "codes.make.", "codes.spend.", "authenticator."}, []scenario{forwards(factored(linux()), given(), unfactored())}},
		{[]string{"requests."}, proofs[1:]},
		// The first receipt of all makes its directory, and what lies beside that durable.
		{[]string{"notices."}, []scenario{{kind: virtual(), before: resets(reset.Network), acts: resets(reset.Credentials), ending: forward}}},
		{[]string{"owners."}, []scenario{{kind: virtual(), policy: waiting, before: resets(reset.Network), acts: []act{awaited()}, ending: forward}}},
		{
			[]string{"attempts.", "baseline.", "codes.", "identity.", "journal.", "receipt."},
			[]scenario{forwards(virtual(), resets(reset.Credentials)...), back(virtual(), resets(reset.Network)...)},
		},
		{[]string{"shadow.account.", "shadow.unaccount."}, []scenario{forwards(taking(linux()), resets(hardAnew)...), back(taking(linux()), resets(hardAnew)...)}},
		{[]string{"hostname.", "shares."}, []scenario{forwards(linux(), resets(hard)...), back(linux(), resets(hard)...)}},
		// In a reset of all, the guests are next in the same directories.
		{[]string{"shadow.persist.", "samba.persist."}, []scenario{forwards(linux(), resets(reset.Credentials)...), back(linux(), resets(reset.All)...)}},
		{[]string{""}, []scenario{forwards(linux(), resets(reset.All)...), back(linux(), resets(reset.All)...)}},
	}
}

func groupOf(op string) int {
	return slices.IndexFunc(groups(), func(g group) bool {
		return slices.ContainsFunc(g.names, func(name string) bool { return strings.HasPrefix(op, name) })
	})
}

// A program that forgets one fsync is found out: each one that a reset does,
// forwards and back, but those that are explained above. The short run tries one
// of each sort.
func TestEveryFsyncIsNeeded(t *testing.T) {
	var all []string
	for i, g := range groups() {
		for _, s := range g.runs {
			synctest.Test(t, func(t *testing.T) {
				for _, op := range record(t, s).syncs {
					if groupOf(op) == i {
						all = append(all, op)
					}
				}
			})
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	var noticed atomic.Int64
	t.Run("fsyncs", func(t *testing.T) {
		for _, op := range all {
			if strings.HasPrefix(op, "memory.") || !*full && !slices.Contains(quick(), op) {
				continue
			}
			t.Run(op, func(t *testing.T) {
				t.Parallel()
				if missed(t, op) {
					noticed.Add(1)
				}
			})
		}
	})
	for op := range needless() {
		if !slices.Contains(all, op) {
			t.Errorf("no run has an fsync %s", op)
		}
	}
	t.Logf("%d fsyncs by name, %d explained, %d missed when left out", len(all), len(needless()), noticed.Load())
}

// missed reports whether anything is worse without an fsync, which must be so
// unless it is said why not.
func missed(t *testing.T, op string) bool {
	t.Helper()
	why, known := needless()[op]
	e := effort{first: 8, damage: 3, ways: math.MaxInt, second: 4}
	switch {
	case !*full:
		e = effort{first: 32, ways: 4, second: 8}
	case !known:
		e = effort{first: 32, damage: 1, ways: math.MaxInt, second: 8}
	}
	for _, s := range groups()[groupOf(op)].runs {
		s.mutant = op
		c, err := inFakeTime(t, s, e)
		if err == nil {
			continue
		}
		t.Logf("noticed after %d recoveries: %.300s", c.recoveries, err.Error())
		if known {
			t.Errorf("it is needed, against what is said: %s", why)
		}
		return true
	}
	if !known {
		t.Error("nothing is worse without it")
	}
	return false
}

// quick are those of the short run.
func quick() []string {
	return []string{"attempts.try.syncdir", "identity.create.sync", "journal.accept.syncdir", "shadow.persist.syncdir", "receipt.write.syncdir"}
}
