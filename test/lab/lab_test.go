package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/cmd/paperclip/app"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
)

// hopeless are the causes at which nobody gets in, and must not be told so.
func hopeless() map[face.Fault]bool {
	return map[face.Fault]bool{face.NeverBack: true, face.NoDrives: true}
}

// causes are what issue 5 names.
func causes() []face.Fault {
	return []face.Fault{
		"", face.OtherAdmin, face.Blocked, face.LostPhone, face.Redirect, face.ShortPress, face.LongPress, face.KeepPassword, face.NotReady,
		face.NoDHCP, face.OtherSubnet, face.NoDrives, face.MachineKey, face.SlowBoot, face.NeverBack, face.Imposter, face.OlderSystem, face.NewerSystem,
	}
}

// result is what rescue --json says, as far as it is judged, or its problem.
type result struct {
	Cause    string   `json:"cause"`
	Way      string   `json:"way"`
	SignedIn bool     `json:"signed_in"`
	NotDone  []string `json:"not_done"`
	Plan     struct {
		Changes []struct{} `json:"changes"`
		Losses  []string   `json:"losses"`
	} `json:"plan"`
	Data *struct {
		Files   int `json:"files"`
		Changed int `json:"changed"`
	} `json:"data"`
	OldPasswordRefused *bool `json:"old_password_refused"`
	Problem            *struct {
		ID string `json:"id"`
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

func rescue(t *testing.T, name string, fault face.Fault) run {
	t.Helper()
	var out, errs bytes.Buffer
	dir := t.TempDir()
	args := []string{"rescue", name, "--lab", "--lab-dir", dir, "--yes", "--json"}
	if fault != "" {
		args = append(args, "--scenario", string(fault))
	}
	begun := time.Now()
	r := run{exit: app.Main(t.Context(), app.Environment{
		Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Getenv: func(k string) string { return map[string]string{"PAPERCLIP_HOME": dir}[k] },
	})}
	r.time, r.out, r.words = time.Since(begun), out.String(), errs.String()
	if err := json.Unmarshal(out.Bytes(), &r.result); err != nil {
		t.Errorf("%v: %s%s", err, &out, &errs)
	}
	return r
}

// Cause × vendor: what came of it. Whoever is told that he is in is in; nobody's
// files change; what ended early says why.
func TestEveryCause(t *testing.T) {
	if os.Getenv("PAPERCLIP_LAB") != "1" {
		t.Skip("every cause by every vendor: make test-lab")
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%-8s %-16s %-22s %-4s %-9s %6s %7s %8s  %s\n", "NAS", "CAUSE", "WAY", "EXIT", "SIGNED IN", "TIME", "CHANGES", "NOT DONE", "PROBLEM")
	for _, name := range []string{"attic", "studio"} {
		for _, fault := range causes() {
			t.Run(name+"/"+string(fault), func(t *testing.T) {
				r := rescue(t, name, fault)
				problem := ""
				if r.Problem != nil {
					problem = r.Problem.ID
				}
				fmt.Fprintf(&table, "%-8s %-16s %-22s %-4d %-9t %5.1fs %7d %8d  %s\n", name, fault, r.Way, r.exit, r.SignedIn, r.time.Seconds(), len(r.Plan.Changes), len(r.NotDone), problem)
				switch {
				case r.exit == 0 && !r.SignedIn:
					t.Errorf("done, and nobody has signed in:\n%s", r.out)
				case hopeless()[fault] && r.SignedIn:
					t.Errorf("nobody can be in:\n%s", r.out)
				case r.Data != nil && r.Data.Changed != 0:
					t.Errorf("%d files changed", r.Data.Changed)
				case problem == "internal", r.exit != 0 && problem == "" && len(r.NotDone) == 0:
					t.Errorf("it ended with %d and does not say why:\n%s\n%s", r.exit, r.out, r.words)
				}
			})
		}
	}
	t.Logf("\n%s", &table)
}
