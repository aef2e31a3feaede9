package rescue

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net/netip"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/owner/keys"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/receipt"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// The steps from choosing what is set back to the receipt (the wait for the end is
// in follow.go). Commit is the one
// that changes something: before it everything is as it was, after it the NAS
// goes to the end by itself.

type optionsSeen = deviceapi.OptionsReply

// doChoose asks which administrator. For a scope that sets no password it is
// the account that signs in afterwards.
func doChoose(ctx context.Context, r *run) error {
	if err := r.choose(ctx); err != nil || r.cfg.Witness == nil || r.state.Handed {
		return err
	}
	var forgotten []string
	if r.state.setsPassword() {
		forgotten = []string{r.state.Administrator}
	}
	return r.cfg.Witness.Before(ctx, r.state.Device, forgotten...)
}

func (r *run) choose(ctx context.Context) error {
	o, err := r.device.Options(ctx)
	if err != nil {
		return err
	}
	r.options = o
	if r.demand() == access.Never {
		return catalog.New("policy_network_only")
	}
	r.state.Waits = r.demand() == access.AfterWait
	r.tellCosts()
	switch {
	case r.state.hard() && slices.Contains(o.Modes, reset.Hard):
	case r.state.hard() && o.Demands[reset.Credentials] == access.Never: // it is not offered, though it was pressed for
		return catalog.New("policy_network_only")
	case r.state.hard():
		return catalog.New("hard_press_needed")
	case !slices.Contains(o.Scopes, r.state.Scope) || !slices.Contains(o.Modes, reset.Soft):
		return catalog.New("not_yet", "the scope "+string(r.state.Scope)+" on this NAS")
	}
	if r.state.Administrator != "" && r.refusedName == "" {
		r.knownByNow()
		if _, ok := r.administrator(); !ok {
			return catalog.New("unknown_administrator", r.state.Administrator)
		}
		return r.askSecondFactor(ctx)
	}
	if len(o.Administrators) == 0 && !r.state.hard() {
		return catalog.New("no_administrator")
	}
	r.state.NewAdministrator = false
	if r.state.Administrator, err = r.askAdministrator(ctx, o.Administrators); err != nil {
		return err
	}
	if r.state.hard() && r.state.Administrator == SomebodyNew {
		return r.askNewAdministrator(ctx)
	}
	return r.askSecondFactor(ctx)
}

// What becomes of a second factor.
const (
	keepFactor = "keep"
	takeFactor = "take"
)

// askSecondFactor asks whether the administrator's second factor is lost too
// (R11): it stays unless somebody says so, and never goes by presence alone
// (promise 7).
func (r *run) askSecondFactor(ctx context.Context) error {
	a, ok := r.administrator()
	costs := map[access.Demand]string{
		access.SecondProof: "needs a recovery code beside the button",
		access.AfterWait:   "needs the wait that the owner chose, in which every administrator can say no",
	}[r.options.SecondFactor]
	if !ok || !a.SecondFactor || r.state.SecondFactor || r.state.hard() || !r.state.setsPassword() || costs == "" {
		return nil
	}
	answer, err := r.cfg.Person.Choose(ctx, Question{
		ID: AskSecondFactor, Account: a.Name, Default: keepFactor,
		Text: printable.Clean(a.Name) + " signs in with a second factor, such as a code on a phone. Is that lost too?",
		Options: []Option{
			{ID: keepFactor, Text: "No: it stays"},
			{ID: takeFactor, Text: "Yes: take it away too", Detail: costs},
		},
	})
	if err != nil || answer.Option != takeFactor {
		return err
	}
	r.state.SecondFactor = true
	r.state.Waits = r.demand() == access.AfterWait
	return nil
}

func (r *run) askAdministrator(ctx context.Context, all []deviceapi.Administrator) (string, error) {
	if len(all) == 1 && !r.state.hard() {
		return all[0].Name, nil
	}
	q := Question{ID: AskAdministrator, Text: "Whose password shall be set anew?", Default: plainChoice(all)}
	switch {
	case r.state.hard():
		q.Text = "Who is the first administrator then, with a new password? All other accounts are locked until that one opens them."
	case !r.state.setsPassword():
		q.Text = "As whom will you sign in afterwards?"
	}
	for _, a := range all {
		o := Option{ID: a.Name, Text: printable.Clean(a.Name)}
		if a.BuiltIn {
			o.Detail = "built in"
		}
		if a.SecondFactor {
			o.Detail = "has a second factor, which stays"
		}
		q.Options = append(q.Options, o)
	}
	if r.state.hard() {
		q.Options = append(q.Options, Option{ID: SomebodyNew, Text: "Somebody new", Detail: "an account is made"})
	}
	a, err := r.cfg.Person.Choose(ctx, q)
	return a.Option, err
}

