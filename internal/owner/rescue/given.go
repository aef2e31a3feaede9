package rescue

import (
	"context"
	"crypto/rand"
	"io"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
)

// Given is a Person of whom some answers were given beforehand, by the flags of
// a command. What was not given it asks the Person inside.
type Given struct {
	Person
	// Yes accepts the plan and takes what a question offers as its default.
	Yes bool
	// NewPassword gives the password to be set, or a generated one; nil asks.
	NewPassword func() (access.Secret, error)
	// Password gives a password that works or was set; nil asks.
	Password func() (access.Secret, error)
	// Answers are those of the set-up wizard that were given, by question.
	Answers map[QuestionID]string
	// RecoveryCode gives the second proof; nil asks.
	RecoveryCode func() (access.Secret, error)
}

// Choose answers what was given, and passes the rest on.
func (g Given) Choose(ctx context.Context, q Question) (Answer, error) {
	switch {
	case q.ID == AskNewPassword && g.NewPassword != nil:
		if q.Advice != "" {
			return Answer{}, catalog.New("file_unusable", "the new password in it will not do. "+q.Advice)
		}
		p, err := g.NewPassword()
		return Answer{Password: p}, err
	case q.ID == AskPassword && g.Password != nil:
		p, err := g.Password()
		return Answer{Password: p}, err
	case q.ID == AskRecoveryCode && g.RecoveryCode != nil:
		if q.Advice != "" {
			return Answer{}, catalog.New("second_proof_wrong")
		}
		p, err := g.RecoveryCode()
		return Answer{Password: p}, err
	case g.Answers[q.ID] != "" || g.Yes && q.Advice != "" && (q.Typed || q.ID == AskRestore):
		if q.Advice != "" {
			return Answer{}, catalog.New("wizard_answer", strings.TrimSuffix(q.Advice, "."))
		}
		return Answer{Option: g.Answers[q.ID]}, nil
	case q.ID == AskAccept && g.Yes:
		return Answer{Yes: true}, nil
	case q.ID == AskSecondFactor && g.Yes:
		return Answer{Option: keepFactor}, nil // it is taken away only by its own flag
	case g.Yes && q.Default != "":
		return Answer{Option: q.Default}, nil
	}
	return g.Person.Choose(ctx, q)
}

// Generate makes a password of 24 characters that can be read aloud, from the
// given source: about 99 bits.
func Generate(r io.Reader) (access.Secret, error) {
	const letters = "abcdefghjkmnpqrstuvwxyz23456789" // 31: none that looks like another
	var b strings.Builder
	var one [1]byte
	for n := 0; n < 20; {
		if _, err := io.ReadFull(r, one[:]); err != nil {
			return access.Secret{}, err
		}
		if int(one[0]) >= 256/len(letters)*len(letters) {
			continue // no bias
		}
		if n > 0 && n%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(letters[int(one[0])%len(letters)])
		n++
	}
	return access.NewSecret(b.String()), nil
}

// Generated is Generate with the system's randomness.
func Generated() (access.Secret, error) { return Generate(rand.Reader) }

// Unattended is a Person where no terminal is: somebody else presses, and a
// program that hears the code writes it down.
type Unattended struct {
	// Code reads what was written down: the code, or ok false while there is
	// none, or none other than the last one it gave. nil: nobody listens.
	Code func() (code access.Presence, ok bool, err error)
	// Say is told what happens; nil is silence.
	Say   func(Event)
	Clock clock.Clock
}

const codePoll = 200 * time.Millisecond

// Press says what is needed and waits until the NAS shows that it was done.
func (u Unattended) Press(ctx context.Context, p Press) error {
	u.Tell(Event{Kind: Note, Step: PressIt, Text: p.Why})
	select {
	case <-p.Opened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Hear waits until a code was written down. After a wrong one it ends with the
// problem wrong_code, unless another one is there already: nobody knows that
// one is wanted.
func (u Unattended) Hear(ctx context.Context, q Hear) (access.Presence, error) {
	if u.Code == nil {
		return nil, catalog.New("no_terminal", "Give --code-file FILE: the code that the NAS beeps, or the one on its label, is to be written there.")
	}
	u.Tell(Event{Kind: Note, Step: HearIt, Text: "Waiting for the code that the NAS beeps."})
	for {
		code, ok, err := u.Code()
		if ok || err != nil {
			return code, err
		}
		if q.Refused {
			p := catalog.New("wrong_code")
			p.WhatToDo += " Write that to the file of --code-file, and run this again."
			return nil, p
		}
		select {
		case <-u.Clock.After(codePoll):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Choose cannot: it says what to give instead.
func (u Unattended) Choose(_ context.Context, q Question) (Answer, error) {
	give := map[QuestionID]string{
		AskTarget:           "Give the name, address, MAC or serial of the NAS.",
		AskWay:              "Give --yes.",
		AskAdministrator:    "Give --administrator NAME.",
		AskScope:            "Give --scope credentials, network or all.",
		AskAccept:           "Give --yes, or run it in a terminal.",
		AskNewPassword:      "Give --password-file FILE or --password-out FILE.",
		AskPassword:         "Give --password-file FILE.",
		AskRecoveryCode:     "Give --recovery-code-file FILE.",
		AskSecondFactor:     "Give --yes, which keeps the second factor, or --second-factor.",
		AskNewAdministrator: "Give --new-administrator NAME.",
		AskName:             "Give --name NAME, or --yes.",
		AskNetwork:          "Give --network dhcp or an address, or --yes.",
		AskRestore:          "Give --restore none, bundle or snapshot, or --yes.",
	}
	return Answer{}, catalog.New("no_terminal", give[q.ID])
}

// Tell passes progress on.
func (u Unattended) Tell(e Event) {
	if u.Say != nil {
		u.Say(e)
	}
}

// CodeFile reads codes from what read returns, each once. Nothing, or the
// beginning of a code, is no code yet; something else, or a whole line that is
// none, is the problem no_code.
func CodeFile(read func() ([]byte, error)) func() (access.Presence, bool, error) {
	last := ""
	return func() (access.Presence, bool, error) {
		data, err := read()
		if err != nil {
			return nil, false, err
		}
		text := string(data)
		code, err := access.ParsePresence(text)
		switch {
		case text == last, strings.TrimSpace(text) == "":
			return nil, false, nil
		case err == nil:
			last = text
			return code, true, nil
		case !strings.HasSuffix(text, "\n") && access.BeginsPresence(text): // more may come
			return nil, false, nil
		}
		return nil, false, catalog.New("no_code").Because(err)
	}
}
