package journal

import "testing"

// Every state has exactly one row or is final; every row leads on; every walk
// ends; and nothing that went back ever goes forward again.
func TestTransitionsAreComplete(t *testing.T) {
	all := []State{Accepted, Persisted, Activated, Verified, OnTrial, Committed, Undoing, Reverted, Undone}
	rows := make(map[State]Transition)
	for _, tr := range Transitions() {
		if _, twice := rows[tr.From]; twice {
			t.Errorf("%s has two rows", tr.From)
		}
		if tr.From.Final() || !tr.Done.known() || tr.Failed != "" && !tr.Failed.known() || tr.Trial != "" && !tr.Trial.known() {
			t.Errorf("row %+v leads nowhere", tr)
		}
		rows[tr.From] = tr
	}
	back := map[State]bool{Undoing: true, Reverted: true, Undone: true}
	for _, s := range all {
		tr, ok := rows[s]
		if ok == s.Final() {
			t.Errorf("%s: final %t, has a row %t", s, s.Final(), ok)
		}
		if !ok {
			continue
		}
		for _, next := range []State{tr.Done, tr.Failed, tr.Trial} {
			if back[s] && next != "" && !back[next] {
				t.Errorf("%s goes forward to %s", s, next)
			}
		}
		steps := 0
		for at := s; !at.Final(); at = rows[at].Done {
			if steps++; steps > len(all) {
				t.Fatalf("%s never ends", s)
			}
		}
	}
	if len(rows)+2 != len(all) {
		t.Errorf("%d rows for %d states", len(rows), len(all))
	}
	if State("halfway").known() {
		t.Error("an unknown state is known")
	}
}

func TestWhatHappensBeforeTheDoorsOpen(t *testing.T) {
	for _, tr := range Transitions() {
		if want := tr.Action == Persist || tr.Action == Undo; tr.Files != want {
			t.Errorf("%s: files = %t, want %t", tr.From, tr.Files, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(seal(Version, 7, []byte(`{"version":1,"id":"t","state":"accepted","steps":[{"name":"s","adapter":"a"}]}`+"\n")))
	f.Add([]byte("paperclip-journal 1 1 00\n{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		generation, r, err := decode(data)
		if err != nil {
			return
		}
		again, err := encode(generation, r)
		if err != nil {
			t.Fatal(err)
		}
		if g, _, err := decode(again); err != nil || g != generation {
			t.Fatalf("round trip: generation %d, err %v", g, err)
		}
	})
}
