package rescue

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/owner/keys"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// The steps from finding a NAS to proving presence. Nothing on the NAS is
// changed by any of them.

const (
	softHold  = 4 * time.Second
	closeHold = 11 * time.Second
	shortHold = 300 * time.Millisecond

	lookTime = 5 * time.Second // for a NAS that moved
	lateTime = time.Second     // for its other addresses, once it has answered at one

	// maxWrong bounds how many codes are tried in one rescue. Whoever sits
	// between us and the NAS could guess once with each.
	maxWrong = 10
)

func doFind(ctx context.Context, r *run) error {
	target := r.state.Target
	if r.state.KeyID != "" {
		target = "" // resumed: by its key, wherever it is now
	}
	found, err := r.cfg.Finder.Find(ctx, target)
	if err != nil {
		return pressFirst(err)
	}
	if r.state.KeyID != "" {
		found = again(found, r.state)
		target = r.state.Device
	}
	switch {
	case len(found) == 0 && target == "":
		return pressFirst(catalog.New("none_found"))
	case len(found) == 0:
		return pressFirst(catalog.New("target_unknown", target))
	case len(found) == 1:
		r.nas = found[0]
	case target != "":
		return catalog.New("target_ambiguous", target)
	default:
		r.nas, err = r.chooseNAS(ctx, found)
	}
	return err
}

// pressFirst adds the way out where a NAS cannot be reached at all, since its
// own address is of another network: an open claim has an address of its own.
func pressFirst(err error) error {
	p, ok := errors.AsType[catalog.Problem](err)
	if !ok || p.ID != "unreachable" && p.Exit != catalog.NotFound {
		return err
	}
	p.WhatToDo += " A NAS with Paperclip whose address does not fit your network takes one that does while a claim is open: hold its reset button about 4 seconds, let go at the beep, and run this again."
	return p
}

// again picks the NAS of an interrupted rescue out of those found: by the key
// id it announces, else by a MAC, which is a hint until its key was seen.
func again(found []NAS, st State) []NAS {
	var byKey, byMAC []NAS
	for _, n := range found {
		switch {
		case n.KeyID == st.KeyID:
			byKey = append(byKey, n)
		case slices.ContainsFunc(n.MACs, func(m string) bool { return slices.Contains(st.MACs, m) }):
			byMAC = append(byMAC, n)
		}
	}
	if len(byKey) > 0 {
		return byKey[:1]
	}
	return byMAC
}

// chooseNAS picks one where no target was given and several were found: the one
// that the person chooses, or where nobody can be asked the only one with
// Paperclip.
func (r *run) chooseNAS(ctx context.Context, found []NAS) (NAS, error) {
	q := Question{ID: AskTarget, Text: "Which of these is your NAS?"}
	var native []NAS
	for i, n := range found {
		id := fmt.Sprint(i + 1)
		q.Options = append(q.Options, Option{ID: id, Text: describeNAS(n)})
		if n.Native {
			native, q.Default = append(native, n), id
		}
	}
	if len(native) != 1 {
		q.Default = ""
	}
	a, err := r.cfg.Person.Choose(ctx, q)
	switch unasked := errors.Is(err, catalog.New("no_terminal")); {
	case unasked && len(native) == 1:
		return native[0], nil
	case unasked:
		return NAS{}, catalog.New("target_ambiguous", "this network").Because(err)
	case err != nil:
		return NAS{}, err
	}
	for i, o := range q.Options {
		if o.ID == a.Option {
			return found[i], nil
		}
	}
	return NAS{}, catalog.New("target_unknown", a.Option)
}

func verifyFind(_ context.Context, r *run) (bool, error) {
	return len(r.nas.At) > 0 || r.nas.Address != "", nil
}

func needNAS(r *run) error {
	if r.nas.Native {
		return nil
	}
	if r.cfg.Elsewhere != nil && r.nas.Vendor != "" {
		return elsewhere{r.nas}
	}
	p := catalog.New("not_yet", "rescuing "+describeNAS(r.nas)+" by itself")
	if words := guided(r.nas.Vendor); words != "" {
		p.WhatToDo = "By hand: " + words + " `paperclip model " + r.nas.Vendor + "` has more."
	}
	return p
}