// plainChoice is the administrator that is meant where nothing else is said:
// the only one that is a person's. With several there is none.
func plainChoice(all []deviceapi.Administrator) string {
	if len(all) == 1 {
		return all[0].Name
	}
	name, people := "", 0
	for _, a := range all {
		if !a.BuiltIn {
			name = a.Name
			people++
		}
	}
	if people != 1 {
		return ""
	}
	return name
}

// administrator is the one that was chosen; ok is false where the NAS has none
// of that name, and is to make none.
func (r *run) administrator() (deviceapi.Administrator, bool) {
	i := slices.IndexFunc(r.options.Administrators, func(a deviceapi.Administrator) bool { return a.Name == r.state.Administrator })
	if i < 0 {
		return deviceapi.Administrator{Name: r.state.Administrator}, r.state.NewAdministrator
	}
	return r.options.Administrators[i], true
}

func verifyChoose(_ context.Context, r *run) (bool, error) {
	if _, ok := r.administrator(); !ok {
		name := r.state.Administrator
		r.state.Administrator = ""
		return false, catalog.New("unknown_administrator", printable.Clean(name))
	}
	return true, nil
}

func needChoice(r *run) error {
	if r.state.Administrator == "" || r.state.Scope == "" && !r.state.hard() {
		return errOrder("nothing was chosen")
	}
	return needPresence(r)
}

// planCall is what the plan is asked for: an administrator only where that
// one's password is replaced.
func (r *run) planCall() deviceapi.PlanCall {
	q := deviceapi.PlanCall{Mode: r.state.mode(), Scope: r.state.Scope, Wizard: r.state.Wizard, SecondFactor: r.state.SecondFactor}
	if reset.SetsPassword(q.Mode, q.Scope) {
		q.Administrator = r.state.Administrator
	}
	return q
}

func doPlan(ctx context.Context, r *run) error {
	q := r.planCall()
	reply, err := r.device.Plan(ctx, q)
	if err != nil {
		if errors.Is(err, catalog.New("address_in_use")) {
			r.refused = printable.Clean(catalog.AsProblem(err).Text)
		}
		if errors.Is(err, catalog.New("account_name")) {
			r.refusedName = printable.Clean(catalog.AsProblem(err).Text)
		}
		return err
	}
	p := reply.Plan
	if reply.Check() != nil || p.Mode != q.Mode || p.Scope != q.Scope || p.Administrator != q.Administrator || p.SecondFactor != q.SecondFactor || !sameAnswers(p.Wizard, q.Wizard) {
		return catalog.New("bad_message", "the plan is not the one that was asked for")
	}
	r.state.Plan, r.state.PlanHash, r.accepted = &p, reply.Hash, ""
	a, err := r.cfg.Person.Choose(ctx, Question{ID: AskAccept, Text: "Shall the NAS do this?", Lines: PlanLines(p)})
	if err != nil {
		return err
	}
	if !a.Yes {
		p := catalog.New("declined")
		p.Meaning = "Nothing was changed; the claim is closed."
		return p
	}
	r.accepted = reply.Hash
	return nil
}

// verifyPlan holds what is kept against what was accepted.
func verifyPlan(_ context.Context, r *run) (bool, error) {
	return r.accepted != "" && r.state.Plan.Hash() == r.accepted, nil
}

func noPassword(r *run) bool { return !r.state.setsPassword() }

func needAccepted(r *run) error {
	if r.accepted == "" || r.accepted != r.state.PlanHash {
		return errOrder("no plan was accepted")
	}
	return needChoice(r)
}

func doPassword(ctx context.Context, r *run) error {
	a, _ := r.administrator()
	if err := r.askPassword(ctx, a); err != nil {
		return err
	}
	return r.askSecondProof(ctx, "")
}

