package access

import (
	"fmt"
	"strings"
	"time"
)

// RequestState is where a pending request stands: a claimant who proved presence
// has asked for what the owner's policy allows only after a wait (D11).
type RequestState string

// The states of a request. The first three are pending.
const (
	RequestWaiting   RequestState = "waiting"
	RequestRipe      RequestState = "ripe" // the wait is over: its key may carry it out
	RequestCarried   RequestState = "being carried out"
	RequestDone      RequestState = "done"
	RequestRefused   RequestState = "refused"   // by an owner
	RequestWithdrawn RequestState = "withdrawn" // by the claimant
	RequestExpired   RequestState = "expired"   // nobody came for it
)

// RequestEvent is what can happen to a request.
type RequestEvent string

// The events of a request's life.
const (
	WaitOver  RequestEvent = "wait over"
	Resume    RequestEvent = "resumed by its key"
	Committed RequestEvent = "committed"
	Undone    RequestEvent = "undone"
	Refuse    RequestEvent = "refused by an owner"
	Withdraw  RequestEvent = "withdrawn by its key"
	Expire    RequestEvent = "not resumed in time"
)

// RequestStates lists the states.
func RequestStates() []RequestState {
	return []RequestState{RequestWaiting, RequestRipe, RequestCarried, RequestDone, RequestRefused, RequestWithdrawn, RequestExpired}
}

// RequestEvents lists the events.
func RequestEvents() []RequestEvent {
	return []RequestEvent{WaitOver, Resume, Committed, Undone, Refuse, Withdraw, Expire}
}

// Pending reports whether a request in this state can still come to something.
func (s RequestState) Pending() bool {
	return s == RequestWaiting || s == RequestRipe || s == RequestCarried
}

// requestTable is the life of a request. Nothing is carried out but what is
// ripe, nothing gets ripe but by its wait, and an owner can refuse until then
// and after: only a transaction that was accepted goes to its end.
func requestTable() map[RequestState]map[RequestEvent]RequestState {
	return map[RequestState]map[RequestEvent]RequestState{
		RequestWaiting: {WaitOver: RequestRipe, Refuse: RequestRefused, Withdraw: RequestWithdrawn},
		RequestRipe:    {Resume: RequestCarried, Refuse: RequestRefused, Withdraw: RequestWithdrawn, Expire: RequestExpired},
		RequestCarried: {Committed: RequestDone, Undone: RequestRipe},
	}
}

// NextRequest looks a transition up. ok is false where there is none.
func NextRequest(s RequestState, e RequestEvent) (next RequestState, ok bool) {
	next, ok = requestTable()[s][e]
	return next, ok
}

// RequestDiagram draws the table as a Mermaid state diagram.
func RequestDiagram() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n    [*] --> waiting\n")
	name := func(s RequestState) string { return strings.ReplaceAll(string(s), " ", "_") }
	for _, s := range RequestStates() {
		for _, e := range RequestEvents() {
			if next, ok := NextRequest(s, e); ok {
				fmt.Fprintf(&b, "    %s --> %s : %s\n", name(s), name(next), e)
			}
		}
		if !s.Pending() {
			fmt.Fprintf(&b, "    %s --> [*]\n", name(s))
		}
	}
	return b.String()
}

const (
	// MaxRequests is how many requests can be pending on one device.
	MaxRequests = 16
	// RipeFor is how long a request whose wait is over stays: what nobody comes
	// for must not stand open for good.
	RipeFor = 7 * 24 * time.Hour
)
