package rescue

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/owner/keys"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/protocol/receipt"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
)

// box is a NAS as a rescue sees it, without any network: its rules are core's.
type box struct {
	mu       sync.Mutex
	key      ed25519.PrivateKey
	settings nas.Settings
	password map[string]string
	code     access.Code
	inUse    map[string]string // addresses of other devices, and whose
	service  string            // an account that the claimant is not shown
	at       netip.AddrPort

	open, proved  bool
	hard          bool // the claim is for a hard reset
	name          string
	late          int   // second presses that come too late
	holder        *link // who proved presence
	transaction   string
	receipt       []byte
	keepsReceipts bool // gives none to an owner key
	busy          int  // progress calls until it is done
	stuck         bool // it never is
	away          int  // progress calls that core does not answer

	commits, presses, signIns int
	owner                     ed25519.PublicKey // enrolled with the commit

	// what a test changes
	waiting      *deviceapi.RequestReply // what waits, where the demand is a wait
	demands      map[reset.Scope]access.Demand
	recoveryCode string         // the second proof that is right
	movesTo      netip.AddrPort // its address after the commit
	closesTo     netip.AddrPort // its address once it was seen ready after the commit: the claim's own is gone
	dropPassword bool
	undo         bool
	forge        bool
	lie          func(*reset.Plan) // of the plan that was asked for
	lieOfHash    bool              // the hash is another plan's
	loseCommit   bool              // the commit is carried out, and its reply lost, as is the session
}

