//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/core"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/buildversion"
)

// paperclipd runs a command line on the root and returns what it said.
func paperclipd(t *testing.T, root string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"--root", root}, args...), strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// newRootFolder is a Debian with two accounts, as far as files go.
func newRootFolder(t *testing.T) string {
	t.Helper()
	root, err := os.MkdirTemp("", "pcd") // the socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	for path, text := range map[string]string{
		"etc/os-release":               "ID=debian\nVERSION_ID=\"12\"\n",
		"etc/passwd":                   "root:x:0:0::/root:/bin/bash\nanna:x:1000:1000::/home/anna:/bin/bash\n",
		"etc/group":                    "root:x:0:\nsudo:x:27:anna\nanna:x:1000:\n",
		"etc/shadow":                   "root:*:20000:0:99999:7:::\nanna:$6$saltsalt$xxxx:20000:0:99999:7:::\n",
		"run/systemd/system/.keep":     "",
		"run/paperclip/.keep":          "",
		"var/lib/paperclip/.keep":      "",
		"etc/paperclip/.keep":          "",
		"etc/paperclip/paperclip.toml": "[device]\nname = \"cellar\"\n[panel]\nbutton = \"none\"\nbeeper = \"none\"\n",
	} {
		write(t, filepath.Join(root, path), text)
	}
	return root
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tree is every file below root with its content.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// The daemon says which build it is, so that a report can name it.
func TestVersion(t *testing.T) {
	code, stdout, stderr := paperclipd(t, newRootFolder(t), "--version")
	if want := "paperclipd " + buildversion.String() + "\n"; code != 0 || stdout != want || stderr != "" {
		t.Errorf("exit %d, %q, %q, want %q", code, stdout, stderr, want)
	}
}

// Bad input: a clear message, the right exit status, nothing changed.
func TestBadInput(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(root string)
		args    []string
		code    catalog.Exit
		says    string
	}{
		"unknown command":    {nil, []string{"frobnicate"}, catalog.WrongUse, "frobnicate"},
		"unknown flag":       {nil, []string{"core", "--frobnicate"}, catalog.WrongUse, "frobnicate"},
		"argument too many":  {nil, []string{"status", "now"}, catalog.WrongUse, "now"},
		"mode":               {nil, []string{"plan", "--mode", "medium"}, catalog.WrongUse, "medium"},
		"scope":              {nil, []string{"plan", "--scope", "everything"}, catalog.WrongUse, "everything"},
		"administrator":      {nil, []string{"plan", "--administrator", "ben"}, catalog.Refused, "ben"},
		"no password":        {nil, []string{"reset-password", "anna"}, catalog.WrongUse, "standard input"},
		"nobody named":       {nil, []string{"reset-password"}, catalog.WrongUse, "one account"},
		"codes for nobody":   {nil, []string{"codes"}, catalog.WrongUse, "one account"},
		"codes without core": {nil, []string{"codes", "anna"}, catalog.Failed, "does not answer"},
		"policy, no hours":   {file("etc/paperclip/paperclip.toml", "[claim]\nallows = \"wait 0h\"\n"), []string{"core"}, catalog.WrongUse, "wait 24h"},
		"requests, an ID":    {nil, []string{"requests", "r1"}, catalog.WrongUse, "r1"},
		"refuse with an ID":  {nil, []string{"requests", "--refuse", "r1"}, catalog.Failed, "does not answer"},
		"refuse two":         {nil, []string{"requests", "--refuse", "r1", "r2"}, catalog.WrongUse, "r1"},
		"no core: requests":  {nil, []string{"requests", "--refuse"}, catalog.Failed, "does not answer"},
		"core is not there":  {nil, []string{"status"}, catalog.Failed, "does not answer"},
		"no core: receipts":  {nil, []string{"receipts"}, catalog.Failed, "does not answer"},
		"unknown key":        {file("etc/paperclip/paperclip.toml", "[device]\nnmae = \"cellar\"\n"), []string{"core"}, catalog.WrongUse, "line 2, column 1"},
		"unknown key, front": {file("etc/paperclip/paperclip.toml", "[device]\nnmae = \"cellar\"\n"), []string{"front"}, catalog.WrongUse, "line 2, column 1"},
		"unknown key, plan":  {file("etc/paperclip/paperclip.toml", "[device]\nnmae = \"cellar\"\n"), []string{"plan"}, catalog.WrongUse, "line 2, column 1"},
		"vendor's profile":   {file("etc/paperclip/paperclip.toml", "[panel]\nprofile = \"synology\"\n"), []string{"core"}, catalog.WrongUse, "synology"},
		"other system":       {file("etc/os-release", "ID=ubuntu\nVERSION_ID=\"24.04\"\n"), []string{"core"}, catalog.Failed, "ubuntu 24.04"},
		"half a state":       {halfState, []string{"core"}, catalog.Failed, "neither finished nor undone"},
		"half a state: boot": {halfState, []string{"recover"}, catalog.Failed, "neither finished nor undone"},
		"half a state: says": {halfState, []string{"status"}, catalog.Failed, "console is open"},
	} {
		t.Run(name, func(t *testing.T) {
			root := newRootFolder(t)
			if c.prepare != nil {
				c.prepare(root)
			}
			before := tree(t, root)
			code, _, stderr := paperclipd(t, root, c.args...)
			if code != int(c.code) || !strings.Contains(stderr, c.says) {
				t.Errorf("exit %d, want %d; it says %q", code, c.code, stderr)
			}
			if strings.Contains(stderr, "goroutine") {
				t.Error("it shows a stack trace")
			}
			after := tree(t, root)
			delete(after, filepath.Join(root, "var/lib/paperclip/identity.key")) // made at the first start
			if !maps.Equal(before, after) {
				t.Error("a file was changed")
			}
		})
	}
}

