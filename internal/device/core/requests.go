package core

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// PendingRequest is what a claimant left who must wait (D11), as it is on disk
// and as root is shown it. It holds no password: that is sent when it is resumed.
type PendingRequest struct {
	ID    string              `json:"id"`
	State access.RequestState `json:"state"`
	Key   ed25519.PublicKey   `json:"key"` // the claimant's: it alone resumes or withdraws
	Label string              `json:"label,omitempty"`
	Plan  reset.Plan          `json:"plan"`
	Begun time.Time           `json:"begun"`
	// Wait is what was left when it was last written down: until it is ripe, and
	// then until it expires.
	Wait access.Wait `json:"wait"`
}

const (
	// heartbeat is how often what has passed of a wait is written down: a power
	// cut lengthens the wait by that much at most.
	heartbeat = 5 * time.Minute
	// tryAgain is how soon it is looked again whether the time that has passed can
	// be measured, and what it brought about written down.
	tryAgain     = time.Minute
	requestsKept = 2 * access.MaxRequests // those that ended included
)

type requests struct {
	fsys opfs.FS
	file string
	kept requestsFile
	next time.Duration // when the next heartbeat is due, on the monotonic clock

	// again is when what could not be measured or written down is tried again, on
	// the same clock: every call of anybody lets time pass.
	again time.Duration
}

type requestsFile struct {
	Version  int              `json:"version"`
	Requests []PendingRequest `json:"requests"`
}

func loadRequests(fsys opfs.FS, dir string) (*requests, error) {
	r := &requests{fsys: fsys, file: path.Join(dir, "requests.json"), kept: requestsFile{Version: 1}}
	if err := readState(fsys, r.file, &r.kept); err != nil {
		return nil, err
	}
	if r.kept.Version != 1 {
		return nil, fmt.Errorf("%s is of version %d, not 1", r.file, r.kept.Version)
	}
	for _, q := range r.kept.Requests {
		if len(q.Key) != ed25519.PublicKeySize || !slices.Contains(access.RequestStates(), q.State) {
			return nil, fmt.Errorf("%s cannot be understood: a request in it is none", r.file)
		}
	}
	return r, nil
}

func (r *requests) save(op string, list []PendingRequest) error {
	for len(list) > requestsKept {
		i := slices.IndexFunc(list, func(q PendingRequest) bool { return !q.State.Pending() })
		list = slices.Delete(list, max(i, 0), max(i, 0)+1)
	}
	next := requestsFile{Version: 1, Requests: list}
	if err := writeState(r.fsys, op, r.file, next); err != nil {
		return err
	}
	r.kept = next
	return nil
}

func (r *requests) index(id string) int {
	return slices.IndexFunc(r.kept.Requests, func(q PendingRequest) bool { return q.ID == id })
}

// ofKey is the request of a key: the pending one, or the last that there was.
func (r *requests) ofKey(key ed25519.PublicKey) (PendingRequest, bool) {
	var last PendingRequest
	found := false
	for _, q := range r.kept.Requests {
		if q.Key.Equal(key) && (!found || !last.State.Pending()) {
			last, found = q, true
		}
	}
	return last, found
}

// pending counts those that can still come to something.
func (r *requests) pending() (n int) {
	for _, q := range r.kept.Requests {
		if q.State.Pending() {
			n++
		}
	}
	return n
}

// handle lets an event happen to a request, on disk.
func (r *requests) handle(id string, e access.RequestEvent, start string, up time.Duration) error {
	i := r.index(id)
	if i < 0 {
		return catalog.New("request_unknown")
	}
	next, ok := access.NextRequest(r.kept.Requests[i].State, e)
	if !ok {
		return catalog.New("request_over", string(r.kept.Requests[i].State))
	}
	list := slices.Clone(r.kept.Requests)
	list[i].State = next
	if next == access.RequestRipe {
		list[i].Wait = access.NewWait(access.RipeFor, start, up)
	}
	return r.save("requests."+string(eventOp(e)), list)
}

