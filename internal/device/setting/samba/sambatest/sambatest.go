// Package sambatest stands in for Samba's tools in tests: its Runner acts as
// pdbedit and as the Python that runs package samba's script, over a text
// database beside the configuration file.
//
// It never runs the script, so what the script does is tested where Samba
// itself is installed.
package sambatest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Path is what Runner takes for either tool.
const Path = "/stands/in/for/samba"

// Runner runs both tools, within this process. Any other path is a program of
// this machine.
func Runner(hook opfs.Hook) opfs.Runner { return runner{hook} }

type runner struct{ hook opfs.Hook }

func (r runner) Run(ctx context.Context, op string, c opfs.Command) (out opfs.Output, err error) {
	if c.Path != Path {
		return opfs.Exec(r.hook).Run(ctx, op, c)
	}
	err = r.hook.Around(op, func() error {
		var stdout, stderr bytes.Buffer
		code := Tool(append([]string{c.Path}, c.Args...), bytes.NewReader(c.Stdin), &stdout, &stderr)
		out = opfs.Output{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), ExitCode: code}
		return nil
	})
	return out, err
}

// Database is where the text database of a configuration file is: lines of
// smbpasswd(5).
func Database(configFile string) string { return configFile + ".passdb" }

// Tool acts as the tool that it was started as, and returns the exit status.
func Tool(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return ToolOn(opfs.OS(nil), "fake", args, stdin, stdout, stderr)
}

// ToolOn is Tool over another file system, where what it writes are operations
// named after op. As Samba's own database does, it replaces the whole in one
// durable step.
func ToolOn(fsys opfs.FS, op string, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if args[1] == "-s" {
		return pdbedit(fsys, args[2], args[len(args)-1], stdout, stderr)
	}
	return python(fsys, op, stdin, stdout, stderr)
}

func pdbedit(fsys opfs.FS, config, user string, stdout, stderr io.Writer) int {
	lines, err := load(fsys, config)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	if user == "-w" { // all of them
		fmt.Fprintln(stdout, strings.Join(lines, "\n"))
		return 0
	}
	for _, l := range lines {
		if strings.HasPrefix(l, user+":") {
			fmt.Fprintln(stdout, l)
			return 0
		}
	}
	fmt.Fprintln(stderr, "Username not found!")
	return 255
}

type value struct {
	NT         string `json:"nt"`
	Disabled   bool   `json:"disabled"`
	NoPassword bool   `json:"no_password"`
	Changed    int64  `json:"changed"`
}

func python(fsys opfs.FS, op string, stdin io.Reader, stdout, stderr io.Writer) int {
	var r struct {
		Action, Config, Pdbedit, User string
		From, To                      value
	}
	if err := json.NewDecoder(stdin).Decode(&r); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	if r.Action == "probe" {
		if strings.HasPrefix(r.Pdbedit, "/nonexistent/") {
			return 5
		}
		fmt.Fprintln(stdout, "tdbsam")
		return 0
	}
	lines, err := load(fsys, r.Config)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	if i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, r.User+":") }); i < 0 && r.Action == "make" {
		return replace(fsys, op, r.Config, append(lines, made(r.User, r.To)), stderr)
	} else if i >= 0 && r.Action == "unmake" && strings.Contains(lines[i], ":"+r.From.NT+":") {
		return replace(fsys, op, r.Config, slices.Delete(lines, i, i+1), stderr)
	} else if i < 0 && r.Action == "unmake" {
		return settle(fsys, op, r.Config, stderr)
	}
	for i, l := range lines {
		f := strings.Split(l, ":")
		if f[0] != r.User {
			continue
		}
		if f[3] != r.From.NT && f[3] != r.To.NT {
			return 3
		}
		f[3], f[5] = r.To.NT, fmt.Sprintf("LCT-%08X", r.To.Changed)
		f[4] = flag(flag(f[4], "D", r.To.Disabled), "N", r.To.NoPassword)
		if changed := strings.Join(f, ":"); lines[i] != changed {
			lines[i] = changed
			return replace(fsys, op, r.Config, lines, stderr)
		}
		return settle(fsys, op, r.Config, stderr)
	}
	return 4
}

// made is the line of a new account.
func made(user string, v value) string {
	return fmt.Sprintf("%s:1999:%s:%s:[%-11s]:LCT-%08X:", user, strings.Repeat("X", 32), v.NT, "U", v.Changed)
}

func replace(fsys opfs.FS, op, config string, lines []string, stderr io.Writer) int {
	data := []byte(strings.Join(lines, "\n") + "\n")
	if err := atomicfile.Replace(fsys, op, Database(config), data, atomicfile.Options{}); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

// settle is for a change that an earlier run has made, which may have been cut
// short.
func settle(fsys opfs.FS, op, config string, stderr io.Writer) int {
	if err := atomicfile.Settle(fsys, op, Database(config)); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

func load(fsys opfs.FS, config string) ([]string, error) {
	data, err := fsys.ReadFile(Database(config))
	return strings.Split(strings.TrimRight(string(data), "\n"), "\n"), err
}

func flag(flags, letter string, on bool) string {
	text := strings.ReplaceAll(strings.Trim(flags, "[] "), letter, "")
	if on {
		text += letter
	}
	return fmt.Sprintf("[%-11s]", text)
}
