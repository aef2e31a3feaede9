package net

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/cmd/paperclip/app"
)

// asProgram makes the test's binary the program itself, in a process of its own.
const asProgram = "PAPERCLIP_NET_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(app.Main(ctx, app.Environment{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
	}))
}

// onScreen is when lines came out of paperclip find --watch.
type onScreen struct {
	first time.Duration // from the first answer on the wire to the first line
	all   time.Duration // from the start of the program to the last of n lines
}

// watch runs the program, in a process of its own, until n devices have appeared.
func (c *crowd) watch(n int) onScreen {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), os.Args[0], "find", "--watch", "--json", "--via", "findhost,qfinder,mdns")
	cmd.Env = append(os.Environ(), asProgram+"=1", "PAPERCLIP_HOME="+c.t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	c.first.Store(0)
	start := time.Now()
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}()
	var o onScreen
	lines := bufio.NewReader(out)
	for seen := 0; seen < n; {
		line, err := lines.ReadString('\n')
		if err != nil {
			c.t.Fatalf("after %d of %d: %v", seen, n, err)
		}
		if o.first == 0 {
			o.first = time.Since(time.Unix(0, c.first.Load()))
		}
		if strings.Contains(line, `"appeared"`) {
			seen++
		}
	}
	o.all = time.Since(start)
	return o
}

// The first device is on screen soon after its first answer, in a crowd too. The
// times are told and not judged: the machine may be busy.
func TestFirstOnScreen(t *testing.T) {
	isolated(t, nil, func(t *testing.T) {
		c := lan(t)
		c.addresses(1000)
		c.synology(0, 1000)
		for range 5 {
			o := c.watch(1000)
			t.Logf("1,000 devices: the first on screen %v after its answer, all %v after the program's start", o.first, o.all)
		}
	})
}