// askPassword asks for a new password until it will do.
func (r *run) askPassword(ctx context.Context, a deviceapi.Administrator) error {
	q := Question{ID: AskNewPassword, Text: "A new password for " + printable.Clean(a.Name) + ".", Account: a.Name, Names: []string{a.Name, r.state.Device}, SecondFactor: a.SecondFactor}
	for range 10 {
		answer, err := r.cfg.Person.Choose(ctx, q)
		if err != nil {
			return err
		}
		refusal := access.CheckPassword(answer.Password, a.SecondFactor, q.Names...)
		if refusal == access.PasswordFits {
			r.password = answer.Password
			return nil
		}
		q.Advice = access.PasswordAdvice(refusal, a.SecondFactor)
	}
	return catalog.New("gave_up")
}

// askSecondProof asks for a recovery code where the NAS's owner demands one
// beside presence (D11).
func (r *run) askSecondProof(ctx context.Context, advice string) error {
	if r.demand() != access.SecondProof {
		return nil
	}
	a, err := r.cfg.Person.Choose(ctx, Question{
		ID: AskRecoveryCode, Account: r.state.Administrator, Advice: advice,
		Text: "The owner chose that a recovery code is needed beside the button: one of those that were printed for " + printable.Clean(r.state.Administrator) + ".",
	})
	r.recoveryCode = a.Password
	return err
}

func verifyPassword(_ context.Context, r *run) (bool, error) {
	a, _ := r.administrator()
	return access.CheckPassword(r.password, a.SecondFactor, a.Name, r.state.Device) == access.PasswordFits, nil
}

func needPassword(r *run) error {
	if !noPasswordYet(r) && r.password.Empty() {
		return errOrder("no password was chosen")
	}
	return needAccepted(r)
}

// doCommit hands the plan over. That it may have been accepted is written down
// before it is sent: whatever happens then, it is never sent twice.
func doCommit(ctx context.Context, r *run) error {
	owner, err := r.cfg.Keys.OwnerKey(r.cfg.Rand)
	if err != nil {
		return err
	}
	r.state.Handed, r.state.Transaction, r.state.Committed = true, "", false
	r.note(Commit)
	if err := r.store.save(r.state); err != nil {
		return err
	}
	call := deviceapi.CommitCall{
		PlanHash: r.accepted, Administrator: r.planCall().Administrator, NewPassword: r.password,
		OwnerKey: owner.Public().(ed25519.PublicKey), OwnerLabel: r.cfg.Label, RecoveryCode: r.recoveryCode, Wizard: r.state.Wizard,
	}
	r.asked = true
	reply, err := r.handOver(ctx, call)
	for n := 0; n < maxWrong && errors.Is(err, catalog.New("second_proof_wrong")); n++ {
		if err := r.askSecondProof(ctx, catalog.New("second_proof_wrong").Error()); err != nil {
			return err
		}
		call.RecoveryCode = r.recoveryCode
		reply, err = r.handOver(ctx, call)
	}
	switch {
	case err == nil:
		r.state.Transaction, r.state.Request = reply.Transaction, reply.Request
	case unsure(err):
		r.tell(Commit, "The NAS did not answer. It may have accepted the plan; that is looked at next.")
	default:
		r.state.Handed = false
		return err
	}
	return nil
}

// handOver sends the commit, and the same box again while there is no answer:
// a NAS answers a box that it had already, and does nothing twice. Once one
// went unanswered, that the session is gone says nothing about what was done.
func (r *run) handOver(ctx context.Context, call deviceapi.CommitCall) (reply deviceapi.CommitReply, err error) {
	reply, err = r.device.Commit(ctx, call)
	for n := 0; n < 3 && unsure(err) && ctx.Err() == nil; n++ {
		first := err
		r.lookAgain(ctx)
		if r.pause(ctx) != nil {
			break
		}
		reply, err = r.device.Commit(ctx, call)
		if errors.Is(err, catalog.New("no_such_session")) || errors.Is(err, catalog.New("claim_closed")) {
			return reply, first
		}
	}
	return reply, err
}

// unsure tells whether an error leaves open what the NAS did. Front that waited
// in vain for core (core_unreachable) knows no more: core may still be at it.
func unsure(err error) bool {
	for _, id := range []catalog.ID{"unreachable", "core_unreachable", "bad_message"} {
		if errors.Is(err, catalog.New(id)) {
			return true
		}
	}
	return errors.Is(err, context.Canceled)
}

func verifyCommit(_ context.Context, r *run) (bool, error) {
	return r.state.Transaction != "" || r.state.Waits && r.state.Request != "", nil
}

