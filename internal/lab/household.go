package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/panel/memory"
	store "github.com/paperclip-nas/paperclip/internal/device/setting/memory"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/domain/ways"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
	"github.com/paperclip-nas/paperclip/internal/owner/guided"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
)

// Household are the people of a virtual NAS with another vendor's face: what
// they remember, what they read from its label, hear in front of it, and do in
// a browser on its pages. Like the Robot, they know nothing but that.
type Household struct {
	rescue.Person // presses, and answers what is asked of any NAS
	nas           *NAS
	ear           *memory.Listener
	made          access.Secret // the password typed into an installer
}

// People returns the people of this NAS; other answers what they do not.
func (n *NAS) People(other rescue.Person) *Household {
	return &Household{Person: other, nas: n, ear: n.panel.Listen()}
}

// Beside returns what stands in for a person at a terminal where a virtual NAS has
// nothing to see, hear or click: what they say is done in the browser is done,
// its beep is heard for them, and its label read to them. The rest they answer.
func (h *Household) Beside() rescue.Person { return beside{h.Person, h} }

type beside struct {
	rescue.Person
	h *Household
}

func (b beside) Choose(ctx context.Context, q rescue.Question) (rescue.Answer, error) {
	id := b.h.nas.model.identity
	switch q.ID {
	case guided.AskBeep:
		return b.h.Choose(ctx, q)
	case guided.AskPage:
		q.Lines = append(q.Lines, "This NAS is virtual, and has no such page: say yes, and it is as if you had done it.")
		if a, err := b.Person.Choose(ctx, q); err != nil || !a.Yes {
			return a, err
		}
		return b.h.Choose(ctx, q)
	case guided.AskLabel, guided.AskCloudKey:
		text := "The label of this virtual NAS reads: serial " + id.Serial + ", MAC " + id.MACs[0]
		if b.h.nas.model.cloudKey != "" {
			text += ", Cloud Key " + b.h.nas.model.cloudKey
		}
		q.Lines = append(q.Lines, text+".")
	}
	return b.Person.Choose(ctx, q)
}

// Choose answers what a guided rescue asks.
func (h *Household) Choose(ctx context.Context, q rescue.Question) (rescue.Answer, error) {
	sc := h.nas.box.Scenario()
	yes := func(b bool) (rescue.Answer, error) {
		if b {
			return rescue.Answer{Yes: true, Option: "yes"}, nil
		}
		return rescue.Answer{Option: "no"}, nil
	}
	switch q.ID {
	case guided.AskTry:
		return yes(h.remembers())
	case guided.AskAccount:
		if q.Account == guided.Other {
			return rescue.Answer{Option: face.Second}, nil
		}
		return rescue.Answer{Option: face.Owner}, nil
	case guided.AskTryIt, rescue.AskPassword:
		p, ok := h.password(q.Account)
		if !ok {
			return h.Person.Choose(ctx, q)
		}
		return rescue.Answer{Password: p}, nil
	case guided.AskCode:
		code, _ := h.nas.box.Phone(q.Account)
		return rescue.Answer{Password: access.NewSecret(code)}, nil
	case guided.AskTriage:
		switch triage.QuestionID(q.Account) {
		case triage.HavePhone:
			return yes(sc.Has(face.HasPhone))
		case triage.GetsInThere:
			return yes(sc.Has(face.Blocked))
		case triage.LowerCase:
			return yes(true)
		}
		return rescue.Answer{Option: "unknown"}, nil
	case guided.AskLabel:
		return rescue.Answer{Option: h.nas.model.identity.Serial}, nil
	case guided.AskCloudKey:
		return rescue.Answer{Option: h.nas.DefaultPassword().Reveal()}, nil
	case guided.AskBeep:
		return yes(h.hears(ctx))
	case guided.AskDoor:
		return yes(false)
	case guided.AskBackup:
		return yes(sc.Has(face.HasBackup))
	case guided.AskOther:
		if sc.Has(face.ModeTwo) {
			return rescue.Answer{Option: string(ways.Reset2)}, nil
		}
		return rescue.Answer{Option: q.Default}, nil
	case guided.AskPage:
		err := h.browse(ctx, *q.Page)
		return yes(err == nil)
	case rescue.AskWay:
		for _, w := range h.prefers() {
			if slices.ContainsFunc(q.Options, func(o rescue.Option) bool { return o.ID == string(w) }) {
				return rescue.Answer{Option: string(w)}, nil
			}
		}
	case rescue.AskAdministrator:
		if slices.ContainsFunc(q.Options, func(o rescue.Option) bool { return o.ID == face.Owner }) {
			return rescue.Answer{Option: face.Owner}, nil
		}
	}
	return h.Person.Choose(ctx, q)
}

// remembers reports whether the owner's password is known, and something else
// is the matter.
func (h *Household) remembers() bool {
	sc := h.nas.box.Scenario()
	return slices.ContainsFunc([]face.Fault{face.Blocked, face.LostPhone, face.HasPhone, face.Disabled, face.Expired, face.LockedOut, face.Privilege}, sc.Has)
}

func (h *Household) password(account string) (access.Secret, bool) {
	switch {
	case !h.made.Empty():
		return h.made, true
	case account == face.Owner && h.remembers():
		return h.nas.recall(account)
	}
	return h.nas.Household(account)
}

