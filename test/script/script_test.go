package script

import (
	"context"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/paperclip-nas/paperclip/cmd/paperclip/app"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/lab"
	"github.com/paperclip-nas/paperclip/internal/x/scratch"
)

// What a script sets to have done what no flag does.
const (
	interruptAt = "TEST_INTERRUPT_AT" // stop, as Ctrl-C does, when people are told this
	killAt      = "TEST_KILL_AT"      // end the process at once
	crashAt     = "TEST_CRASH_AT"     // panic, and print what every goroutine does
	meddleAt    = "TEST_MEDDLE_AT"    // change one file of the volume
	meddleWith  = "TEST_MEDDLE"       // byte, mode or name
	drop        = "TEST_DROP"         // the effect whose writes get lost
	trial       = "TEST_TRIAL"        // how long a restore has to be confirmed
)

func TestMain(m *testing.M) {
	// Scripts wait for holds, beeps and restarts more than they compute.
	if err := flag.Set("test.parallel", "12"); err != nil { // -parallel says otherwise
		panic(err)
	}
	testscript.Main(m, map[string]func(){"paperclip": paperclip})
}

// paperclip is the program, with what the script's environment asks for.
func paperclip() {
	ctx, cancel := context.WithCancel(context.Background())
	told := &watched{to: os.Stderr, cancel: cancel}
	os.Exit(app.Main(ctx, app.Environment{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: told, Getenv: os.Getenv,
		Lab: lab.Options{Drop: nas.Effect(os.Getenv(drop)), Trial: trialTime()},
	}))
}

// watched acts on what people are told.
type watched struct {
	mu     sync.Mutex
	to     io.Writer
	seen   string
	cancel func()
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen += string(p)
	if w.reached(killAt) {
		os.Exit(137)
	}
	if w.reached(crashAt) {
		debug.SetTraceback("all")
		panic("a test crashes the program")
	}
	if w.reached(interruptAt) {
		w.cancel()
	}
	if w.reached(meddleAt) {
		if err := meddle(os.Getenv(meddleWith)); err != nil {
			fmt.Fprintln(os.Stderr, "meddling failed:", err)
			os.Exit(99)
		}
		w.seen = ""
	}
	return w.to.Write(p)
}

func (w *watched) reached(name string) bool {
	at := os.Getenv(name)
	return at != "" && strings.Contains(w.seen, at)
}

// meddle changes one file on cellar's volume.
func meddle(how string) error {
	volume := filepath.Join(os.Getenv("PAPERCLIP_HOME"), "lab", "cellar", "volume1")
	var file string
	err := filepath.WalkDir(volume, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			file = name
		}
		return err
	})
	if err != nil || file == "" {
		return fmt.Errorf("no file in %s: %w", volume, err)
	}
	switch how {
	case "mode":
		return os.Chmod(file, 0o707)
	case "name":
		return os.Rename(file, file+".renamed")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return os.WriteFile(file, data, 0)
}

// alter changes one byte of a file: alter FILE OFFSET.
func alter(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: alter FILE")
	}
	name := ts.MkAbs(args[0])
	data, err := os.ReadFile(name)
	ts.Check(err)
	data[len(data)/2] ^= 1
	ts.Check(os.WriteFile(name, data, 0o600))
}

// rescueID puts the id of the only rescue of the lab into an environment
// variable: rescueid VARIABLE.
func rescueID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: rescueid VARIABLE")
	}
	dir := ts.MkAbs("home/lab/owner/rescues")
	entries, err := os.ReadDir(dir)
	ts.Check(err)
	if len(entries) != 1 {
		ts.Fatalf("%d rescues in %s", len(entries), dir)
	}
	ts.Setenv(args[0], entries[0].Name())
}

// raced are the scripts whose programs have the race detector in them, where this
// test has it: a whole recovery of each vendor's NAS, by all that runs at once in
// the lab and in the program. With it a program costs ten times as much, and there
// are two hundred: what else they do at once is raced in internal/lab and
// internal/owner.
func raced() []string { return []string{"script-rescue_yes", "script-rescue_vendors"} }

// plain is a folder with the program built without the race detector, and with the
// small hashes of a build that has it; "" where this test has none, or cannot build.
func plain(t *testing.T) string {
	if !raceDetector {
		return ""
	}
	dir := t.TempDir()
	if text, err := exec.Command("go", "test", "-c", "-vet=off", "-race=false", "-tags=cheaphash", "-o", filepath.Join(dir, "paperclip"), ".").CombinedOutput(); err != nil {
		t.Logf("every program has the race detector, slowly: %v: %s", err, text)
		return ""
	}
	return dir
}

func TestScripts(t *testing.T) {
	fast := plain(t)
	testscript.Run(t, testscript.Params{
		Dir:         "testdata",
		WorkdirRoot: scratch.Dir(t), // each rack is a thousand files and more
		Setup: func(e *testscript.Env) error {
			if fast != "" && !slices.Contains(raced(), filepath.Base(e.WorkDir)) {
				e.Setenv("PATH", fast+string(filepath.ListSeparator)+e.Getenv("PATH"))
			}
			home := filepath.Join(e.WorkDir, "home")
			e.Setenv("PAPERCLIP_HOME", home)
			e.Setenv("HOME", e.WorkDir)
			return os.MkdirAll(home, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"alter": alter, "rescueid": rescueID, "status": status},
		Condition: func(cond string) (bool, error) {
			if cond == "pty" {
				return runtime.GOOS == "linux" || runtime.GOOS == "darwin", nil
			}
			return false, fmt.Errorf("no condition %q", cond)
		},
	})
}

// status runs the program and holds its exit status: status N ARG….
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: status N [ARG…]")
	}
	err := ts.Exec("paperclip", args[1:]...)
	got := 0
	if err != nil {
		exit, ok := err.(*exec.ExitError)
		if !ok {
			ts.Fatalf("paperclip %v: %v", args[1:], err)
		}
		got = exit.ExitCode()
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("paperclip %s: exit status %d, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// trialTime is what TEST_TRIAL says; 0 is the lab's own.
func trialTime() time.Duration {
	d, err := time.ParseDuration(os.Getenv(trial))
	if err != nil {
		return 0
	}
	return d
}