// doIdentify looks at the live key behind each address. The first that is
// remembered wins; a stranger behind one of those that answer stops everything.
func doIdentify(ctx context.Context, r *run) error {
	device, verdict, err := r.meetAny(ctx)
	if err != nil {
		return err
	}
	if verdict == keys.Mismatch {
		if err := r.acceptKey(device); err != nil {
			return err
		}
		verdict = keys.Unknown
	}
	r.device = device
	pub := device.PublicKey()
	if len(r.state.PublicKey) > 0 && !pub.Equal(r.state.PublicKey) {
		return catalog.New("identity_mismatch")
	}
	st := &r.state
	st.Device, st.PublicKey, st.KeyID = printable.Clean(r.nas.Name), pub, identity.KeyID(pub)
	st.MACs = slices.Clone(r.nas.MACs)
	if st.AddressBefore == "" {
		st.AddressBefore = device.Address().String()
	}
	r.tell(Identify, "This is "+describeNAS(r.nas)+".")
	if verdict == keys.Unknown {
		r.tell(Identify, "This computer meets it for the first time. The code that it beeps will prove that it is the NAS in front of you.")
	}
	return r.remember(keys.Met)
}

// meetAny asks at all addresses at once: one where nothing answers must not
// keep those waiting that do.
func (r *run) meetAny(ctx context.Context) (Device, keys.Verdict, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		at     int
		device Device
		err    error
	}
	answers := make(chan answer, len(r.nas.At))
	for i, at := range r.nas.At {
		go func() {
			d, err := r.cfg.Meet(ctx, []netip.AddrPort{at}, keys.Pin{})
			answers <- answer{i, d, err}
		}()
	}
	var unknown, stranger Device
	var last error = catalog.New("unreachable", r.nas.Address)
	nearest := len(r.nas.At) // of those that are not remembered
	var late <-chan time.Time
waiting:
	for range r.nas.At {
		var a answer
		select {
		case a = <-answers:
		case <-late:
			break waiting
		}
		if a.err != nil {
			last = a.err
			continue
		}
		if r.nas.Name == "" { // only an address was given: it says who it is itself
			if info, err := a.device.Info(ctx); err == nil {
				r.nas.Name = printable.Clean(info.Name)
			}
		}
		switch r.cfg.Keys.Judge(a.device.PublicKey(), r.hints()) {
		case keys.Match:
			return a.device, keys.Match, nil
		case keys.Mismatch:
			stranger = a.device
		default:
			if a.at < nearest {
				unknown, nearest = a.device, a.at
			}
			if late == nil {
				late = r.cfg.Clock.After(lateTime)
			}
		}
	}
	switch {
	case stranger != nil:
		return stranger, keys.Mismatch, nil
	case unknown != nil:
		return unknown, keys.Unknown, nil
	}
	return nil, "", pressFirst(last)
}

func (r *run) hints() keys.Hints {
	h := keys.Hints{Name: r.nas.Name, MACs: r.nas.MACs, KeyID: r.nas.KeyID}
	if _, err := netip.ParseAddr(r.state.Target); err == nil && len(r.nas.At) > 0 {
		h.Address = r.nas.At[0].String()
	}
	return h
}