// eventOp is the event as a part of an operation's name.
func eventOp(e access.RequestEvent) string {
	return map[access.RequestEvent]string{
		access.WaitOver: "ripe", access.Resume: "resume", access.Committed: "done", access.Undone: "undone",
		access.Refuse: "refuse", access.Withdraw: "withdraw", access.Expire: "expire",
	}[e]
}

// leaveRequest takes down what a claimant asks for who must wait. The same key
// asking for the same again is answered with the request that it has; asking for
// something else, or once the settings are others, it has that one withdrawn and
// waits anew, from the beginning.
func (c *Core) leaveRequest(plan reset.Plan, key ed25519.PublicKey, label string) (deviceapi.CommitReply, error) {
	none := deviceapi.CommitReply{}
	length, ok := c.cfg.Policy.Wait()
	switch {
	case !ok:
		return none, catalog.New("internal")
	case len(key) != ed25519.PublicKeySize:
		return none, catalog.New("wait_needs_key")
	}
	start, up, err := c.cfg.Boot.Up()
	if err != nil {
		return none, catalog.New("preflight_failed", "the time that has passed cannot be measured").Because(err)
	}
	list := slices.Clone(c.requests.kept.Requests)
	old, ok := c.requests.ofKey(key)
	switch replaces := ok && old.State.Pending(); {
	case replaces && old.State == access.RequestCarried:
		return none, catalog.New("request_pending")
	case replaces && old.Plan.SameChanges(plan):
		return deviceapi.CommitReply{Request: old.ID, WaitSeconds: seconds(c.left(old, start, up))}, nil
	case replaces:
		i := c.requests.index(old.ID)
		if list[i].State, ok = access.NextRequest(old.State, access.Withdraw); !ok {
			return none, catalog.New("request_pending")
		}
		c.cfg.Log.Info("a request is replaced by its claimant's next", "request", old.ID)
	case c.requests.pending() >= access.MaxRequests:
		return none, catalog.New("requests_full")
	}
	id, err := randomID(c.cfg.Rand)
	if err != nil {
		return none, err
	}
	q := PendingRequest{
		ID: id, State: access.RequestWaiting, Key: slices.Clone(key), Label: label, Plan: plan,
		Begun: c.cfg.Clock.Now().UTC().Truncate(time.Second), Wait: access.NewWait(length, start, up),
	}
	if err := c.requests.save("requests.begin", append(list, q)); err != nil {
		return none, catalog.New("preflight_failed", "the request could not be kept").Because(err)
	}
	c.requests.next = c.cfg.Clock.Monotonic() + heartbeat
	c.cfg.Log.Info("a request waits", "claim", c.claimID, "request", id, "administrator", plan.Administrator, "scope", string(plan.Scope), "for", length.String())
	c.tell("notice_request_begun")
	c.publish()
	return deviceapi.CommitReply{Request: id, WaitSeconds: seconds(length)}, nil
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// left is how long a request that waits must wait still.
func (c *Core) left(q PendingRequest, start string, up time.Duration) time.Duration {
	if q.State != access.RequestWaiting {
		return 0
	}
	return q.Wait.At(start, up).Left
}

// passRequests lets time pass for the requests: what has waited long enough gets
// ripe, what nobody came for expires, and now and then it is written down how
// much has passed.
func (c *Core) passRequests() {
	now := c.cfg.Clock.Monotonic()
	if c.requests.pending() == 0 || now < c.requests.again {
		return
	}
	start, up, err := c.cfg.Boot.Up()
	if err != nil {
		c.requests.again = now + tryAgain
		c.cfg.Log.Error("the time that has passed cannot be measured; requests go on waiting", "error", err)
		return
	}
	for _, q := range slices.Clone(c.requests.kept.Requests) {
		event, waits := map[access.RequestState]access.RequestEvent{
			access.RequestWaiting: access.WaitOver, access.RequestRipe: access.Expire,
		}[q.State]
		if !waits || !q.Wait.At(start, up).Over() {
			continue
		}
		if err := c.requests.handle(q.ID, event, start, up); err != nil {
			c.requests.again = now + tryAgain
			c.cfg.Log.Error("a request could not be brought on", "request", q.ID, "error", err)
			continue
		}
		c.cfg.Log.Info("a request has waited", "request", q.ID, "event", string(event))
	}
	if now < c.requests.next {
		return
	}
	c.requests.next = now + heartbeat
	list := slices.Clone(c.requests.kept.Requests)
	for i := range list {
		if list[i].State.Pending() {
			list[i].Wait = list[i].Wait.At(start, up)
		}
	}
	if err := c.requests.save("requests.heartbeat", list); err != nil {
		c.cfg.Log.Error("what has passed of a wait could not be written down", "error", err)
	}
}

// nextRequest is when time must pass for the requests again.
func (c *Core) nextRequest() (in time.Duration, any bool) {
	if c.requests.pending() == 0 {
		return 0, false
	}
	now := c.cfg.Clock.Monotonic()
	if now < c.requests.again {
		return c.requests.again - now, true
	}
	in = c.requests.next - now
	start, up, err := c.cfg.Boot.Up()
	if err != nil {
		return tryAgain, true
	}
	for _, q := range c.requests.kept.Requests {
		if q.State == access.RequestWaiting || q.State == access.RequestRipe {
			in = min(in, q.Wait.At(start, up).Left)
		}
	}
	return max(in, time.Second), true
}

// mendRequests says at the start how a request ended that was being carried out
// when the program stopped: by the last transaction, or else not at all.
func (c *Core) mendRequests(last *journal.Record) {
	for _, q := range slices.Clone(c.requests.kept.Requests) {
		if q.State != access.RequestCarried {
			continue
		}
		event := access.Undone
		if last != nil && last.Claim == q.ID && last.State == journal.Committed {
			event = access.Committed
		}
		c.requestEvent(q.ID, event)
	}
}

// requestEvent lets a transaction's end happen to its request.
func (c *Core) requestEvent(id string, e access.RequestEvent) {
	start, up, err := c.cfg.Boot.Up()
	if err == nil {
		err = c.requests.handle(id, e, start, up)
	}
	if err != nil {
		c.cfg.Log.Error("a request could not be brought on", "request", id, "event", string(e), "error", err)
	}
}

// requestReply is what the claimant's key is told of its request.
func (c *Core) requestReply(key ed25519.PublicKey, id string) (deviceapi.RequestReply, error) {
	c.passRequests()
	q, ok := c.requests.ofKey(key)
	if i := c.requests.index(id); i >= 0 && c.requests.kept.Requests[i].Key.Equal(key) {
		q, ok = c.requests.kept.Requests[i], true
	} else if id != "" {
		ok = false
	}
	if !ok {
		return deviceapi.RequestReply{}, catalog.New("request_unknown")
	}
	start, up, err := c.cfg.Boot.Up()
	if err != nil {
		return deviceapi.RequestReply{}, err
	}
	return deviceapi.RequestReply{Request: q.ID, State: q.State, Plan: q.Plan, WaitSeconds: seconds(c.left(q, start, up))}, nil
}

// withdraw ends a request at its claimant's wish.
func (c *Core) withdraw(key ed25519.PublicKey, id string) error {
	r, err := c.requestReply(key, id)
	if err != nil {
		return err
	}
	start, up, err := c.cfg.Boot.Up()
	if err != nil {
		return err
	}
	return c.requests.handle(r.Request, access.Withdraw, start, up)
}

// refuseRequest ends a request at an owner's wish; the empty id means the only
// one that is pending.
func (c *Core) refuseRequest(id string) error {
	c.passRequests()
	if id == "" {
		if c.requests.pending() != 1 {
			return catalog.New("request_unknown")
		}
		i := slices.IndexFunc(c.requests.kept.Requests, func(q PendingRequest) bool { return q.State.Pending() })
		id = c.requests.kept.Requests[i].ID
	}
	start, up, err := c.cfg.Boot.Up()
	if err != nil {
		return err
	}
	if err := c.requests.handle(id, access.Refuse, start, up); err != nil {
		return err
	}
	c.cfg.Log.Info("a request is refused", "request", id)
	c.tell("notice_request_refused")
	c.publish()
	return nil
}

// ripe refuses a request that cannot be resumed now.
func ripe(r deviceapi.RequestReply) error {
	switch r.State {
	case access.RequestRipe:
		return nil
	case access.RequestWaiting:
		return catalog.New("wait_not_over", (time.Duration(r.WaitSeconds) * time.Second).String())
	default:
		return catalog.New("request_over", string(r.State))
	}
}

// resume carries out what was asked for, after the wait: the same changes, with
// the password that is sent only now.
func (c *Core) resume(ctx context.Context, key ed25519.PublicKey, q deviceapi.ResumeCall) (deviceapi.ResumeReply, error) {
	none, label := deviceapi.ResumeReply{}, ""
	ctx = opfs.KeepAnswers(ctx)
	r, err := in(ctx, c, func() (r deviceapi.RequestReply, err error) {
		if r, err = c.requestReply(key, q.Request); err == nil {
			label = c.requests.kept.Requests[c.requests.index(r.Request)].Label
		}
		return r, err
	})
	if err != nil {
		return none, err
	}
	if err := ripe(r); err != nil {
		return none, err
	}
	s, err := surveyed(ctx, c.cfg.Adapters)
	if err != nil {
		return none, err
	}
	plan, err := c.policyPlan(ctx, s, deviceapi.PlanCall{
		Mode: r.Plan.Mode, Scope: r.Plan.Scope, Administrator: r.Plan.Administrator, SecondFactor: r.Plan.SecondFactor, Wizard: r.Plan.Wizard,
	})
	if err != nil {
		return none, err
	}
	switch demand := c.cfg.Policy.Asks(plan.Request().Effects()); {
	case demand != access.AfterWait && demand != access.PresenceIsEnough:
		return none, catalog.New("second_proof_needed") // the owner's choice is another one now
	case !plan.SameChanges(r.Plan):
		return none, catalog.New("plan_changed")
	}
	if err := c.judge(s, plan, q.NewPassword); err != nil {
		return none, err
	}
	t, err := c.accept(ctx, plan, q.NewPassword, authority{claim: r.Request, ownerKey: key, ownerLabel: label}, func() error {
		again, err := c.requestReply(key, r.Request)
		if err != nil {
			return err
		}
		if err := ripe(again); err != nil {
			return err
		}
		start, up, err := c.cfg.Boot.Up()
		if err != nil {
			return err
		}
		return c.requests.handle(r.Request, access.Resume, start, up)
	})
	if err != nil {
		return none, c.do(c.ctx, func() error {
			if i := c.requests.index(r.Request); i >= 0 && c.requests.kept.Requests[i].State == access.RequestCarried && !c.busy() {
				c.requestEvent(r.Request, access.Undone) // it did not get as far as the journal
			}
			return err
		})
	}
	return deviceapi.ResumeReply{Transaction: t.id, Plan: plan, Hash: plan.Hash()}, nil
}

// RequestList is what ReadRequests answers.
type RequestList struct {
	Requests []ListedRequest `json:"requests"`
}

// ListedRequest is a request as root is shown it.
type ListedRequest struct {
	PendingRequest
	LeftSeconds int `json:"left_seconds"` // of its wait, now
}

func (c *Core) requestList() (RequestList, error) {
	list := RequestList{Requests: []ListedRequest{}}
	start, up, err := c.cfg.Boot.Up()
	if err != nil {
		return list, err
	}
	for _, q := range c.requests.kept.Requests {
		list.Requests = append(list.Requests, ListedRequest{q, seconds(c.left(q, start, up))})
	}
	return list, nil
}
