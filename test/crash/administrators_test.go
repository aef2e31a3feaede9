package crash

import (
	"strings"
	"testing"

	"github.com/go-crypt/crypt/algorithm/shacrypt"

	"github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/opfs/crashfs"
)

const (
	rootPassword = "what root has known long"
	rootsNew     = "orange kettle 3 moths"
)

// administered is a NAS on which Anna and root can sign in, with passwords that
// they know: whatever happens to one account, an administrator has a way in.
func administered(k kind) kind {
	files := k.files
	k.name += " with two administrators"
	k.opens = map[string][]string{anna: {oldPassword, newPassword}, "root": {rootPassword, rootsNew}}
	k.wayIn = true
	k.files = func(t testing.TB) map[string]string {
		all := files(t)
		if text, ok := all[memoryFile]; ok {
			all[memoryFile] = enabledInMemory(t, text)
			return all
		}
		lines := strings.Split(all["/etc/shadow"], "\n")
		for i, line := range lines {
			switch user, _, _ := strings.Cut(line, ":"); user {
			case anna:
				lines[i] = "anna:" + hashed(t, oldPassword) + ":19000:0:99999:7:::"
			case "root":
				lines[i] = "root:" + hashed(t, rootPassword) + ":19000:0:99999:7:::"
			}
		}
		all["/etc/shadow"] = strings.Join(lines, "\n")
		return all
	}
	return k
}

// hashed is a cheap hash of a password, as crypt(3) has it.
func hashed(t testing.TB, password string) string {
	t.Helper()
	h, err := shacrypt.New(shacrypt.WithVariant(shacrypt.VariantSHA512), shacrypt.WithIterations(1000))
	if err != nil {
		t.Fatal(err)
	}
	d, err := h.Hash(password)
	if err != nil {
		t.Fatal(err)
	}
	return d.Encode()
}

func enabledInMemory(t testing.TB, text string) string {
	t.Helper()
	return changedInMemory(t, text, func(s *memory.State) {
		for i, a := range s.Settings.Accounts {
			password, known := map[string]string{anna: oldPassword, "root": rootPassword}[a.Name]
			if !known {
				continue
			}
			s.Settings.Accounts[i].Enabled = true
			s.Hashes[a.Name] = memoryHash(t, password)
		}
	})
}

// factored is a NAS on which Anna has a second factor.
func factored(k kind) kind {
	files := k.files
	k.files = func(t testing.TB) map[string]string {
		all := files(t)
		if text, ok := all[memoryFile]; ok { // the Debian NAS has one anyway
			all[memoryFile] = changedInMemory(t, text, func(s *memory.State) { s.Settings.Accounts[0].SecondFactor = true })
		}
		return all
	}
	return k
}

// restores are restores with every end that a trial can have: of a snapshot, and
// of what the device kept before a hard reset.
func restores(k kind, m crashfs.Model) []scenario {
	var all []scenario
	for _, end := range []act{confirmed(), takenBack(), lapsed(), restarted()} {
		all = append(all,
			scenario{kind: administered(k), model: m, before: append([]act{snapshotted()}, resets(reset.All)...), acts: []act{end}, ending: forward},
			scenario{kind: k, model: m, before: resets(hard), acts: []act{end}, ending: forward})
	}
	back := restore("not verified", false, nil) // it goes back by itself
	return append(all, scenario{kind: k, model: m, before: resets(hard), acts: []act{back}, ending: verify})
}

// accounts are an administrator's changes of accounts.
func accounts(k kind, m crashfs.Model) []scenario {
	return []scenario{
		{kind: administered(k), model: m, ending: forward, acts: []act{
			changed(anna, oldPassword, "root", reset.SetPassword, rootsNew),
			changed(anna, oldPassword, anna, reset.SetPassword, newPassword),
		}},
		{kind: administered(k), model: m, ending: forward, acts: []act{
			changed(anna, oldPassword, "root", reset.SwitchOff, ""),
			changed(anna, oldPassword, "root", reset.SwitchOn, ""),
		}},
	}
}

// proofsAndWaits are resets that need more than presence.
func proofsAndWaits(k kind, m crashfs.Model) []scenario {
	return []scenario{
		{kind: factored(k), model: m, before: []act{given()}, acts: []act{unfactored()}, ending: forward},
		{kind: k, model: m, policy: waiting, acts: []act{awaited()}, ending: forward},
		{kind: k, model: m, policy: waiting, acts: []act{refused()}, ending: forward},
	}
}