// acceptKey lets a new key take the place of a remembered one, if the person
// has named exactly this key.
func (r *run) acceptKey(d Device) error {
	id := identity.KeyID(d.PublicKey())
	if r.req.AcceptKey == "" || r.req.AcceptKey != id {
		p := catalog.New("identity_mismatch")
		p.WhatToDo += " It shows now: " + id + ". If that is what the console says: --accept-key " + id
		return p
	}
	for _, old := range r.cfg.Keys.Devices() {
		if r.cfg.Keys.Judge(old.PublicKey, r.hints()) == keys.Match && !old.PublicKey.Equal(d.PublicKey()) {
			if err := r.cfg.Keys.Forget(old.KeyID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) remember(how keys.How) error {
	return r.cfg.Keys.Remember(keys.Device{
		PublicKey: r.state.PublicKey, Name: r.state.Device, MACs: r.state.MACs,
		Address: r.device.Address().String(), FirstSeen: r.cfg.Clock.Now(), How: how,
	})
}

func verifyIdentify(_ context.Context, r *run) (bool, error) {
	_, known := r.cfg.Keys.Lookup(r.device.PublicKey())
	return known && r.device.PublicKey().Equal(r.state.PublicKey), nil
}

func needDevice(r *run) error {
	if r.device == nil {
		return errOrder("no NAS was identified")
	}
	return nil
}

func errOrder(why string) error { return catalog.New("internal").Because(errors.New(why)) }

func doChooseWay(ctx context.Context, r *run) error {
	def := wayFor(r.req.Mode, r.req.Scope)
	q := Question{ID: AskWay, Text: "Which way? The first ones change least.", Default: string(def)}
	for _, w := range Ways() {
		if w.Built || w.Anyone {
			q.Options = append(q.Options, Option{ID: string(w.ID), Text: w.Text, Detail: fmt.Sprintf("changes %s; keeps %s; takes %s", w.Changes, w.Keeps, w.Takes)})
		}
	}
	a, err := r.cfg.Person.Choose(ctx, q)
	if err != nil {
		return err
	}
	w, ok := findWay(WayID(a.Option))
	switch {
	case !ok:
		return catalog.New("usage", "There is no way called "+printable.Clean(a.Option)+".")
	case !w.Built:
		return catalog.New("other_way", w.Text)
	}
	r.state.Way, r.state.Mode, r.state.Scope = w.ID, reset.Soft, ""
	if w.ID == HardClaim {
		r.state.Mode = reset.Hard
		r.tell(ChooseWay, hardWords)
	}
	for _, s := range []reset.Scope{reset.Credentials, reset.Network, reset.All} {
		if wayFor(reset.Soft, s) == w.ID {
			r.state.Scope = s
		}
	}
	return nil
}

func verifyWay(_ context.Context, r *run) (bool, error) {
	return r.state.Way == wayFor(r.state.Mode, r.state.Scope), nil
}

func needWay(r *run) error {
	if r.state.Way == "" {
		return errOrder("no way was chosen")
	}
	return needDevice(r)
}

// doPress has a claim opened, unless one is open for us already.
func doPress(ctx context.Context, r *run) error {
	r.proved = false
	info, err := r.info(ctx)
	if err != nil {
		return err
	}
	if info.Claim.Open && !info.Claim.CodeNeeded {
		p := Press{Hold: closeHold, Why: "A claim is open in which somebody has already proved to be at the NAS. If that was you, interrupted: hold the button longer than 10 seconds, which closes it and changes nothing."}
		if err := r.press(ctx, p, func(c deviceapi.Claim) bool { return !c.Open || c.CodeNeeded }); err != nil {
			return err
		}
		if info, err = r.info(ctx); err != nil {
			return err
		}
	}
	switch {
	case info.Claim.Open && info.Claim.PressNeeded:
		return r.press(ctx, Press{Hold: shortHold, Why: "Too many wrong codes were tried. A short press lets the NAS take five more."},
			func(c deviceapi.Claim) bool { return c.Open && !c.PressNeeded })
	case info.Claim.Open && (info.Claim.Hard || !r.state.hard()):
		r.tell(PressIt, "A claim is open already.")
		return nil
	case r.state.hard():
		return r.pressTwice(ctx)
	}
	return r.press(ctx, Press{Hold: softHold, Beeps: 1, Why: "Hold the reset button about 4 seconds; at the beep, let go. That changes nothing by itself."},
		func(c deviceapi.Claim) bool { return c.Open && c.CodeNeeded })
}

// press asks the person for a press until the NAS shows over the network that
// it has arrived.
func (r *run) press(ctx context.Context, p Press, arrived func(deviceapi.Claim) bool) error {
	begun := r.cfg.Clock.Monotonic()
	p.Device = r.state.Device
	for !r.overdue(begun) {
		done, err := r.pressOnce(ctx, p, arrived)
		if err != nil || done {
			return err
		}
		r.tell(PressIt, "The NAS does not show that the press has arrived. Nothing was changed; try again: press until you feel the click, and let go at the beep.")
	}
	return catalog.New("press_not_seen")
}

func (r *run) pressOnce(ctx context.Context, p Press, arrived func(deviceapi.Claim) bool) (bool, error) {
	watching, stop := context.WithTimeout(ctx, r.cfg.Patience)
	defer stop()
	opened := make(chan struct{})
	p.Opened = opened
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if r.watch(watching, arrived) {
			close(opened)
		}
	}()
	err := r.cfg.Person.Press(watching, p)
	if err == nil { // a moment for the press to arrive
		select {
		case <-opened:
		case <-r.cfg.Clock.After(10 * r.cfg.Poll):
		case <-ctx.Done():
		}
	}
	stop()
	<-ended
	select {
	case <-opened:
		return true, nil
	default:
	}
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return false, nil // the patience of one press; the caller knows the whole
	}
	if err == nil {
		err = ctx.Err()
	}
	return false, err
}

// watch asks the NAS until the claim is as wanted, or ctx is done. A NAS that
// cannot be reached at the moment is asked again, and looked for again: an
// open claim has an address of its own.
func (r *run) watch(ctx context.Context, arrived func(deviceapi.Claim) bool) bool {
	for n := 0; ; n++ {
		info, err := r.device.Info(ctx)
		if err == nil && arrived(info.Claim) {
			return true
		}
		if err != nil && n%10 == 9 {
			r.lookAgain(ctx)
		}
		if r.pause(ctx) != nil {
			return false
		}
	}
}

// info is Info with a little patience for a connection that broke.
func (r *run) info(ctx context.Context) (deviceapi.Device, error) {
	info, err := r.device.Info(ctx)
	for n := 0; n < 3 && errors.Is(err, catalog.New("unreachable")); n++ {
		r.lookAgain(ctx)
		if perr := r.pause(ctx); perr != nil {
			return info, perr
		}
		info, err = r.device.Info(ctx)
	}
	return info, err
}

// lookAgain finds the NAS where it is now and moves there. Only its key makes
// it the same NAS: the connection stays pinned.
func (r *run) lookAgain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	found, err := r.cfg.Finder.Find(ctx, "")
	if err != nil {
		return
	}
	if same := again(found, r.state); len(same) > 0 && len(same[0].At) > 0 {
		r.seenAt = same[0].At
		r.device.Move(r.seenAt)
	}
}

