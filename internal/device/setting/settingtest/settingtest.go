// Package settingtest is the contract of package setting as a test: every
// adapter runs it, the real ones over files in a temporary directory and the
// lab's in memory.
//
// It knows nothing about any one setting. What it checks is what the journal
// relies on: a step is prepared without side effects, may be carried out any
// number of times, starts only from the recorded old value, can be taken back,
// and holds no password.
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

// System is one fresh system with one adapter on it.
type System struct {
	Adapter setting.Adapter
	// Request is one that changes something here.
	Request setting.Request
	// Idle is a request that does not concern the adapter.
	Idle setting.Request
	// Stored is what is stored now, as bytes that are equal when, and only
	// when, nothing has changed: other settings' content included.
	Stored func(testing.TB) []byte
	// Meddle stores a third value for the setting, as another program would.
	// Nil where nobody else can write it (a file of our own still can be).
	Meddle func(testing.TB)
	// Restart makes an adapter anew over the same stored state, as after a
	// power cut. Nil: Adapter itself is used again.
	Restart func(testing.TB) setting.Adapter
	// Simulated: its files are not this machine's.
	Simulated bool
	// Silent: Read fills nothing, because another adapter reads that part.
	Silent bool
	// Change is what a restore is to take back, for a setting.Keeper: the nth
	// value that somebody sets, from 1. Nil: what Request does, and Meddle.
	Change func(t testing.TB, n int)
}

func (s System) again(t testing.TB) setting.Adapter {
	if s.Restart == nil {
		return s.Adapter
	}
	return s.Restart(t)
}

// Run runs the contract, that of a setting.Keeper too for an adapter that is
// one. build makes a fresh system for each test.
func Run(t *testing.T, build func(testing.TB) System) {
	t.Run("Detect", func(t *testing.T) { detect(t, build(t)) })
	t.Run("PrepareHasNoSideEffect", func(t *testing.T) { prepare(t, build(t)) })
	t.Run("Idle", func(t *testing.T) { idle(t, build(t)) })
	t.Run("Forward", func(t *testing.T) { forward(t, build(t)) })
	t.Run("UndoIsExact", func(t *testing.T) { undo(t, build(t)) })
	t.Run("UndoOfNothing", func(t *testing.T) { undoNothing(t, build(t)) })
	t.Run("ThirdValue", func(t *testing.T) { thirdValue(t, build(t)) })
	t.Run("OnlyContentChanges", func(t *testing.T) { attributes(t, build) })
	t.Run("VerifyIsNotBlind", func(t *testing.T) { verify(t, build(t)) })
	t.Run("ForeignStep", func(t *testing.T) { foreign(t, build(t)) })
	t.Run("NoPasswordInStep", func(t *testing.T) { noPassword(t, build(t)) })
	if _, ok := build(t).Adapter.(setting.Keeper); ok {
		t.Run("Keep", func(t *testing.T) { keep(t, build) })
	}
}

// CarryOut prepares what a request asks for and carries it out, as the journal
// does; the test ends where a step does not work.
func CarryOut(t testing.TB, a setting.Adapter, r setting.Request) []reset.Step {
	t.Helper()
	steps, err := a.Prepare(t.Context(), r)
	must(t, "prepare", err)
	for _, st := range steps {
		must(t, st.Name+": persist", a.Persist(t.Context(), st))
		must(t, st.Name+": activate", a.Activate(t.Context(), st))
		must(t, st.Name+": verify", a.Verify(t.Context(), st))
	}
	return steps
}

