package settingtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// keep runs the contract of a setting.Keeper (R6): what Save gave,
// PrepareRestore brings back to the byte, by steps like any other.
func keep(t *testing.T, build func(testing.TB) System) {
	t.Run("SaveHasNoSideEffect", func(t *testing.T) { save(t, build(t)) })
	t.Run("RestoreOfWhatIsSo", func(t *testing.T) { soAlready(t, build(t)) })
	t.Run("Restore", func(t *testing.T) { restore(t, build(t)) })
	t.Run("RestoreAndBack", func(t *testing.T) { restoreAndBack(t, build(t)) })
	t.Run("RestoreThirdValue", func(t *testing.T) { restoreThird(t, build(t)) })
	t.Run("SavedIsDamaged", func(t *testing.T) { damaged(t, build(t)) })
}

func keeper(t testing.TB, s System) setting.Keeper {
	t.Helper()
	k, ok := s.again(t).(setting.Keeper)
	if !ok {
		t.Fatalf("%s keeps nothing for a snapshot", s.Adapter.ID())
	}
	return k
}

func saveOf(t testing.TB, s System) json.RawMessage {
	t.Helper()
	raw, err := keeper(t, s).Save(t.Context())
	must(t, "save", err)
	return raw
}

// change is what the snapshot is for: a reset, or for a setting that a reset
// does not change back what s.Change does.
func (s System) change(t testing.TB) {
	t.Helper()
	if s.Change != nil {
		s.Change(t, 1)
		return
	}
	carryOut(t, s, steps(t, s))
}

func carryOut(t testing.TB, s System, all []reset.Step) {
	t.Helper()
	a := s.again(t)
	for _, st := range all {
		must(t, "persist", a.Persist(t.Context(), st))
	}
	a = s.again(t)
	for range 2 {
		for _, st := range all {
			must(t, "persist again", a.Persist(t.Context(), st))
			must(t, "activate", a.Activate(t.Context(), st))
			must(t, "verify", a.Verify(t.Context(), st))
		}
	}
}

func restores(t testing.TB, s System, raw json.RawMessage) []reset.Step {
	t.Helper()
	all, err := keeper(t, s).PrepareRestore(t.Context(), raw)
	must(t, "prepare a restore", err)
	data, err := json.Marshal(all)
	must(t, "marshal", err)
	var back []reset.Step
	must(t, "unmarshal", json.Unmarshal(data, &back))
	return back
}

func save(t *testing.T, s System) {
	before := s.Stored(t)
	first, second := saveOf(t, s), saveOf(t, s)
	if !bytes.Equal(first, second) {
		t.Errorf("saved %s, then %s", first, second)
	}
	if !json.Valid(first) || len(first) == 0 {
		t.Errorf("saved %q, which is no JSON", first)
	}
	if !bytes.Equal(before, s.Stored(t)) {
		t.Error("save changed something")
	}
}

func soAlready(t *testing.T, s System) {
	if all := restores(t, s, saveOf(t, s)); len(all) != 0 {
		t.Errorf("restoring what is so gives %d steps: %s", len(all), all[0].Data)
	}
}

func restore(t *testing.T, s System) {
	stored := s.Stored(t)
	then := saveOf(t, s)
	var settings, again nas.Settings
	must(t, "read", s.Adapter.Read(t.Context(), &settings))
	s.change(t)
	before := s.Stored(t)
	all := restores(t, s, then)
	if len(all) == 0 {
		t.Fatal("nothing is to be restored")
	}
	names := make(map[string]bool)
	for _, st := range all {
		if st.Adapter != s.Adapter.ID() || st.Name == "" || names[st.Name] || len(st.Effects) == 0 {
			t.Errorf("step %+v lacks a name of its own, its adapter or effects", st)
		}
		names[st.Name] = true
	}
	if !bytes.Equal(before, s.Stored(t)) {
		t.Fatal("preparing a restore changed something")
	}
	failed := false
	for _, st := range all {
		failed = failed || s.Adapter.Verify(t.Context(), st) != nil
	}
	if !failed {
		t.Error("verify is content before the restore")
	}
	carryOut(t, s, all)
	if now := saveOf(t, s); !bytes.Equal(then, now) {
		t.Errorf("not as saved\nthen: %s\nnow:  %s", then, now)
	}
	if now := s.Stored(t); !bytes.Equal(stored, now) {
		t.Errorf("not stored as it was\nthen: %s\nnow:  %s", stored, now)
	}
	if s.Change == nil { // else Read may show what a snapshot does not hold
		must(t, "read", s.again(t).Read(t.Context(), &again))
		a, _ := json.Marshal(settings)
		b, _ := json.Marshal(again)
		if !bytes.Equal(a, b) {
			t.Errorf("the settings were %s and are %s", a, b)
		}
	}
	if left := restores(t, s, then); len(left) != 0 {
		t.Errorf("after a restore %d steps are left: %s", len(left), left[0].Data)
	}
}

