package main

import (
	"regexp"
	"testing"
)

const timeOver = `fuzz: elapsed: 5s, execs: 172125 (39406/sec), new interesting: 20 (total: 179)
--- FAIL: FuzzProcesses (5.05s)
    context deadline exceeded
FAIL
exit status 1
`

const found = `fuzz: elapsed: 0s, execs: 12 (39406/sec), new interesting: 0 (total: 3)
--- FAIL: FuzzIt (0.05s)
    --- FAIL: FuzzIt (0.00s)
        it_test.go:9: wrong

    Failing input written to testdata/fuzz/FuzzIt/582528ddfad69eb5
FAIL
`

func TestOnlyTheEnginesOwnDeadlineIsForgiven(t *testing.T) {
	if !onlyTimeOver([]byte(timeOver)) {
		t.Error("the engine's own deadline counts as a finding")
	}
	for _, out := range []string{
		found, "", "build failed",
		timeOver + "\n    Failing input written to testdata/fuzz/FuzzProcesses/1\n",
		timeOver + "panic: runtime error\n",
		"--- FAIL: FuzzProcesses (5.05s)\n    fuzzing process hung or terminated unexpectedly\nFAIL\n",
	} {
		if onlyTimeOver([]byte(out)) {
			t.Errorf("forgiven: %q", out)
		}
	}
	if n := executions([]byte(timeOver)); n != "172125" {
		t.Errorf("%s executions", n)
	}
}

func TestFind(t *testing.T) {
	targets, err := find("../../internal/protocol", regexp.MustCompile("qfinder"))
	if err != nil || len(targets) == 0 {
		t.Fatalf("%v, %v", targets, err)
	}
}