func steps(t testing.TB, s System) []reset.Step {
	t.Helper()
	prepared, err := s.Adapter.Prepare(t.Context(), s.Request)
	if err != nil {
		t.Fatal("prepare:", err)
	}
	if len(prepared) == 0 {
		t.Fatal("prepare gave no step for a request that changes something")
	}
	// Through JSON, as through the journal.
	data, err := json.Marshal(prepared)
	if err != nil {
		t.Fatal(err)
	}
	var back []reset.Step
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func detect(t *testing.T, s System) {
	if s.Adapter.ID() == "" || len(s.Adapter.Effects()) == 0 {
		t.Fatal("the adapter has no id or no effects")
	}
	found, err := s.Adapter.Detect(t.Context())
	must(t, "detect", err)
	if !found.Present || found.What == "" {
		t.Fatalf("found %+v on a system that has it", found)
	}
	var before, after nas.Settings
	must(t, "read", s.Adapter.Read(t.Context(), &before))
	must(t, "read", s.Adapter.Read(t.Context(), &after))
	a, _ := json.Marshal(before)
	b, _ := json.Marshal(after)
	if !bytes.Equal(a, b) || (string(a) == "{}") != s.Silent {
		t.Errorf("read %s, then %s", a, b)
	}
}

func prepare(t *testing.T, s System) {
	before := s.Stored(t)
	names := make(map[string]bool)
	for _, st := range steps(t, s) {
		if st.Adapter != s.Adapter.ID() || st.Name == "" || names[st.Name] || len(st.Effects) == 0 {
			t.Errorf("step %+v lacks a name of its own, its adapter or effects", st)
		}
		names[st.Name] = true
	}
	if !bytes.Equal(before, s.Stored(t)) {
		t.Error("prepare changed something")
	}
}

func idle(t *testing.T, s System) {
	got, err := s.Adapter.Prepare(t.Context(), s.Idle)
	if err != nil || len(got) != 0 {
		t.Errorf("steps %v, err %v for a request that does not concern it", got, err)
	}
}

// forward does everything twice, the second time as after a power cut.
func forward(t *testing.T, s System) {
	before := s.Stored(t)
	all := steps(t, s)
	for _, st := range all {
		must(t, "persist", s.Adapter.Persist(t.Context(), st))
	}
	after := s.Stored(t)
	if bytes.Equal(before, after) {
		t.Fatal("persist changed nothing")
	}
	again := s.again(t)
	for _, st := range all {
		must(t, "persist again", again.Persist(t.Context(), st))
	}
	if !bytes.Equal(after, s.Stored(t)) {
		t.Error("persisting twice is not persisting once")
	}
	for range 2 {
		for _, st := range all {
			must(t, "activate", again.Activate(t.Context(), st))
			must(t, "verify", again.Verify(t.Context(), st))
		}
	}
	if !bytes.Equal(after, s.Stored(t)) {
		t.Error("activate or verify changed what is stored")
	}
}

func undo(t *testing.T, s System) {
	before := s.Stored(t)
	all := steps(t, s)
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

func undoNothing(t *testing.T, s System) {
	before := s.Stored(t)
	for _, st := range steps(t, s) {
		must(t, "undo", s.Adapter.Undo(t.Context(), st))
	}
	if !bytes.Equal(before, s.Stored(t)) {
		t.Error("undoing what was not done changed something")
	}
}

// thirdValue is never overwritten, neither forward nor back.
func thirdValue(t *testing.T, s System) {
	if s.Meddle == nil {
		t.Skip("nobody else can write this setting")
	}
	all := steps(t, s)
	s.Meddle(t)
	theirs := s.Stored(t)
	for name, do := range map[string]func(reset.Step) error{
		"persist": func(st reset.Step) error { return s.Adapter.Persist(t.Context(), st) },
		"undo":    func(st reset.Step) error { return s.Adapter.Undo(t.Context(), st) },
	} {
		refused := false
		for _, st := range all {
			err := do(st)
			refused = refused || errors.Is(err, setting.ErrThirdValue)
			if err != nil && !errors.Is(err, setting.ErrThirdValue) {
				t.Errorf("%s: err = %v, want ErrThirdValue", name, err)
			}
		}
		if !refused {
			t.Errorf("%s: nothing was refused", name)
		}
		if len(all) == 1 && !bytes.Equal(theirs, s.Stored(t)) {
			t.Errorf("%s changed somebody else's value", name)
		}
	}
}

func verify(t *testing.T, s System) {
	failed := false
	for _, st := range steps(t, s) {
		failed = failed || s.Adapter.Verify(t.Context(), st) != nil
	}
	if !failed {
		t.Error("verify is content with the old value")
	}
}

func foreign(t *testing.T, s System) {
	before := s.Stored(t)
	st := reset.Step{Name: "not yours", Adapter: s.Adapter.ID(), Effects: s.Adapter.Effects(), Data: json.RawMessage(`{"unexpected":true}`)}
	for name, err := range map[string]error{
		"persist": s.Adapter.Persist(t.Context(), st),
		"verify":  s.Adapter.Verify(t.Context(), st),
		"undo":    s.Adapter.Undo(t.Context(), st),
	} {
		if err == nil {
			t.Errorf("%s took a step that it did not prepare", name)
		}
	}
	if !bytes.Equal(before, s.Stored(t)) {
		t.Error("a foreign step changed something")
	}
}

func noPassword(t *testing.T, s System) {
	password := s.Request.Password.Reveal()
	if password == "" {
		t.Skip("this request sets no password")
	}
	data, err := json.Marshal(steps(t, s))
	must(t, "marshal", err)
	if strings.Contains(string(data), password) {
		t.Error("the step holds the password")
	}
	for _, st := range steps(t, s) {
		must(t, "persist", s.Adapter.Persist(t.Context(), st))
	}
	if bytes.Contains(s.Stored(t), []byte(password)) {
		t.Error("the password is stored as it is")
	}
}