func verifyPress(ctx context.Context, r *run) (bool, error) {
	info, err := r.info(ctx)
	return err == nil && info.Claim.Open && info.Claim.CodeNeeded && (info.Claim.Hard || !r.state.hard()), err
}

func doHear(ctx context.Context, r *run) error {
	info, err := r.info(ctx)
	if err != nil {
		return err
	}
	r.code, err = r.cfg.Person.Hear(ctx, Hear{Device: r.state.Device, Wrong: r.wrong, Refused: r.misheard, Label: info.Claim.Label})
	return err
}

// verifyHear says only that there is a code to try; the next step is the test.
func verifyHear(_ context.Context, r *run) (bool, error) { return r.code != nil, nil }

func needCode(r *run) error {
	if r.code == nil {
		return errOrder("no code was heard")
	}
	return needDevice(r)
}

func doPresence(ctx context.Context, r *run) error {
	code := r.code
	r.code = nil
	err := r.device.Prove(ctx, code, func(d time.Duration) {
		r.tell(Presence, fmt.Sprintf("Somebody else is typing a code just now; your turn comes in about %d seconds, by itself.", int(d.Seconds())))
	})
	r.misheard = errors.Is(err, catalog.New("wrong_code"))
	if r.misheard {
		if r.wrong++; r.wrong >= maxWrong {
			return catalog.New("gave_up").Because(err)
		}
	}
	if err != nil {
		return err
	}
	r.proved = true
	return r.remember(keys.Claimed)
}

// verifyPresence looks for a while: the half of the device that answers hears
// of it from the other a moment later.
func verifyPresence(ctx context.Context, r *run) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	return r.watch(ctx, func(c deviceapi.Claim) bool { return c.Open && !c.CodeNeeded }), nil
}

func needPresence(r *run) error {
	if !r.proved {
		return errOrder("presence is not proved")
	}
	return nil
}