// Without a word on the command line it says where to begin; each flag says what
// it takes in capitals.
func TestHelp(t *testing.T) {
	for _, args := range [][]string{nil, {"plan", "--help"}, {"restore", "--help"}} {
		code, stdout, _ := paperclipd(t, newRootFolder(t), args...)
		if code != 0 || args == nil && !strings.Contains(stdout, "sudo paperclipd doctor") {
			t.Errorf("%v: exit %d, %s", args, code, stdout)
		}
		if regexp.MustCompile(`--\S+ (string|strings|int|duration)\b`).MatchString(stdout) {
			t.Errorf("%v: a flag's type is shown in place of what it takes: %s", args, stdout)
		}
	}
}

// Ctrl-C ends a prompt, though nothing is typed any more.
func TestPromptIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	never := make(chan struct{})
	defer close(never)
	cancel()
	_, err := await(ctx, func() (string, error) { <-never; return "", nil })
	if !errors.Is(err, catalog.New("interrupted")) {
		t.Error(err)
	}
}

func file(path, text string) func(string) {
	return func(root string) { _ = os.WriteFile(filepath.Join(root, path), []byte(text), 0o600) }
}

// halfState is an accepted reset whose record is damaged in both copies.
func halfState(root string) {
	for _, name := range []string{"journal.open", "journal.a", "journal.b"} {
		file("var/lib/paperclip/"+name, "rubbish\n")(root)
	}
}

