// Fuzz runs every fuzz target of the module, one after the other, and says how
// many executions each had: `go run ./test/fuzz -for 10s` or, by count, `-for
// 1000000x`. It runs all of them, then fails if one found something.
//
// It hides nothing that a target found. It forgives one thing: the fuzzing
// engine of Go now and then reports its own end of time ("context deadline
// exceeded", with no failing input) as a failure of the target.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

func main() {
	duration := flag.String("for", "10s", "how long, or how often with an x, each target runs")
	only := flag.String("only", "", "a regular expression that the package and the target must match")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzz: -only:", err)
		os.Exit(2)
	}
	targets, err := find("internal", pattern)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
	var failed []string
	for _, t := range targets {
		out, err := t.run(*duration)
		switch {
		case err == nil || onlyTimeOver(out):
			fmt.Printf("%-60s %s executions\n", t, executions(out))
		default:
			fmt.Printf("%s\n--- FAIL: %s: %v\n", out, t, err)
			failed = append(failed, t.String())
		}
	}
	if len(failed) > 0 || len(targets) == 0 {
		fmt.Printf("FAILED: %d of %d targets: %s\n", len(failed), len(targets), strings.Join(failed, ", "))
		os.Exit(1)
	}
	fmt.Printf("%d targets, nothing found\n", len(targets))
}

// target is one fuzz function.
type target struct{ dir, name string }

func (t target) String() string { return t.dir + " " + t.name }

func (t target) run(duration string) ([]byte, error) {
	cmd := exec.Command("go", "test", "./"+t.dir, "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", duration,
		// Making a new input smaller takes up to a minute of each worker by default,
		// and counts as no execution: most of a run on small messages.
		"-fuzzminimizetime", "200x")
	return cmd.CombinedOutput()
}

var function = regexp.MustCompile(`(?m)^func (Fuzz[A-Z][A-Za-z0-9_]*)\(`)

// find lists the targets under root whose "dir name" pattern matches, in the
// order of their files.
func find(root string, pattern *regexp.Regexp) (targets []target, err error) {
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range function.FindAllSubmatch(text, -1) {
			if t := (target{filepath.ToSlash(filepath.Dir(path)), string(m[1])}); pattern.MatchString(t.String()) {
				targets = append(targets, t)
			}
		}
		return err
	})
	return targets, err
}

var (
	counted = regexp.MustCompile(`execs: (\d+)`)
	failure = regexp.MustCompile(`(?m)^--- FAIL: Fuzz\S+ \(\S+\)\n(.*)\n`)
)

// executions is the last count that the engine printed.
func executions(out []byte) string {
	all := counted.FindAllSubmatch(out, -1)
	if len(all) == 0 {
		return "no"
	}
	return string(all[len(all)-1][1])
}

// onlyTimeOver reports whether the engine failed at its own deadline and at
// nothing else.
func onlyTimeOver(out []byte) bool {
	m := failure.FindAllSubmatch(out, -1)
	return len(m) == 1 && strings.TrimSpace(string(m[0][1])) == "context deadline exceeded" &&
		!bytes.Contains(out, []byte("Failing input written")) && !bytes.Contains(out, []byte("panic:"))
}
