// Package hiddenline reads one line from a terminal that does not show it: a
// password.
//
// It puts the terminal right again whatever happens, and reads no byte behind
// the line. Ctrl-D on an empty line, and Ctrl-C, end it with io.EOF; the
// library's own reading would wait on. It never keeps, prints or judges what was
// typed.
package hiddenline

import (
	"context"
	"os"
	"runtime"

	"golang.org/x/term"
)

// Read reads a line from the terminal f until Enter, io.EOF or the end of ctx,
// whose error it returns. A read at a terminal does not end by itself: after ctx
// somebody still waits for what is typed next.
func Read(ctx context.Context, f *os.File) (string, error) {
	fd := int(f.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	if runtime.GOOS != "windows" { // here, not beside: it is put right again after it
		if _, err := term.MakeRaw(fd); err != nil {
			return "", err
		}
	}
	defer func() { _ = term.Restore(fd, before) }()
	type reading struct {
		text string
		err  error
	}
	got := make(chan reading, 1)
	go func() {
		text, err := read(f, fd)
		got <- reading{text, err}
	}()
	select {
	case r := <-got:
		return r.text, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func read(f *os.File, fd int) (string, error) {
	if runtime.GOOS == "windows" { // a console there has no Ctrl-D, and Ctrl-C is a signal
		text, err := term.ReadPassword(fd)
		return string(text), err
	}
	return term.NewTerminal(keys{f}, "").ReadPassword("")
}

// keys is the keyboard, byte by byte, so that what was typed ahead is left to
// the next question. Nothing is written.
type keys struct{ f *os.File }

func (k keys) Read(p []byte) (int, error)  { return k.f.Read(p[:min(1, len(p))]) }
func (k keys) Write(p []byte) (int, error) { return len(p), nil }