func restoreAndBack(t *testing.T, s System) {
	then := saveOf(t, s)
	s.change(t)
	before := s.Stored(t)
	all := restores(t, s, then)
	for _, st := range all {
		must(t, "persist", s.Adapter.Persist(t.Context(), st))
	}
	again := s.again(t)
	for range 2 {
		for _, st := range all {
			must(t, "undo", again.Undo(t.Context(), st))
			must(t, "activate the old value", again.Activate(t.Context(), st))
		}
		if after := s.Stored(t); !bytes.Equal(before, after) {
			t.Fatalf("not as before\nbefore: %q\nafter:  %q", before, after)
		}
	}
}

// A value that somebody sets between plan and restore is theirs.
func restoreThird(t *testing.T, s System) {
	meddle := s.Meddle
	if s.Change != nil {
		meddle = func(t testing.TB) { s.Change(t, 2) }
	}
	if meddle == nil {
		t.Skip("nobody else can write this setting")
	}
	then := saveOf(t, s)
	s.change(t)
	all := restores(t, s, then)
	meddle(t)
	theirs := s.Stored(t)
	refused := false
	for _, st := range all {
		err := s.Adapter.Persist(t.Context(), st)
		refused = refused || errors.Is(err, setting.ErrThirdValue)
		if err != nil && !errors.Is(err, setting.ErrThirdValue) {
			t.Errorf("err = %v, want ErrThirdValue", err)
		}
	}
	if !refused {
		t.Error("nothing was refused")
	}
	if len(all) == 1 && !bytes.Equal(theirs, s.Stored(t)) {
		t.Error("somebody else's value was overwritten")
	}
}

func damaged(t *testing.T, s System) {
	good := string(saveOf(t, s))
	s.change(t)
	before := s.Stored(t)
	refused := func(name string, raw json.RawMessage) {
		all, err := keeper(t, s).PrepareRestore(t.Context(), raw)
		if !errors.Is(err, setting.ErrSaved) || len(all) != 0 {
			t.Errorf("%s: %d steps, err = %v, want ErrSaved", name, len(all), err)
		}
	}
	for name, raw := range map[string]string{
		"nothing":           "",
		"null":              "null",
		"no JSON":           "\x00\xff",
		"a list":            "[]",
		"empty":             "{}",
		"truncated":         good[:len(good)*2/3],
		"a newer version":   strings.Replace(good, `"version":1`, `"version":2`, 1),
		"no version":        strings.Replace(good, `"version":1`, `"version":0`, 1),
		"another adapter's": strings.Replace(good, `"adapter":"`, `"adapter":"x`, 1),
		"an unknown field":  strings.Replace(good, `"value":{`, `"value":{"paperclip-test":1,`, 1),
		"no value":          good[:strings.Index(good, `"value":`)] + `"value":{}}`,
		"with a tail":       good + "x",
	} {
		refused(name, json.RawMessage(raw))
	}
	huge := bytes.Repeat([]byte("x"), 9<<20) // and no copy of it: the race detector pays for each
	copy(huge, `{"version":1,"adapter":"`)
	copy(huge[len(huge)-2:], `"}`)
	refused("huge", huge)
	if !bytes.Equal(before, s.Stored(t)) {
		t.Error("a refused restore changed something")
	}
}
