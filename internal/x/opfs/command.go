package opfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	defaultTimeout = 30 * time.Second
	maxOutput      = 1 << 20 // bytes kept of each of stdout and stderr
)

// ErrNoCommand says that the program is not installed.
var ErrNoCommand = errors.New("program not found")

// Command is one external program to run. A secret goes in by Stdin only:
// arguments and environment can be read by others.
type Command struct {
	// Path is absolute, or a bare name that is looked for in the system's own
	// directories (not in $PATH).
	Path    string
	Args    []string
	Stdin   []byte
	Env     []string      // besides a minimal, fixed environment
	Timeout time.Duration // 30 s when zero
}

// Output is what a program left behind. Each stream is cut at 1 MiB.
type Output struct {
	Stdout, Stderr []byte
	ExitCode       int
}

// Runner runs external programs as named operations. Its error says that the
// program could not be run or was stopped (wrapping [ErrNoCommand] when it is
// not there); a program that ran and failed is an ExitCode.
type Runner interface {
	Run(ctx context.Context, op string, c Command) (Output, error)
}

// Exec runs programs of this machine. The hook may be nil.
func Exec(hook Hook) Runner { return execRunner{hook} }

type execRunner struct{ hook Hook }

func (r execRunner) Run(ctx context.Context, op string, c Command) (Output, error) {
	path, err := lookPath(c.Path)
	if err != nil {
		return Output{}, err
	}
	start := func() (out Output, err error) {
		err = r.hook.Around(op, func() (err error) {
			out, err = run(ctx, path, c)
			return err
		})
		return out, err
	}
	if a, kept := ctx.Value(answersKey{}).(*answers); kept {
		return a.once(path, c, start)
	}
	return start()
}

func run(ctx context.Context, path string, c Command) (Output, error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, c.Args...)
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}, c.Env...)
	cmd.Stdin = bytes.NewReader(c.Stdin)
	var stdout, stderr limited
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = 2 * time.Second // a grandchild may hold the pipes open
	err := cmd.Run()
	out := Output{stdout.kept.Bytes(), stderr.kept.Bytes(), cmd.ProcessState.ExitCode()}
	if ctx.Err() != nil {
		return out, fmt.Errorf("%s did not end in time: %w", filepath.Base(path), ctx.Err())
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if !exit.Exited() {
			return out, fmt.Errorf("%s was stopped: %w", filepath.Base(path), err)
		}
		return out, nil
	}
	return out, err
}

// lookPath finds a bare name where the system keeps its tools. $PATH is not
// asked: a service must not run what somebody put there.
func lookPath(name string) (string, error) {
	if filepath.IsAbs(name) {
		if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%s: %w", name, ErrNoCommand)
		}
		return name, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, ErrNoCommand)
}

// limited keeps the first maxOutput bytes and swallows the rest. The buffer is
// not embedded: its ReadFrom would go round the limit.
type limited struct{ kept bytes.Buffer }

// ReadFrom is Write of all that r says, by little: most programs say a line or
// nothing, and io.Copy would take 32 KiB for each.
func (l *limited) ReadFrom(r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{l}, struct{ io.Reader }{r}, make([]byte, 1<<10))
}

func (l *limited) Write(p []byte) (int, error) {
	if room := maxOutput - l.kept.Len(); room > 0 {
		l.kept.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
