package notice_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/device/notice"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

type runner struct {
	got  []opfs.Command
	op   string
	out  opfs.Output
	fail error
}

func (r *runner) Run(_ context.Context, op string, c opfs.Command) (opfs.Output, error) {
	r.op, r.got = op, append(r.got, c)
	return r.out, r.fail
}

// D11: a banner is there until it is taken away, and readable by everybody who
// signs in.
func TestBanner(t *testing.T) {
	root := t.TempDir()
	writes := 0
	count := func(_ string, when opfs.When) error {
		if when == opfs.Before {
			writes++
		}
		return nil
	}
	s := notice.System{FS: opfs.Under(root, opfs.OS(count))}
	ctx := context.Background()
	file := filepath.Join(root, notice.Banner)
	if err := s.Banner(ctx, ""); err != nil || writes != 0 {
		t.Errorf("taking away what is not there: %v, %d writes", err, writes)
	}
	for range 2 {
		if err := s.Banner(ctx, "this NAS was reset\n"); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Fatalf("%v %v", err, info)
	}
	before := writes
	if err := s.Banner(ctx, "this NAS was reset\n"); err != nil || writes != before {
		t.Errorf("the same text is written again: %v", err)
	}
	if err := s.Banner(ctx, strings.Repeat("é", 20<<10)); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(file); err != nil || info.Size() > 16<<10 {
		t.Errorf("an endless banner: %v", err)
	}
	if err := s.Banner(ctx, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

// The message goes in by standard input, bounded, and its subject is one line
// whatever is in it.
func TestMail(t *testing.T) {
	r := &runner{}
	root := t.TempDir()
	s := notice.System{FS: opfs.Under(root, opfs.OS(nil)), Runner: r}
	if err := s.Mail(context.Background(), "a", "b"); err != nil || len(r.got) > 0 {
		t.Errorf("a system without mail: %v, %v", err, r.got)
	}
	sendmail := filepath.Join(root, "usr/sbin/sendmail")
	if err := errors.Join(os.MkdirAll(filepath.Dir(sendmail), 0o755), os.WriteFile(sendmail, nil, 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := s.Mail(context.Background(), "reset of cellar\r\nBcc: everybody@example.org", "text\n"); err != nil {
		t.Fatal(err)
	}
	c := r.got[0]
	head, body, _ := strings.Cut(string(c.Stdin), "\r\n\r\n")
	if c.Path != "systemd-run" || !strings.HasSuffix(strings.Join(c.Args, " "), "--pipe --wait -- /usr/sbin/sendmail -i -- root") || r.op != "notice.mail" || c.Timeout <= 0 {
		t.Errorf("%s: %+v", r.op, c)
	}
	if body != "text\n" || strings.Contains(head, "\nBcc:") || !strings.Contains(head, "Subject: reset of cellar") {
		t.Errorf("%q %q", head, body)
	}
	if err := s.Mail(context.Background(), strings.Repeat("é", 1000), strings.Repeat("x", 1<<20)); err != nil || len(r.got[1].Stdin) > 20<<10 {
		t.Errorf("an endless message: %v", err)
	}
	r.fail = opfs.ErrNoCommand
	if err := s.Mail(context.Background(), "a", "b"); err != nil {
		t.Errorf("a system without systemd: %v", err)
	}
	r.fail, r.out = nil, opfs.Output{ExitCode: 75, Stderr: []byte("queue full")}
	if err := s.Mail(context.Background(), "a", "b"); err == nil || !strings.Contains(err.Error(), "queue full") {
		t.Errorf("a failing sendmail: %v", err)
	}
}
