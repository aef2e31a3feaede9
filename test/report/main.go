// Report reads what `go test -json` prints, from standard input, and says what
// a person wants to know: a line for each package, the whole output of each
// test that failed, each test that was skipped with its reason, and at the end
// how many passed, failed and were skipped.
//
// It runs no test and hides no failure: output that it does not understand is
// passed on, and it exits with 1 when anything failed or nothing ran.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	ok, err := report(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
	if !ok {
		os.Exit(1)
	}
}

// event is one line of `go test -json` (cmd/test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output
	Test       string
	Elapsed    float64
	Output     string
}

// longest is the longest line that is read, in bytes.
const longest = 1 << 20

// report reads to the end. ok is false where something failed or nothing ran.
func report(in io.Reader, out io.Writer) (ok bool, err error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), longest)
	output := map[string][]string{} // by package and test
	counts := map[string]int{}
	var skipped, failed []string
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Action == "" {
			fmt.Fprintln(out, lines.Text())
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output":
			output[key] = append(output[key], e.Output)
		case "build-output":
			fmt.Fprint(out, e.Output)
		case "pass", "fail", "skip":
			if e.Test == "" {
				packageLine(out, e, output[key])
				if e.Action == "fail" {
					failed = append(failed, e.Package)
				}
			} else {
				counts[e.Action]++
				if e.Action == "skip" {
					skipped = append(skipped, strings.TrimSpace(e.Package+" "+e.Test+": "+reason(output[key])))
				}
				if e.Action == "fail" {
					failed = append(failed, key)
					fmt.Fprint(out, strings.Join(output[key], ""))
				}
			}
			delete(output, key)
		}
	}
	if err := lines.Err(); err != nil {
		return false, err
	}
	if len(skipped) > 0 {
		slices.Sort(skipped)
		fmt.Fprintf(out, "\nskipped:\n  %s\n", strings.Join(skipped, "\n  "))
	}
	if len(failed) > 0 {
		fmt.Fprintf(out, "\nfailed:\n  %s\n", strings.Join(failed, "\n  "))
	}
	fmt.Fprintf(out, "\n%d passed, %d failed, %d skipped\n", counts["pass"], counts["fail"], counts["skip"])
	return len(failed) == 0 && counts["pass"] > 0, nil
}

func packageLine(out io.Writer, e event, output []string) {
	took := time.Duration(e.Elapsed * float64(time.Second)).Round(time.Millisecond)
	if e.Action == "fail" {
		fmt.Fprint(out, strings.Join(output, ""))
	}
	fmt.Fprintf(out, "%-4s %s %s\n", e.Action, e.Package, took)
}

// reason is what a test gave t.Skip: the line between its name and its verdict.
func reason(output []string) string {
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			return line
		}
	}
	return "no reason given"
}
