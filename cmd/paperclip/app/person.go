package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/lab"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/owner/terminal"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
)

// person is who the rescue asks: at the terminal if there is one, else nobody;
// in the lab a robot presses and hears. What the flags give is not asked.
func (a *app) person(l *lan, o rescueOptions) rescue.Person {
	g := rescue.Given{Yes: o.yes, Answers: o.wizard.answers()}
	switch {
	case o.passwordFile != "":
		read := func() (access.Secret, error) { return readPassword(o.passwordFile) }
		g.NewPassword, g.Password = read, read
	case o.passwordOut != "":
		g.NewPassword = func() (access.Secret, error) { return a.generateInto(o.passwordOut) }
		g.Password = func() (access.Secret, error) { return readPassword(o.passwordOut) }
	case o.yes && l.rack != nil:
		g.NewPassword = rescue.Generated
	}
	if o.recoveryFile != "" {
		g.RecoveryCode = func() (access.Secret, error) { return readPassword(o.recoveryFile) }
	}
	var code func() (access.Presence, bool, error)
	if o.codeFile != "" {
		code = rescue.CodeFile(func() ([]byte, error) { return readCode(o.codeFile) })
	}
	nobody := rescue.Unattended{Code: code, Clock: a.clock, Say: func(e rescue.Event) { a.log(e) }}
	tty, ok := a.tty()
	switch {
	case o.yes && l.rack != nil:
		g.Person = robots{Unattended: nobody, hands: &hands{rack: l.rack}}
	case !ok || o.yes && o.codeFile != "":
		g.Person = nobody
	case l.rack != nil:
		g.Person = terminal.New(tty, a.screen(o.json, tty), clock.Faster(a.clock, max(o.lab.speed, 1)), &hands{rack: l.rack}, a.end)
	default:
		g.Person = terminal.New(tty, a.screen(o.json, tty), a.clock, nil, a.end)
	}
	return g
}

// readCode reads the file of --code-file; one that is not there is empty.
func readCode(name string) ([]byte, error) {
	data, err := readBounded(name, 256)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, catalog.New("file_unusable", reason(err)).Because(err)
	}
	return data, nil
}

// checkFiles judges the files that are given, before a button is pressed: nothing
// that is there by then is half-written. A pipe is read once, when it is needed.
func checkFiles(o rescueOptions) error {
	for _, name := range []string{o.passwordFile, o.recoveryFile} {
		if name == "" {
			continue
		}
		if _, err := os.Stat(name); err != nil {
			return catalog.New("file_unusable", reason(err)).Because(err)
		}
	}
	if info, err := os.Stat(o.codeFile); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	data, err := readCode(o.codeFile)
	if err != nil || len(bytes.TrimSpace(data)) == 0 {
		return err
	}
	if _, err := access.ParsePresence(string(data)); err != nil {
		return catalog.New("no_code").Because(err)
	}
	return nil
}

// log writes progress for people who watch a program.
func (a *app) log(e rescue.Event) {
	switch e.Kind {
	case rescue.Note:
		if e.Source != "" {
			e.Text += " [" + e.Source + "]"
		}
		fmt.Fprintln(a.env.Stderr, e.Text)
	case rescue.StepStarted:
		fmt.Fprintln(a.env.Stderr, e.Text)
	case rescue.StepFailed:
		fmt.Fprintln(a.env.Stderr, "  "+e.Text)
	case rescue.StepDone:
		fmt.Fprintf(a.env.Stderr, "  done, %d ms\n", e.Elapsed.Milliseconds())
	}
}

// hands are the robots that stand before the lab's NAS, each made when its NAS
// is first pressed or listened to.
type hands struct {
	rack   *lab.Rack
	robots map[string]*lab.Robot
}

func (h *hands) robot(device string) (*lab.Robot, error) {
	if r, ok := h.robots[device]; ok {
		return r, nil
	}
	n, ok := h.rack.Named(device)
	if !ok {
		return nil, catalog.New("target_unknown", device)
	}
	if h.robots == nil {
		h.robots = map[string]*lab.Robot{}
	}
	h.robots[device] = n.Robot(nil)
	return h.robots[device], nil
}

func (h *hands) Press(ctx context.Context, p rescue.Press) error {
	r, err := h.robot(p.Device)
	if err != nil {
		return err
	}
	return r.Press(ctx, p)
}

func (h *hands) Hear(ctx context.Context, q rescue.Hear) (access.Presence, error) {
	r, err := h.robot(q.Device)
	if err != nil {
		return nil, err
	}
	return r.Hear(ctx, q)
}

// robots press and hear in the lab, and leave choices to what was given.
type robots struct {
	rescue.Unattended
	hands *hands
}

func (r robots) Press(ctx context.Context, p rescue.Press) error { return r.hands.Press(ctx, p) }
func (r robots) Hear(ctx context.Context, h rescue.Hear) (access.Presence, error) {
	if r.Code != nil { // it was given
		return r.Unattended.Hear(ctx, h)
	}
	return r.hands.Hear(ctx, h)
}

// witness asks the lab's witness beside the NAS that is meant.
type witness struct{ rack *lab.Rack }

func (w witness) Before(ctx context.Context, device string, forgotten ...string) error {
	n, ok := w.rack.Named(device)
	if !ok {
		return catalog.New("target_unknown", device)
	}
	return n.Witness().Before(ctx, device, forgotten...)
}

func (w witness) After(ctx context.Context, device, administrator string) (rescue.Evidence, error) {
	n, ok := w.rack.Named(device)
	if !ok {
		return rescue.Evidence{}, catalog.New("target_unknown", device)
	}
	return n.Witness().After(ctx, device, administrator)
}

// readPassword reads a file's first line, without its line break. Anything else
// in it is part of the password, blanks included.
func readPassword(name string) (access.Secret, error) {
	data, err := readBounded(name, 4096)
	if err != nil {
		return access.Secret{}, catalog.New("file_unusable", reason(err)).Because(err)
	}
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	return access.NewSecret(string(data)), nil
}

// generateInto makes a password and keeps it in a file before it is used, so
// that it is there whatever happens next. A file that is there already, with
// the password of an earlier rescue perhaps, is set aside and not overwritten.
func (a *app) generateInto(name string) (access.Secret, error) {
	p, err := rescue.Generated()
	if err != nil {
		return p, err
	}
	unusable := func(err error) error { return catalog.New("file_unusable", reason(err)).Because(err) }
	if _, err := a.fsys.Lstat(name); err == nil {
		aside := name + "." + time.Now().UTC().Format("20060102T150405.000Z")
		if err := a.fsys.Rename("password.aside", name, aside); err != nil {
			return p, unusable(err)
		}
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return p, unusable(err)
	}
	err = atomicfile.Replace(a.fsys, "password.write", path, []byte(p.Reveal()+"\n"), atomicfile.Options{Mode: 0o600, Enforce: true})
	if err != nil {
		return p, unusable(err)
	}
	return p, nil
}