// A mistake in the configuration keeps core from starting, not the doors.
func TestRecoverGoesOnWithoutTheConfiguration(t *testing.T) {
	root := newRootFolder(t)
	file("etc/paperclip/paperclip.toml", "nonsense")(root)
	if code, _, stderr := paperclipd(t, root, "recover"); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestPlan(t *testing.T) {
	root := newRootFolder(t)
	before := tree(t, root)
	code, stdout, stderr := paperclipd(t, root, "plan", "--administrator", "anna", "--json")
	var p reset.Plan
	if err := json.Unmarshal([]byte(stdout), &p); err != nil || code != 0 {
		t.Fatalf("exit %d: %v, %s", code, err, stderr)
	}
	if p.Device != "cellar" || p.Administrator != "anna" || len(p.Changes) != 1 || p.Changes[0].ID != "E1" {
		t.Errorf("%+v", p)
	}
	if code, stdout, _ := paperclipd(t, root, "plan", "--scope", "network"); code != 0 || !strings.Contains(stdout, "Not covered") {
		t.Errorf("exit %d: %s", code, stdout)
	}
	if code, stdout, _ := paperclipd(t, root, "plan", "--mode", "medium", "--json"); code != 2 || !strings.Contains(stdout, `"id": "usage"`) {
		t.Errorf("with --json a problem is the one document: exit %d: %s", code, stdout)
	}
	if !maps.Equal(before, tree(t, root)) {
		t.Error("a plan changed a file")
	}
}

func TestDoctor(t *testing.T) {
	root := newRootFolder(t)
	code, stdout, _ := paperclipd(t, root, "doctor", "--json")
	var got struct {
		Checks []struct {
			ID string `json:"id"`
			OK bool   `json:"ok"`
		} `json:"checks"`
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 1 || len(got.Checks) < 6 {
		t.Errorf("exit %d: %v %s", code, err, stdout)
	}
	if code, stdout, stderr := paperclipd(t, root, "doctor"); code != 1 || !strings.Contains(stdout, "WRONG  core") || stderr != "" {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

// The two processes, with the socket between them: front serves what core says,
// and root reads the status.
func TestCoreAndFront(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("core's socket lets in root, so this needs root")
	}
	root := newRootFolder(t)
	port := freePort(t)
	write(t, filepath.Join(root, "etc/paperclip/ports.toml"), fmt.Sprintf("http = %d\nhttps = %d\n", freePort(t), port))
	ctx, cancel := context.WithCancel(t.Context())
	var both sync.WaitGroup
	for _, command := range []string{"front", "core"} { // in either order
		both.Go(func() {
			var log bytes.Buffer
			if code := run(ctx, []string{"--root", root, command}, strings.NewReader(""), io.Discard, &log); code != 0 {
				t.Errorf("%s: exit %d: %s", command, code, &log)
			}
		})
	}
	defer both.Wait()
	defer cancel()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	device := ask(t, &http.Client{Transport: transport, Timeout: 5 * time.Second}, fmt.Sprintf("https://127.0.0.1:%d%s", port, deviceapi.PathDevice))
	if device.Name != "cellar" || !device.Ready || device.Claim.Open {
		t.Errorf("%+v", device)
	}
	code, stdout, stderr := paperclipd(t, root, "status", "--json")
	var got struct{ Status core.Status }
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 || got.Status.Device.KeyID != device.KeyID {
		t.Errorf("exit %d: %v %s%s", code, err, stdout, stderr)
	}
	if code, stdout, _ := paperclipd(t, root, "status"); code != 0 || !strings.Contains(stdout, "none is open") {
		t.Errorf("exit %d: %s", code, stdout)
	}
	if code, stdout, _ := paperclipd(t, root, "receipts"); code != 0 || !strings.Contains(stdout, "no receipt") {
		t.Errorf("exit %d: %s", code, stdout)
	}
	if code, stdout, _ := paperclipd(t, root, "doctor"); !strings.Contains(stdout, "ok     core") {
		t.Errorf("exit %d: %s", code, stdout)
	}
	labelCode(t, root)
	restoreByRoot(t, root)
	resetPassword(t, root)
}

// restoreByRoot is R6 at the console: a bundle that this NAS kept is put back, on
// trial; a drill and a dry run change nothing, and without a terminal nobody is
// asked.
func restoreByRoot(t *testing.T, root string) {
	t.Helper()
	kept := filepath.Join(root, "var/lib/paperclip/baseline.json") // of this NAS, as its bundles are
	ports := filepath.Join(root, "etc/paperclip/ports.toml")
	was, err := os.ReadFile(ports)
	if err != nil {
		t.Fatal(err)
	}
	now := fmt.Sprintf("http = %d\nhttps = %d\n", freePort(t), freePort(t))
	write(t, ports, now)
	expect := func(want string) {
		t.Helper()
		if text, err := os.ReadFile(ports); err != nil || string(text) != want {
			t.Errorf("%v: %s, want %s", err, text, want)
		}
	}
	say := func(want string, exit catalog.Exit, args ...string) {
		t.Helper()
		if code, stdout, stderr := paperclipd(t, root, append([]string{"restore"}, args...)...); code != int(exit) || !strings.Contains(stdout+stderr, want) {
			t.Errorf("%v: exit %d: %s%s", args, code, stdout, stderr)
		}
	}
	say("takes one of", catalog.WrongUse)
	say("takes one of", catalog.WrongUse, "--kept", "--confirm")
	say("--dry-run", catalog.WrongUse, "--undo", "--drill")
	say("there is no part", catalog.WrongUse, "--kept", "--only", "everything")
	say("--yes", catalog.WrongUse, "--kept")
	say("no settings of before", catalog.NotFound, "--kept", "--drill")
	say("cannot be used", catalog.WrongUse, "--bundle", filepath.Join(root, "nowhere"), "--drill")
	say("cannot be used", catalog.Failed, "--bundle", ports, "--drill")
	say("is to follow", catalog.Refused, "--give-up")
	say("No restore", catalog.Refused, "--confirm")
	say("Nothing was changed", catalog.Done, "--bundle", kept, "--drill")
	say("\"state\": \"planned\"", catalog.Done, "--bundle", kept, "--dry-run", "--json")
	expect(now)
	say("nothing to put back", catalog.Failed, "--bundle", kept, "--yes", "--only", "name") // nothing to put back
	say("It is in force", catalog.Done, "--bundle", kept, "--yes")
	expect(string(was))
	say("taken back", catalog.Done, "--undo")
	expect(now)
	say("\"state\": \"trial\"", catalog.Done, "--bundle", kept, "--yes", "--json")
	say("\"state\": \"committed\"", catalog.Done, "--confirm", "--json")
	expect(string(was))
	if _, err := os.Stat(filepath.Join(root, "var/lib/paperclip/restore.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the copy of the bundle stays: %v", err)
	}
}

// labelCode: root makes, takes over and removes the code on the label, and doctor
// says whether there is one.
func labelCode(t *testing.T, root string) {
	t.Helper()
	say := func(stdin, want string, exit catalog.Exit, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := run(t.Context(), append([]string{"--root", root}, args...), strings.NewReader(stdin), &out, &errs); code != int(exit) || !strings.Contains(out.String()+errs.String(), want) {
			t.Errorf("%v: exit %d: %s%s", args, code, &out, &errs)
		}
		return out.String()
	}
	say("", "no code on the label", catalog.Done, "label")
	say("", "no code on the label", catalog.Failed, "doctor")
	first := strings.Fields(say("", "not shown again", catalog.Done, "label", "--new"))[0]
	say("", "was made", catalog.Done, "label")
	say("", "There is a code on the label", catalog.Failed, "doctor")
	kept, err := os.ReadFile(filepath.Join(root, "var/lib/paperclip/label.json"))
	if err != nil || strings.Contains(string(kept), strings.ReplaceAll(first, "-", "")) || strings.Contains(string(kept), first) {
		t.Errorf("the code is kept as it is: %v", err)
	}
	say("short\n", "will not do", catalog.WrongUse, "label", "--given")
	say("", "one line", catalog.WrongUse, "label", "--given")
	say("", "was made", catalog.Done, "label") // a refused one changed nothing
	say(first+"\n", "maker's", catalog.Done, "label", "--given")
	say("", "takes one of", catalog.WrongUse, "label", "--new", "--remove")
	say("", "no --json", catalog.WrongUse, "label", "--new", "--json")
	say("", "\"there\": false", catalog.Done, "label", "--remove", "--json")
}

// resetPassword is A6: root sets an administrator's password by one command.
func resetPassword(t *testing.T, root string) {
	t.Helper()
	shadow := filepath.Join(root, "etc/shadow")
	before, err := os.ReadFile(shadow)
	if err != nil {
		t.Fatal(err)
	}
	type attempt struct {
		user, password, says string
		code                 catalog.Exit
	}
	for _, a := range []attempt{
		{"anna", "short", "too short", catalog.Refused},
		{"nobody", "violet tractor 9 gulls", "no administrator called nobody", catalog.Refused},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), []string{"--root", root, "reset-password", a.user}, strings.NewReader(a.password+"\n"), &out, &errs); code != int(a.code) || !strings.Contains(errs.String(), a.says) {
			t.Errorf("%s: exit %d: %s", a.user, code, &errs)
		}
		if after, err := os.ReadFile(shadow); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s: a refused password changed the shadow file", a.user)
		}
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"--root", root, "reset-password", "anna"}, strings.NewReader("violet tractor 9 gulls\n"), &out, &errs); code != 0 || !strings.Contains(out.String(), "anna has a new password") {
		t.Fatalf("exit %d: %s%s", code, &out, &errs)
	}
	after, err := os.ReadFile(shadow)
	if err != nil || bytes.Equal(before, after) || !strings.HasPrefix(string(after), "root:*:20000:0:99999:7:::\nanna:$6$") {
		t.Errorf("%v: %s", err, after)
	}
	if code, stdout, _ := paperclipd(t, root, "receipts"); code != 0 || strings.Contains(stdout, "no receipt") {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

// ask gets the device as soon as it answers.
func ask(t *testing.T, c *http.Client, url string) (d deviceapi.Device) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := c.Get(url)
		if err == nil {
			err = deviceapi.DecodeStrict(r.Body, deviceapi.MaxBody, &d)
			_ = r.Body.Close()
			if err == nil {
				return d
			}
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal(err)
		}
	}
}

