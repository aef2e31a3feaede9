// Package notice tells the people of a NAS what its administrators should know:
// by a text that everybody reads who signs in at a console or over SSH, and by
// mail to root, where the system can send any.
//
// It is given texts without secrets and decides none of them. It writes one file
// of its own, and never another program's; where mail cannot be sent, nobody
// waits for it.
package notice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"path"
	"strings"
	"time"
	"unicode"

	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Banner is the file that pam_motd shows with the system's own message, on
// Debian at every sign-in at a console and over SSH. It survives a restart.
const Banner = "/etc/motd.d/50-paperclip"

const (
	sendmail    = "/usr/sbin/sendmail"
	mailTime    = 20 * time.Second
	maxText     = 16 << 10 // bytes of a banner or a message
	maxSubject  = 200
	mailFailing = 200 // bytes shown of what sendmail says
)

// System tells by means of the system. It is core.Notifier.
type System struct {
	FS     opfs.FS
	Runner opfs.Runner
	File   string // the banner's; Banner when empty
}

func (s System) file() string {
	if s.File == "" {
		return Banner
	}
	return s.File
}

// Banner shows a text at sign-in; the empty one takes it away.
func (s System) Banner(_ context.Context, text string) error {
	file := s.file()
	now, err := s.FS.ReadFile(file)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case text == "" && err != nil, text != "" && err == nil && bytes.Equal(now, []byte(text)):
		return nil
	case text == "":
		return atomicfile.Remove(s.FS, "notice.banner.remove", file)
	}
	if err := s.FS.MkdirAll("notice.banner.mkdir", path.Dir(file), 0o755); err != nil {
		return err
	}
	return atomicfile.Replace(s.FS, "notice.banner", file, []byte(bounded(text, maxText)), atomicfile.Options{Mode: 0o644, Enforce: true})
}

// Mail sends a message to root, by the system's sendmail, which systemd runs: in
// our own sandbox it could not write to its queue. A system without one sends
// none, which is no error.
func (s System) Mail(ctx context.Context, subject, text string) error {
	if _, err := s.FS.Stat(sendmail); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var m bytes.Buffer
	fmt.Fprintf(&m, "To: root\r\nSubject: %s\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
		mime.QEncoding.Encode("utf-8", oneLine(subject)))
	m.WriteString(bounded(text, maxText))
	out, err := s.Runner.Run(ctx, "notice.mail", opfs.Command{
		Path: "systemd-run", Args: []string{"--quiet", "--collect", "--pipe", "--wait", "--", sendmail, "-i", "--", "root"}, Stdin: m.Bytes(), Timeout: mailTime,
	})
	switch {
	case errors.Is(err, opfs.ErrNoCommand):
		return nil
	case err != nil:
		return err
	case out.ExitCode != 0:
		return fmt.Errorf("sendmail says %q (exit %d)", bounded(strings.TrimSpace(string(out.Stderr)), mailFailing), out.ExitCode)
	}
	return nil
}

// oneLine makes a text fit for a header.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	return bounded(s, maxSubject)
}

func bounded(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}
