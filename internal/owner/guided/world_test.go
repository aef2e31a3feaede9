package guided_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/domain/ways"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/owner/guided"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
)

// instant is a clock on which waiting takes no time and time passes all the
// same.
type instant struct {
	mu  sync.Mutex
	now time.Duration
}

func (c *instant) Now() time.Time { return time.Unix(1790000000, 0).Add(c.Monotonic()) }

func (c *instant) Monotonic() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *instant) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += d
	ch := make(chan time.Time, 1)
	ch <- time.Time{}
	return ch
}

// world is a NAS, its LAN and its owner, as far as a guided rescue sees them.
type world struct {
	mu     sync.Mutex
	clock  *instant
	vendor string
	found  discover.Device
	others []discover.Device // who else answers to its label
	print  string            // the certificate of now

	passwords   map[string]string // what opens it
	answer      map[string]triage.Answer
	settings    nas.Settings
	known       ways.Known
	refusesPage bool // the page after a reset does not take the blank password
	deaf        bool // the beeper is somewhere else

	shares     []string // the definitions of now
	everywhere int      // how often everything was signed out

	onPress func(w *world, n int)
	presses int
	silent  int // how many looks it does not answer

	told    func(rescue.Event)
	answers map[rescue.QuestionID]string
	newOne  string

	// What is watched.
	attempts []string // passwords, in the order in which they came
	got      []string // every password the box was sent in any way, with the certificate it showed
	asked    []rescue.QuestionID
	events   []string
}

func (w *world) Find(context.Context, string, time.Duration) ([]discover.Device, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.silent > 0 {
		w.silent--
		return nil, nil
	}
	return append([]discover.Device{w.found}, w.others...), nil
}

// box is a connection to the world's NAS.
type box struct {
	*world
	shown   string
	session string
}

func (w *world) meet(_ context.Context, _ discover.Device, pin string) (guided.Device, error) {
	if pin != "" && pin != w.print {
		return nil, catalog.New("certificate_changed", "another")
	}
	return &box{world: w, shown: w.print}, nil
}

func (b *box) Fingerprint() string { return b.shown }
func (b *box) Plain() bool         { return false }
func (b *box) Local() string       { return "192.0.2.9" }

func (b *box) SignIn(_ context.Context, account string, p, _ access.Secret) (triage.Answer, string, error) {
	b.attempts = append(b.attempts, p.Reveal())
	b.got = append(b.got, b.shown+" "+p.Reveal())
	if a := b.answer[account]; a != "" {
		return a, "raw " + string(a), nil
	}
	if want, ok := b.passwords[account]; !ok || want != p.Reveal() {
		return triage.WrongPassword, "400", nil
	}
	b.session = account
	return triage.Accepted, "", nil
}

func (b *box) SignOut(context.Context) error { b.session = ""; return nil }

func (b *box) Describe(context.Context) (nas.Identity, string, error) {
	return nas.Identity{}, "", b.in()
}

func (b *box) in() error {
	if b.session == "" {
		return catalog.New("not_signed_in")
	}
	return nil
}

func (b *box) Read(context.Context) (nas.Settings, ways.Known, []string, error) {
	return b.settings.Clone(), b.known, nil, b.in()
}

func (b *box) State(context.Context) (nas.Status, error) { return nas.Ready, nil }

func (b *box) Shares(context.Context) ([]string, error) {
	if b.vendor != "QNAP" {
		return nil, catalog.New("no_such_api", "shares")
	}
	return slices.Clone(b.shares), b.in()
}

func (b *box) SignOutEverywhere(ctx context.Context) error {
	b.everywhere++
	return b.SignOut(ctx)
}

func (b *box) Beep(context.Context) error    { return b.in() }
func (b *box) EndBeep(context.Context) error { return nil }

func (b *box) SetPassword(_ context.Context, account string, p access.Secret) error {
	b.got = append(b.got, b.shown+" "+p.Reveal())
	b.passwords[account] = p.Reveal()
	return b.in()
}

