package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	line := func(action, test, output string) string {
		return `{"Action":"` + action + `","Package":"p","Test":"` + test + `","Output":"` + output + `"}` + "\n"
	}
	for name, c := range map[string]struct {
		in   string
		ok   bool
		says []string
	}{
		"nothing ran": {"", false, []string{"0 passed, 0 failed, 0 skipped"}},
		"passed":      {line("pass", "TestA", "") + line("pass", "", ""), true, []string{"1 passed, 0 failed, 0 skipped", "pass p"}},
		"failed":      {line("output", "TestA", `why it failed\n`) + line("fail", "TestA", "") + line("fail", "", ""), false, []string{"why it failed", "0 passed, 1 failed", "failed:\n  p TestA"}},
		"skipped":     {line("output", "TestA", `=== RUN TestA\n`) + line("output", "TestA", `    a_test.go:1: no root here\n`) + line("skip", "TestA", "") + line("pass", "TestB", ""), true, []string{"p TestA: a_test.go:1: no root here", "1 passed, 0 failed, 1 skipped"}},
		"not built":   {`{"Action":"build-output","ImportPath":"p","Output":"undefined: x\n"}` + "\n" + line("fail", "", ""), false, []string{"undefined: x"}},
		"not json":    {"go: no such thing\n" + line("pass", "TestA", ""), true, []string{"go: no such thing"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			ok, err := report(strings.NewReader(c.in), &out)
			if err != nil || ok != c.ok {
				t.Errorf("%v, %v\n%s", ok, err, &out)
			}
			for _, s := range c.says {
				if !strings.Contains(out.String(), s) {
					t.Errorf("it does not say %q:\n%s", s, &out)
				}
			}
		})
	}
}