// prefers are the ways for which somebody in this house has what they need.
func (h *Household) prefers() []ways.ID {
	sc := h.nas.box.Scenario()
	var out []ways.ID
	if sc.Has(face.OtherAdmin) {
		out = append(out, ways.OtherAdministrator)
	}
	if sc.Has(face.HasPhone) {
		out = append(out, ways.BrowserChange)
	}
	if sc.Has(face.Redirect) {
		out = append(out, ways.Reset1)
	}
	if sc.Has(face.Blocked) {
		out = append(out, ways.AnotherAddress)
	}
	return out
}

// hears waits a moment for a tone.
func (h *Household) hears(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		tone, err := h.ear.Next(ctx)
		if errors.Is(err, memory.ErrMissed) {
			continue
		}
		if err != nil {
			return false
		}
		if tone.Hz > 0 {
			return true
		}
	}
}

// browse is the person's browser, and what is typed and ticked in it.
func (h *Household) browse(ctx context.Context, p rescue.Page) error {
	box := h.nas.box
	task, way, _ := strings.Cut(p.Task, ":")
	switch guided.Task(task) {
	case guided.TaskResetPage:
		return h.nas.ResetPage(ctx, p.Account, p.Password)
	case guided.TaskPassword:
		err := box.EditSettings(func(s *nas.Settings) {
			for i := range s.Accounts {
				if s.Accounts[i].Name == p.Account {
					s.Accounts[i].Enabled = true
				}
			}
		})
		return errors.Join(err, box.SetPassword(p.Account, p.Password, ""))
	case guided.TaskDisableAdmin:
		return box.EditSettings(func(s *nas.Settings) {
			for i := range s.Accounts {
				if s.Accounts[i].BuiltIn {
					s.Accounts[i].Enabled = false
				}
			}
		})
	case guided.TaskFirewall:
		return box.EditSettings(func(s *nas.Settings) { s.Firewall.Enabled = true })
	case guided.TaskProtection:
		return box.EditSettings(func(s *nas.Settings) { s.AutoBlock.Enabled = true })
	case guided.TaskSecondOff:
		return box.EditSettings(func(s *nas.Settings) {
			for i := range s.Accounts {
				if s.Accounts[i].Name == p.Account {
					s.Accounts[i].SecondFactor = false
				}
			}
		})
	case guided.TaskNewAdmin:
		err := box.EditSettings(func(s *nas.Settings) {
			s.Accounts = append(s.Accounts, nas.Account{Name: p.Account, Administrator: true, Enabled: true})
		})
		return errors.Join(err, box.SetPassword(p.Account, p.Password, ""))
	case guided.TaskShares: // the household knows what its folders are called
		return box.Remember(func(m *face.Memory) { m.Shares = face.Shares() })
	case guided.TaskRestoreDSS: // users, groups, shares; passwords are those of now where there is one
		return box.EditSettings(func(s *nas.Settings) {
			for _, a := range h.nas.model.settings.Accounts {
				if _, there := s.Account(a.Name); !there {
					s.Accounts = append(s.Accounts, a)
				}
			}
			s.Shares = h.nas.model.settings.Shares
		})
	case guided.TaskPorts:
		return box.EditSettings(func(s *nas.Settings) { s.Ports = h.nas.model.settings.Clone().Ports })
	case guided.TaskNetwork:
		err := box.EditSettings(func(s *nas.Settings) {
			if len(s.Interfaces) > 0 {
				was := h.nas.model.settings.Interfaces[0]
				s.Interfaces[0] = was
			}
		})
		return errors.Join(err, box.Move())
	case guided.TaskInstaller:
		return h.install()
	case guided.TaskByHand:
		return h.byHand(ways.ID(way))
	}
	return errors.New("nobody here does that")
}

// install goes through the installer's wizard: a new administrator, with a
// password of now.
func (h *Household) install() error {
	h.made = access.NewSecret("installed " + rand.Text())
	hash, err := store.Hash(rand.Reader, h.made)
	if err != nil {
		return err
	}
	ports := nas.DefaultPorts()
	return h.nas.box.Install(nas.Settings{
		Accounts:   []nas.Account{{Name: face.Owner, Administrator: true, Enabled: true}, {Name: "admin", Administrator: true, BuiltIn: true}},
		Guest:      &nas.Guest{},
		Ports:      &ports,
		Interfaces: []nas.Interface{{Name: "eth0", Method: nas.DHCP, Addresses: []netip.Prefix{}, MTU: 1500}},
		AutoBlock:  &nas.AutoBlock{Enabled: true},
		Firewall:   &nas.Firewall{Enabled: true},
	}, face.Owner, hash)
}

// byHand is what a person does elsewhere: from another computer the block is
// taken away; with the phone there is nothing to do.
func (h *Household) byHand(w ways.ID) error {
	switch w {
	case ways.AnotherAddress:
		return h.nas.box.EditSettings(func(s *nas.Settings) {
			s.AutoBlock.Blocked = slices.DeleteFunc(s.AutoBlock.Blocked, func(a string) bool { return strings.HasPrefix(a, "127.") })
		})
	case ways.BrowserChange, ways.RightPort:
		return nil
	}
	return errors.New("nobody here does that")
}

// Remembered is the owner's name and a password that opens the NAS, as somebody
// has who is not locked out.
func (n *NAS) Remembered() (account string, password access.Secret, err error) {
	password = access.NewSecret("remembered " + rand.Text())
	if n.box == nil {
		return "", access.Secret{}, errors.New("this NAS is asked by its own owner key")
	}
	account = face.Owner
	if _, there := n.box.Settings().Account(account); !there {
		account = "admin"
	}
	return account, password, n.box.SetPassword(account, password, "")
}