func newBox(t testing.TB) *box {
	t.Helper()
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &box{
		name: "cellar", key: priv, at: netip.MustParseAddrPort("192.0.2.5:5001"), code: access.Code{3, 1, 6, 2},
		password: map[string]string{"anna": oldPassword, "admin": "", "ben": "ben's own"},
		settings: nas.Settings{
			Accounts:   []nas.Account{{Name: "anna", Administrator: true, Enabled: true}, {Name: "admin", Administrator: true, BuiltIn: true}, {Name: "ben", Enabled: true}},
			Interfaces: []nas.Interface{{Name: "eth0", Method: nas.Static, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.5/24")}}},
			Ports:      &nas.Ports{HTTP: 8080, HTTPS: 5001},
		},
	}
}

func (b *box) pub() ed25519.PublicKey { return b.key.Public().(ed25519.PublicKey) }

func (b *box) found() NAS {
	return NAS{Name: b.name, Vendor: "Paperclip", MACs: []string{"02:50:43:00:00:01"}, KeyID: identity.KeyID(b.pub()), Address: b.at.Addr().String(), At: []netip.AddrPort{b.at}, Native: true}
}

func (b *box) press(p Press) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.presses++
	switch {
	case p.Hold > 10*time.Second:
		b.open, b.proved, b.hard = false, false, false
	case p.Beeps == 1:
		b.hard = b.hard && b.open
		b.open = true
	case p.Beeps == 3 && b.late > 0:
		b.late--
	case p.Beeps == 3:
		b.hard = b.open
	}
}

// link is one connection to a box.
type link struct {
	b    *box
	at   netip.AddrPort   // where it last answered
	to   []netip.AddrPort // where it is looked for
	pin  keys.Pin
	dead bool // the program on this end was killed
}

var _ Device = (*link)(nil)

func (b *box) meet(_ context.Context, at []netip.AddrPort, pin keys.Pin) (Device, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(at, b.at) {
		return nil, catalog.New("unreachable", "there")
	}
	if pin.Key != nil && !pin.Key.Equal(b.pub()) {
		return nil, catalog.New("identity_mismatch")
	}
	pin.Key = b.pub()
	return &link{b: b, at: b.at, to: at, pin: pin}, nil
}

func (l *link) PublicKey() ed25519.PublicKey { return l.pin.Key }
func (l *link) Pin() keys.Pin                { return l.pin }
func (l *link) Address() netip.AddrPort      { return l.at }
func (l *link) Move(at []netip.AddrPort)     { l.to = at }

// reach locks the box, if it can be reached on this link.
func (l *link) reach() (unlock func(), err error) {
	l.b.mu.Lock()
	if l.dead || !slices.Contains(l.to, l.b.at) {
		l.b.mu.Unlock()
		return nil, catalog.New("unreachable", l.at)
	}
	l.at = l.b.at
	return l.b.mu.Unlock, nil
}

// holds is reach for the claimant alone.
func (l *link) holds() (unlock func(), err error) {
	unlock, err = l.reach()
	if err != nil {
		return nil, err
	}
	if !l.b.open || l.b.holder != l {
		unlock()
		return nil, catalog.New("no_such_session")
	}
	return unlock, nil
}

func (l *link) Info(context.Context) (deviceapi.Device, error) {
	unlock, err := l.reach()
	if err != nil {
		return deviceapi.Device{}, err
	}
	defer unlock()
	info := deviceapi.Device{
		Version: 1, Name: l.b.name, KeyID: identity.KeyID(l.b.pub()), Ready: l.b.busy == 0,
		Claim: deviceapi.Claim{Open: l.b.open, Hard: l.b.hard, CodeNeeded: l.b.open && !l.b.proved},
	}
	if l.b.commits > 0 && info.Ready && l.b.closesTo.IsValid() {
		l.b.at = l.b.closesTo
	}
	return info, nil
}

func (l *link) Prove(_ context.Context, code access.Presence, _ func(time.Duration)) error {
	unlock, err := l.reach()
	if err != nil {
		return err
	}
	defer unlock()
	switch {
	case !l.b.open:
		return catalog.New("claim_closed")
	case l.b.proved:
		return catalog.New("claim_taken")
	case code != l.b.code:
		return catalog.New("wrong_code")
	}
	l.b.proved, l.b.holder, l.pin.Proved = true, l, true
	return nil
}

func (l *link) Options(context.Context) (deviceapi.OptionsReply, error) {
	unlock, err := l.holds()
	if err != nil {
		return deviceapi.OptionsReply{}, err
	}
	defer unlock()
	modes, demand := []reset.Mode{reset.Soft}, access.Demand("")
	if l.b.hard {
		modes, demand = append(modes, reset.Hard), access.PresenceIsEnough
	}
	return deviceapi.OptionsReply{
		Device: nas.Identity{Name: l.b.name}, HardDemand: demand,
		Administrators: []deviceapi.Administrator{{Name: "anna"}, {Name: "admin", BuiltIn: true}},
		Settings:       l.b.settings, Modes: modes, Scopes: []reset.Scope{reset.Credentials, reset.Network, reset.All}, Demands: l.b.demands,
	}, nil
}

func (b *box) plan(q deviceapi.PlanCall) reset.Plan {
	covered := reset.Coverage{}
	for _, e := range nas.Effects() {
		covered[e] = reset.Found{Present: true}
	}
	r := reset.Request{Device: "cellar", Mode: q.Mode, Scope: q.Scope, Administrator: q.Administrator}
	if q.Wizard != nil {
		r.Wizard = *q.Wizard
	}
	return reset.Build(r, b.settings, covered)
}

// told is a plan and its hash, as the box tells them.
func (b *box) told(p reset.Plan) (told struct {
	Plan reset.Plan `json:"plan"`
	Hash string     `json:"hash"`
},
) {
	if b.lie != nil {
		b.lie(&p)
	}
	told.Plan, told.Hash = p, p.Hash()
	if b.lieOfHash {
		told.Hash = reset.Plan{}.Hash()
	}
	return told
}

func (l *link) Plan(_ context.Context, q deviceapi.PlanCall) (deviceapi.PlanReply, error) {
	unlock, err := l.holds()
	if err != nil {
		return deviceapi.PlanReply{}, err
	}
	defer unlock()
	if q.Wizard != nil && q.Wizard.NewAdministrator && q.Administrator == l.b.service {
		return deviceapi.PlanReply{}, catalog.New("account_name", "there is an account "+q.Administrator+" already")
	}
	if q.Wizard != nil {
		for _, a := range q.Wizard.Network {
			if mac := l.b.inUse[a.Address.Addr().String()]; mac != "" {
				return deviceapi.PlanReply{}, catalog.New("address_in_use", a.Address.Addr(), mac)
			}
		}
	}
	return deviceapi.PlanReply(l.b.told(l.b.plan(q))), nil
}

func (l *link) Commit(_ context.Context, q deviceapi.CommitCall) (deviceapi.CommitReply, error) {
	unlock, err := l.holds()
	if err != nil {
		return deviceapi.CommitReply{}, err
	}
	defer unlock()
	b := l.b
	b.owner = q.OwnerKey
	var plan reset.Plan
	if p := b.plan(deviceapi.PlanCall{Mode: reset.Hard, Administrator: q.Administrator, Wizard: q.Wizard}); p.Hash() == q.PlanHash && b.hard {
		plan = p
		if q.Wizard.Name != "" {
			b.name = q.Wizard.Name
		}
	}
	for _, s := range []reset.Scope{reset.Credentials, reset.Network, reset.All} {
		if p := b.plan(deviceapi.PlanCall{Mode: reset.Soft, Scope: s, Administrator: q.Administrator}); p.Hash() == q.PlanHash {
			plan = p
		}
	}
	if plan.Device == "" {
		return deviceapi.CommitReply{}, catalog.New("plan_changed")
	}
	if b.demands[plan.Scope] == access.SecondProof && q.RecoveryCode.Reveal() != b.recoveryCode {
		return deviceapi.CommitReply{}, catalog.New("second_proof_wrong")
	}
	b.commits++
	if b.demands[plan.Scope] == access.AfterWait {
		if !q.NewPassword.Empty() {
			return deviceapi.CommitReply{}, catalog.New("bad_message", "a password that nobody keeps")
		}
		if w := b.waiting; w != nil && w.State == access.RequestRipe {
			return deviceapi.CommitReply{Request: w.Request}, nil
		}
		b.waiting = &deviceapi.RequestReply{Request: "r1", State: access.RequestWaiting, Plan: plan, WaitSeconds: 24 * 60 * 60}
		if b.loseCommit {
			b.loseCommit, b.holder, b.open, b.proved = false, nil, false, false
			return deviceapi.CommitReply{}, catalog.New("unreachable", l.at)
		}
		return deviceapi.CommitReply{Request: "r1", WaitSeconds: 24 * 60 * 60}, nil
	}
	b.transaction, b.busy = "t1", 3
	s := receipt.Statement{
		Device: receipt.Device{Name: "cellar"}, Transaction: "t1", Mode: string(plan.Mode), Scope: string(plan.Scope), Administrator: plan.Administrator,
		PlanHash: q.PlanHash, Result: receipt.Committed,
	}
	if b.undo {
		s.Result = receipt.Undone
	} else if reset.SetsPassword(plan.Mode, plan.Scope) && !b.dropPassword {
		b.password[q.Administrator] = q.NewPassword.Reveal()
	}
	signer := b.key
	if b.forge {
		_, signer, _ = ed25519.GenerateKey(rand.Reader)
	}
	if b.receipt, err = receipt.Sign(signer, s); err != nil {
		return deviceapi.CommitReply{}, err
	}
	if b.movesTo.IsValid() {
		b.at = b.movesTo
	}
	if b.loseCommit {
		b.loseCommit, b.holder, b.open, b.proved, b.busy = false, nil, false, false, 0
		return deviceapi.CommitReply{}, catalog.New("unreachable", l.at)
	}
	return deviceapi.CommitReply{Transaction: "t1"}, nil
}

func (l *link) Progress(_ context.Context, id string) (deviceapi.ProgressReply, error) {
	unlock, err := l.holds()
	if err != nil {
		return deviceapi.ProgressReply{}, err
	}
	defer unlock()
	if id != l.b.transaction {
		return deviceapi.ProgressReply{}, catalog.New("no_such_session")
	}
	if l.b.away > 0 {
		l.b.away--
		return deviceapi.ProgressReply{}, catalog.New("core_unreachable")
	}
	if l.b.busy > 0 && !l.b.stuck {
		l.b.busy--
	}
	reply := deviceapi.ProgressReply{State: "persisted", Steps: []deviceapi.StepState{{Name: "password"}}}
	if l.b.busy == 0 {
		reply.Done, reply.State, reply.Receipt = true, "committed", l.b.receipt
		if l.b.undo {
			p := catalog.New("step_failed", "password")
			reply.State, reply.Problem = "undone", &p
		}
	}
	return reply, nil
}

func (l *link) Leave(context.Context) error {
	unlock, err := l.holds()
	if err != nil {
		return err
	}
	defer unlock()
	l.b.open, l.b.proved, l.b.hard, l.b.holder, l.b.busy = false, false, false, nil, 0
	return nil
}

func (l *link) Request(_ context.Context, owner ed25519.PrivateKey, id string) (deviceapi.RequestReply, error) {
	unlock, err := l.reach()
	if err != nil {
		return deviceapi.RequestReply{}, err
	}
	defer unlock()
	w := l.b.waiting
	if w == nil || !l.b.owner.Equal(owner.Public()) || id != "" && id != w.Request {
		return deviceapi.RequestReply{}, catalog.New("request_unknown")
	}
	return *w, nil
}

func (l *link) Resume(_ context.Context, _ ed25519.PrivateKey, q deviceapi.ResumeCall) (deviceapi.ResumeReply, error) {
	unlock, err := l.reach()
	if err != nil {
		return deviceapi.ResumeReply{}, err
	}
	defer unlock()
	b := l.b
	if b.waiting == nil || b.waiting.State != access.RequestRipe {
		return deviceapi.ResumeReply{}, catalog.New("wait_not_over", "1h")
	}
	p := b.waiting.Plan
	if b.undo { // it is ripe still
		b.undo = false
		told := b.told(p)
		return deviceapi.ResumeReply{Transaction: "t0", Plan: told.Plan, Hash: told.Hash}, nil
	}
	b.waiting.State, b.transaction, b.password[p.Administrator] = access.RequestDone, "t1", q.NewPassword.Reveal()
	b.receipt, err = receipt.Sign(b.key, receipt.Statement{
		Device: receipt.Device{Name: "cellar"}, Transaction: "t1", Mode: string(p.Mode), Scope: string(p.Scope), Administrator: p.Administrator,
		PlanHash: p.Hash(), Result: receipt.Committed,
	})
	if b.loseCommit {
		b.loseCommit = false
		return deviceapi.ResumeReply{}, catalog.New("unreachable", l.at)
	}
	told := b.told(p)
	return deviceapi.ResumeReply{Transaction: "t1", Plan: told.Plan, Hash: told.Hash}, err
}

func (l *link) Receipt(_ context.Context, owner ed25519.PrivateKey, transaction string) ([]byte, error) {
	unlock, err := l.reach()
	if err != nil {
		return nil, err
	}
	defer unlock()
	b := l.b
	if !b.owner.Equal(owner.Public()) || b.receipt == nil || b.undo || b.keepsReceipts || (transaction != "" && transaction != b.transaction) {
		return nil, catalog.New("owner_unknown")
	}
	return b.receipt, nil
}

func (l *link) SignIn(_ context.Context, user string, password access.Secret) error {
	if !l.pin.Proved {
		return catalog.New("identity_unknown")
	}
	unlock, err := l.reach()
	if err != nil {
		return err
	}
	defer unlock()
	l.b.signIns++
	if want := l.b.password[user]; want == "" || want != password.Reveal() {
		return catalog.New("sign_in_failed")
	}
	return nil
}

const (
	oldPassword = "the one that was forgotten"
	newPassword = "violet tractor nine gulls"
)

// someone is a Person who does as asked.
type someone struct {
	recovery []string // recovery codes, in the order in which they are typed
	b        *box
	codes    []access.Code // given before the right one
	yes      bool
	password []string // given one after the other; the last again and again
	way      WayID
	factor   string                  // what becomes of the second factor; empty: the default
	answers  map[QuestionID][]string // one after the other; the last again and again
	tell     func(Event)
	asked    []QuestionID
	advice   []string
}

func (s *someone) Press(_ context.Context, p Press) error {
	s.b.press(p)
	return nil
}

func (s *someone) Hear(context.Context, Hear) (access.Presence, error) {
	if len(s.codes) > 0 {
		c := s.codes[0]
		s.codes = s.codes[1:]
		return c, nil
	}
	return s.b.code, nil
}

func (s *someone) Choose(_ context.Context, q Question) (Answer, error) {
	s.asked = append(s.asked, q.ID)
	a := Answer{Option: q.Default, Yes: s.yes}
	switch q.ID {
	case AskWay:
		if s.way != "" {
			a.Option = string(s.way)
		}
	case AskSecondFactor:
		if s.factor != "" {
			a.Option = s.factor
		}
	case AskName, AskNetwork, AskRestore, AskNewAdministrator, AskAdministrator:
		if q.ID != AskAdministrator {
			s.advice = append(s.advice, q.Advice)
		}
		if all := s.answers[q.ID]; len(all) > 0 {
			a.Option = all[0]
			s.answers[q.ID] = all[min(1, len(all)-1):]
		}
	case AskTarget:
		a.Option = q.Options[len(q.Options)-1].ID
	case AskRecoveryCode:
		a.Password = access.NewSecret(s.recovery[0])
		if len(s.recovery) > 1 {
			s.recovery = s.recovery[1:]
		}
	case AskNewPassword, AskPassword:
		s.advice = append(s.advice, q.Advice)
		if q.ID == AskPassword && s.b.commits == 0 {
			return a, nil // nothing was set yet: they leave it out
		}
		a.Password = access.NewSecret(s.password[0])
		if len(s.password) > 1 {
			s.password = s.password[1:]
		}
	}
	return a, nil
}

func (s *someone) Tell(e Event) {
	if s.tell != nil {
		s.tell(e)
	}
}

// lan finds what is there.
type lan []func() NAS

func (l lan) Find(context.Context, string) ([]NAS, error) {
	var out []NAS
	for _, n := range l {
		out = append(out, n())
	}
	return out, nil
}

// seen is a witness with a fixed opinion.
type seen struct {
	Evidence
	forgotten [][]string // at each look before
}

func (s *seen) Before(_ context.Context, _ string, forgotten ...string) error {
	s.forgotten = append(s.forgotten, forgotten)
	return nil
}

func (s *seen) After(context.Context, string, string) (Evidence, error) {
	return s.Evidence, nil
}

// scene is everything that a rescue works with.
type scene struct {
	box    *box
	person *someone
	cfg    Config
}

func newScene(t testing.TB) *scene {
	t.Helper()
	b := newBox(t)
	k, err := keys.Open(opfs.OS(nil), scratch.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &someone{b: b, yes: true, password: []string{newPassword}}
	return &scene{box: b, person: p, cfg: Config{
		Person: p, Finder: lan{b.found}, Meet: b.meet, Keys: k,
		FS: opfs.OS(nil), Dir: scratch.Dir(t), Clock: clock.System(), Rand: rand.Reader, Poll: time.Millisecond, Patience: 5 * time.Second,
	}}
}
