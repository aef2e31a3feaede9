package journal

// State is how far a transaction is.
type State string

// The states. What is *done* in a state is its row in Transitions.
const (
	Accepted  State = "accepted"
	Persisted State = "persisted"
	Activated State = "activated"
	Verified  State = "verified"
	OnTrial   State = "trial"     // all new, until somebody confirms it or its time is over
	Committed State = "committed" // final: all new
	Undoing   State = "undoing"
	Reverted  State = "reverted" // every file is old again
	Undone    State = "undone"   // final: all old
)

// Final reports whether nothing is left to do.
func (s State) Final() bool { return s == Committed || s == Undone }

// Action is what is done with every step of a record in one state.
type Action string

// The actions: the participants' methods, and nothing at all.
const (
	Persist  Action = "persist"
	Activate Action = "activate"
	Verify   Action = "verify"
	Undo     Action = "undo"
	None     Action = "none"
)

// Transition is what is done in one state and what that leads to.
type Transition struct {
	From     State
	Action   Action
	Backward bool // the steps are taken from the last to the first
	// Files: it only touches files, so it is done at boot before the doors open.
	Files bool
	Done  State
	// Trial takes the place of Done for a record that is on trial; empty: none does.
	Trial State
	// Waits: nothing leads on but Decide: Done when it is confirmed, else Failed.
	Waits  bool
	Failed State // empty: nothing can fail, or it stays where it is and is a half state
}

// Transitions is the whole state machine, one row for each state that is not
// final.
func Transitions() []Transition {
	return []Transition{
		{From: Accepted, Action: Persist, Files: true, Done: Persisted, Failed: Undoing},
		{From: Persisted, Action: Activate, Done: Activated, Failed: Undoing},
		{From: Activated, Action: Verify, Done: Verified, Failed: Undoing},
		{From: Verified, Action: None, Done: Committed, Trial: OnTrial},
		{From: OnTrial, Action: None, Waits: true, Done: Committed, Failed: Undoing},
		{From: Undoing, Action: Undo, Backward: true, Files: true, Done: Reverted},
		{From: Reverted, Action: Activate, Backward: true, Done: Undone, Failed: Undone},
	}
}

func transition(s State) (Transition, bool) {
	for _, t := range Transitions() {
		if t.From == s {
			return t, true
		}
	}
	return Transition{}, false
}

func (s State) known() bool {
	_, ok := transition(s)
	return ok || s.Final()
}

// backward reports whether a record in this state goes back.
func (s State) backward() bool { return s == Undoing || s == Reverted }
