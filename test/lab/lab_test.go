package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/cmd/paperclip/app"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
)

const (
	attic  = "attic"  // the Synology
	studio = "studio" // the QNAP
)

// trial is one cause by one way, and how it has to end.
type trial struct {
	nas  string
	what []face.Fault
	args []string // more of the command line, such as the way
	exit int
	in   bool // whether somebody is signed in at the end
}

func (c trial) scenario() string {
	var names []string
	for _, f := range c.what {
		names = append(names, string(f))
	}
	return strings.Join(names, ",")
}

func (c trial) String() string {
	return strings.Trim(c.nas+"/"+c.scenario()+" "+strings.Join(c.args, " "), " ")
}

func faster() []string { return []string{"--speed", "20"} }

// trials are the causes that bring people here, and more. Who cannot be let in is not told that
// they are; what could not be done ends with 5, and what is refused with 4.
func trials() []trial {
	both := func(exit int, in bool, what ...face.Fault) []trial {
		return []trial{{attic, what, nil, exit, in}, {studio, what, nil, exit, in}}
	}
	return slices.Concat(
		[]trial{ // the longest first: they only wait
			{attic, []face.Fault{face.NeverBack}, faster(), 5, false},
			{studio, []face.Fault{face.NeverBack}, faster(), 5, false},
			{attic, []face.Fault{face.SlowBoot}, faster(), 0, true},
			{studio, []face.Fault{face.SlowBoot}, faster(), 0, true},
			{studio, []face.Fault{face.NoDrives}, faster(), 1, false}, // never ready, and not pressed
			{attic, []face.Fault{face.NoDrives}, nil, 5, false},       // told to look at the drives, which nobody here does
			{attic, []face.Fault{face.KeepPassword, face.ModeTwo, face.HasBackup}, nil, 0, true},
			{attic, []face.Fault{face.HasBackup}, []string{"--way", "reset_2"}, 0, true},
			{attic, nil, []string{"--way", "reset_2"}, 5, true}, // without a backup the users are to be made anew
		},
		both(0, true),
		both(0, true, face.ShortPress),
		[]trial{
			{attic, []face.Fault{face.LongPress}, nil, 0, true},
			{studio, []face.Fault{face.LongPress}, nil, 5, true}, // 10 s delete users: they are to be made anew
			{attic, []face.Fault{face.KeepPassword}, nil, 4, false},
			{studio, []face.Fault{face.KeepPassword}, nil, 0, true}, // QTS has no such option
		},
		both(0, true, face.OtherAdmin),
		both(0, true, face.Blocked),
		both(0, true, face.LostPhone),
		both(0, true, face.HasPhone),
		both(0, true, face.Redirect),
		both(0, true, face.NotReady),
		both(0, true, face.NoDHCP),
		both(3, false, face.OtherSubnet), // not found, with findings
		both(0, true, face.MachineKey),
		both(4, false, face.Imposter),
		both(0, true, face.Disabled),
		both(0, true, face.ForgotMail),
		both(0, true, face.OlderSystem),
		both(0, true, face.NewerSystem),
		[]trial{
			{attic, []face.Fault{face.Privilege}, nil, 0, true}, // as admin, who gives it back
			{studio, []face.Fault{face.Privilege}, nil, 5, false},
			{attic, []face.Fault{face.Expired}, nil, 4, false},
			{studio, []face.Fault{face.Expired}, nil, 5, false},
			{attic, []face.Fault{face.LockedOut}, nil, 5, false},
			{studio, []face.Fault{face.LockedOut}, nil, 5, false},
		},
	)
}

// result is what rescue --json says, as far as it is judged, or its problem.
type result struct {
	Cause    string   `json:"cause"`
	Way      string   `json:"way"`
	SignedIn bool     `json:"signed_in"`
	Restored []string `json:"restored"`
	NotDone  []string `json:"not_done"`
	Plan     struct {
		Changes []struct{} `json:"changes"`
		Losses  []string   `json:"losses"`
	} `json:"plan"`
	Data *struct {
		Files   int `json:"files"`
		Changed int `json:"changed"`
	} `json:"data"`
	OldPasswordRefused *bool    `json:"old_password_refused"`
	Invented           []string `json:"invented"`
	Problem            *struct {
		ID       string `json:"id"`
		WhatToDo string `json:"what_to_do"`
	} `json:"problem"`
}

// run is one rescue, and how it ended.
type run struct {
	result
	exit  int
	time  time.Duration
	out   string
	words string
}