// freePort is one that nothing listens on, below those that the system gives to
// outgoing connections: there another test could get it meanwhile.
func freePort(t *testing.T) int {
	t.Helper()
	for {
		port := 20000 + rand.IntN(12000)
		ln, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err == nil {
			_ = ln.Close()
			return port
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
}

// Front talks to strangers: never as root.
func TestFrontIsNotRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("checks what root is told")
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"front"}, strings.NewReader(""), &out, &errs); code != 2 || !strings.Contains(errs.String(), "does not run as root") {
		t.Errorf("exit %d: %s", code, &errs)
	}
}

// A claim is let in on the ports of now and on those that a reset goes back to.
func TestClaimPorts(t *testing.T) {
	root := newRootFolder(t)
	m := newMachine(&options{root: root}, io.Discard)
	for text, want := range map[string][]uint16{
		"":                               {5000, 5001},
		"http = 8080\nhttps = 5001\n":    {8080, 5001, 5000},
		"http = 80\nhttps = 443\n":       {80, 443, 5000, 5001},
		"http = \"not even a number\"\n": {5000, 5001},
	} {
		write(t, filepath.Join(root, "etc/paperclip/ports.toml"), text)
		if got := m.claimPorts(); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// The marks that a trace of system calls is compared with.
func TestTraceHook(t *testing.T) {
	t.Setenv("PAPERCLIP_TRACE_OPS", "1")
	var w bytes.Buffer
	hook := traceHook(&w)
	if err := hook.Around("shadow.persist.rename", func() error { w.WriteString("rename\n"); return nil }); err != nil {
		t.Fatal(err)
	}
	if want := "paperclip-op before shadow.persist.rename\nrename\npaperclip-op after shadow.persist.rename\n"; w.String() != want {
		t.Errorf("%q", w.String())
	}
	t.Setenv("PAPERCLIP_TRACE_OPS", "")
	if traceHook(&w) != nil {
		t.Error("it traces unasked")
	}
}