func (b *box) SetEnabled(_ context.Context, account string, on bool) error {
	for i, a := range b.settings.Accounts {
		if a.Name == account {
			b.settings.Accounts[i].Enabled = on
		}
	}
	return b.in()
}

func (b *box) SetAutoBlock(_ context.Context, on bool) error {
	b.settings.AutoBlock.Enabled = on
	return b.in()
}

func (b *box) Unblock(context.Context, string) error {
	b.settings.AutoBlock.Blocked = nil
	return b.in()
}
func (b *box) SetRedirect(context.Context, bool) error { return b.in() }
func (b *box) Page(t guided.Task) guided.Page {
	return guided.Page{URL: "https://192.0.2.1/", Press: []string{"press " + string(t)}, Fact: "synology.network.set"}
}

// The person.

func (w *world) Press(context.Context, rescue.Press) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.presses++
	if w.onPress != nil {
		w.onPress(w, w.presses)
	}
	return nil
}

func (w *world) Hear(context.Context, rescue.Hear) (access.Presence, error) {
	return access.Code{}, errors.New("nobody says a code")
}

func (w *world) Tell(e rescue.Event) {
	w.events = append(w.events, e.Text, e.Source)
	if w.told != nil {
		w.told(e)
	}
}

func (w *world) Choose(_ context.Context, q rescue.Question) (rescue.Answer, error) {
	w.asked = append(w.asked, q.ID)
	w.events = append(w.events, q.Text)
	w.events = append(w.events, q.Lines...)
	a, given := w.answers[q.ID]
	if q.ID == rescue.AskPassword {
		a, given = w.answers[guided.AskTryIt]
	}
	if q.ID == guided.AskTriage {
		a, given = w.answers[rescue.QuestionID(q.Account)], w.answers[rescue.QuestionID(q.Account)] != ""
	}
	switch {
	case q.ID == rescue.AskNewPassword:
		return rescue.Answer{Password: access.NewSecret(w.newOne)}, nil
	case q.ID == guided.AskBeep:
		return rescue.Answer{Yes: !w.deaf}, nil
	case q.ID == guided.AskPage && w.refusesPage && q.Page.Task == string(guided.TaskResetPage):
		return rescue.Answer{}, nil
	case q.ID == guided.AskPage && a != "no":
		w.page(*q.Page)
		return rescue.Answer{Yes: true}, nil
	case q.Hidden:
		return rescue.Answer{Password: access.NewSecret(a)}, nil
	case given:
		return rescue.Answer{Option: a, Yes: a == "yes"}, nil
	case q.ID == rescue.AskAccept:
		return rescue.Answer{Yes: true}, nil
	}
	return rescue.Answer{Option: q.Default}, nil
}

// page is the person in the browser.
func (w *world) page(p rescue.Page) {
	switch guided.Task(p.Task) {
	case guided.TaskResetPage, guided.TaskPassword:
		w.got = append(w.got, w.print+" "+p.Password.Reveal())
		w.passwords[p.Account] = p.Password.Reveal()
	case guided.TaskNetwork:
		w.found.Addresses, w.found.DHCP = []netip.Addr{netip.MustParseAddr("192.0.2.1")}, new(bool)
	case guided.TaskNewAdmin:
		w.settings.Accounts = append(w.settings.Accounts, nas.Account{Name: p.Account, Administrator: true, Enabled: true})
		w.got = append(w.got, w.print+" "+p.Password.Reveal())
		w.passwords[p.Account] = p.Password.Reveal()
	case guided.TaskShares:
		w.shares = []string{"photos", "papers"}
	case guided.TaskInstaller:
		w.found.Status, w.found.StatusText, w.passwords["anna"] = "ready", "Ready", "the installer's password"
	case guided.TaskFirewall:
		w.settings.Firewall.Enabled = true
	case guided.TaskDisableAdmin:
		for i := range w.settings.Accounts {
			w.settings.Accounts[i].Enabled = w.settings.Accounts[i].Enabled && !w.settings.Accounts[i].BuiltIn
		}
	}
}