func (c trial) rescue(t *testing.T) run {
	t.Helper()
	var out, errs bytes.Buffer
	dir := t.TempDir()
	file := filepath.Join(dir, "new")
	if err := os.WriteFile(file, []byte(newPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"rescue", c.nas, "--lab", "--lab-dir", filepath.Join(dir, "lab"), "--yes", "--json", "--password-file", file}
	if len(c.what) > 0 {
		args = append(args, "--scenario", c.scenario())
	}
	begun := time.Now()
	r := run{exit: app.Main(t.Context(), app.Environment{
		Args: append(args, c.args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Getenv: func(k string) string { return map[string]string{"PAPERCLIP_HOME": dir}[k] },
	})}
	r.time, r.out, r.words = time.Since(begun), out.String(), errs.String()
	if secret := leaked(t, filepath.Join(dir, "lab", "owner"), r.out, r.words); secret != "" {
		t.Errorf("a password is shown or kept: %s", secret)
	}
	if err := json.Unmarshal(out.Bytes(), &r.result); err != nil {
		t.Errorf("%v: %s%s", err, &out, &errs)
	}
	return r
}

// Cause × way × vendor: what came of it. Whoever is told that he is in is in;
// nobody's files change; what ended early says why ("None ends with less
// than it promised").
func TestEveryCause(t *testing.T) {
	if os.Getenv("PAPERCLIP_LAB") != "1" {
		t.Skip("every cause by every vendor: make test-lab")
	}
	var mu sync.Mutex
	rows := map[string]string{}
	t.Run("trials", func(t *testing.T) {
		for _, c := range trials() {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel() // they wait most of the time
				r := c.rescue(t)
				c.judge(t, r)
				mu.Lock()
				defer mu.Unlock()
				rows[c.String()] = c.row(r)
			})
		}
	})
	var table strings.Builder
	fmt.Fprintf(&table, "%-46s %-27s %-20s %4s %-3s %7s %5s  %s\n", "NAS/SCENARIO", "CAUSE", "WAY", "EXIT", "IN", "TIME", "LOST", "RESTORED; LEFT; PROBLEM")
	for _, c := range trials() {
		table.WriteString(rows[c.String()])
	}
	t.Logf("\n%s", &table)
}

func (c trial) row(r run) string {
	in := "no"
	if r.SignedIn {
		in = "yes"
	}
	said := strings.Join(r.Restored, ", ")
	if len(r.NotDone) > 0 {
		said += "; left: " + strings.Join(r.NotDone, ", ")
	}
	if r.Problem != nil {
		said += "; " + r.Problem.ID
	}
	return fmt.Sprintf("%-46s %-27s %-20s %4d %-3s %6.1fs %5d  %s\n", c, r.Cause, r.Way, r.exit, in, r.time.Seconds(), len(r.Plan.Changes), strings.TrimPrefix(said, "; "))
}

func (c trial) judge(t *testing.T, r run) {
	t.Helper()
	problem := ""
	if r.Problem != nil {
		problem = r.Problem.ID
	}
	if r.exit != c.exit || r.SignedIn != c.in {
		t.Errorf("it ended with %d, signed in %t; want %d, %t:\n%s\n%s", r.exit, r.SignedIn, c.exit, c.in, r.out, r.words)
	}
	switch {
	case r.exit == 0 && (!r.SignedIn || len(r.NotDone) > 0 || r.Data == nil):
		t.Errorf("done, and something is not:\n%s", r.out)
	case r.Data != nil && (r.Data.Changed != 0 || r.Data.Files == 0):
		t.Errorf("of %d files %d changed", r.Data.Files, r.Data.Changed)
	case problem == "internal", r.exit != 0 && problem == "":
		t.Errorf("it does not say why:\n%s\n%s", r.out, r.words)
	case r.Way != "" && len(r.Invented) == 0:
		t.Error("what the lab made up is not said")
	}
}

const newPassword = "eleven quiet bridges"

// secrets are the passwords of the lab: the new one, those that the witness and
// the household made up, and what the QNAP has after a reset.
func secrets() *regexp.Regexp {
	return regexp.MustCompile(newPassword + `|(?:forgotten|installed) [A-Z2-7]{26}|24:?5E:?BE:?4C:?00:?0D|Q7K3M-?X2P9`)
}

// leaked is where a password stands in what was told, or in what the owner's
// computer keeps: rescues, certificates, settings, receipts.
func leaked(t *testing.T, owner string, told ...string) string {
	t.Helper()
	for i, text := range told {
		if at := secrets().FindStringIndex(text); at != nil {
			return fmt.Sprintf("in output %d after %q", i+1, text[max(0, at[0]-60):at[0]])
		}
	}
	found := ""
	err := filepath.WalkDir(owner, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if secrets().Match(b) {
			found = path
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return found
}