func needCommit(r *run) error {
	if !r.state.Handed {
		return errOrder("nothing was handed over")
	}
	return needDevice(r)
}

// doSignIn makes a fresh connection, pinned to the key that the claim proved,
// and tries the password once.
func doSignIn(ctx context.Context, r *run) error {
	password := r.password
	if password.Empty() {
		a, err := r.cfg.Person.Choose(ctx, Question{ID: AskPassword, Text: "The password of " + printable.Clean(r.state.Administrator) + ", to see that it works.", Account: r.state.Administrator})
		if err != nil && !errors.Is(err, catalog.New("no_terminal")) {
			return err
		}
		password = a.Password
	}
	if password.Empty() {
		if !r.state.Committed && !noPassword(r) {
			return catalog.New("commit_unknown")
		}
		r.missing("signing in: no password was given")
		return nil
	}
	device, err := r.meetAgain(ctx)
	if err != nil {
		return err
	}
	err = device.SignIn(ctx, r.state.Administrator, password)
	switch {
	case err == nil:
		r.state.SignedIn, r.state.AddressAfter = true, device.Address().String()
		r.state.Committed = r.state.Committed || !noPassword(r)
		return r.remember(keys.Met)
	case errors.Is(err, catalog.New("sign_in_failed")) && !r.state.Committed && !noPassword(r):
		r.state.Handed = false
		return catalog.New("commit_unknown")
	case errors.Is(err, catalog.New("sign_in_failed")), errors.Is(err, catalog.New("sign_in_later")):
		r.state.AddressAfter = device.Address().String()
		return nil // verifySignIn says it
	}
	return err
}

func (r *run) missing(what string) {
	if !slices.Contains(r.state.NotDone, what) {
		r.state.NotDone = append(r.state.NotDone, what)
	}
}

// meetAgain connects anew, where the NAS is now.
func (r *run) meetAgain(ctx context.Context) (Device, error) {
	pin := r.device.Pin()
	if !pin.Proved {
		pin = r.cfg.Keys.Pin(r.state.PublicKey)
	}
	begun := r.cfg.Clock.Monotonic()
	for {
		d, err := r.cfg.Meet(ctx, append([]netip.AddrPort{r.device.Address()}, r.seenAt...), pin)
		if err == nil || !errors.Is(err, catalog.New("unreachable")) || r.overdue(begun) {
			return d, err
		}
		r.lookAgain(ctx)
		if err := r.pause(ctx); err != nil {
			return nil, err
		}
	}
}

func verifySignIn(_ context.Context, r *run) (bool, error) { return r.state.SignedIn, nil }

func noWitness(r *run) bool { return r.cfg.Witness == nil }

func doWitness(ctx context.Context, r *run) error {
	e, err := r.cfg.Witness.After(ctx, r.state.Device, r.state.Administrator)
	if err != nil {
		return err
	}
	r.state.Evidence = e
	return nil
}

func verifyWitness(_ context.Context, r *run) (bool, error) {
	e := r.state.Evidence
	return e.Data != nil && e.Data.Changed == 0, nil
}

func doReceipt(_ context.Context, r *run) error {
	if !r.state.HasReceipt {
		r.missing("the receipt: the session in which the NAS gives it was interrupted; it is kept on the NAS")
	}
	return nil
}

// verifyReceipt reads the receipt back from the disk: signed by the key that
// the claim proved, about the plan that was accepted.
func verifyReceipt(_ context.Context, r *run) (bool, error) {
	if !r.state.HasReceipt {
		return false, nil
	}
	file, err := r.store.readReceipt(r.state.ID)
	if err != nil {
		return false, catalog.New("receipt_unreadable", "its file").Because(err)
	}
	keyID, s, err := receipt.Verify(file)
	switch {
	case err != nil:
		return false, catalog.New("receipt_invalid", err.Error())
	case keyID != r.state.KeyID:
		return false, catalog.New("receipt_invalid", "another device has signed it")
	case s.Transaction != r.state.Transaction, s.PlanHash != r.state.PlanHash, s.Result != receipt.Committed,
		s.Mode != string(r.state.mode()), s.Scope != string(r.state.Scope), s.Administrator != r.planCall().Administrator:
		return false, catalog.New("receipt_invalid", "it is about something else than what was accepted")
	}
	return true, nil
}
