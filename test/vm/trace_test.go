//go:build linux

package vm

import (
	"strings"
	"testing"
)

const sampleTrace = `
501 openat(AT_FDCWD</>, "/etc/shadow", O_RDONLY|O_CLOEXEC) = 7</etc/shadow>
501 write(2<socket:[1]>, "paperclip-op before shadow.persist.create\n", 42) = 42
502 openat(AT_FDCWD</>, "/etc/shadow.tmp", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600 <unfinished ...>
501 write(2<socket:[1]>, "paperclip-op after shadow.persist.create\n", 41) = 41
502 <... openat resumed>) = 8</etc/shadow.tmp>
502 renameat(AT_FDCWD</etc>, "shadow.tmp", AT_FDCWD</etc>, "shadow") = 0
503 unlinkat(9</etc/paperclip>, "old", 0) = -1 ENOENT (No such file or directory)
503 fchmod(8</etc/shadow.tmp>, 0640) = 0
503 write(2<socket:[1]>, "level=INFO msg=\"paperclip-op before samba.persist\"\n", 52) = 52
504 openat(AT_FDCWD</>, "/var/lib/samba/private/passdb.tdb", O_RDWR|O_CLOEXEC) = 5</var/lib/samba/private/passdb.tdb>
`

func TestReadTraceKnowsWhatWasUnderWay(t *testing.T) {
	trace, err := ReadTrace(strings.NewReader(sampleTrace))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(trace.Operations, " "); got != "shadow.persist.create samba.persist" {
		t.Errorf("operations %s", got)
	}
	if got := strings.Join(trace.Unended, " "); got != "samba.persist" {
		t.Errorf("unended %q", got)
	}
	var got []string
	for _, w := range trace.Writes {
		got = append(got, w.Path+" ["+strings.Join(w.Ops, " ")+"]")
	}
	want := []string{
		"/etc/shadow.tmp [shadow.persist.create]", // begun inside, though it ended after
		"/etc/shadow.tmp []",
		"/etc/shadow []",
		"/etc/shadow.tmp []",
		"/var/lib/samba/private/passdb.tdb [samba.persist]",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestManifestTellsEveryKindOfChange(t *testing.T) {
	// "L2E=" is "/a", "L2I=" is "/b".
	before, err := parseManifest([]byte(`{"path":"L2E=","mode":"100644","uid":1,"sha256":"x","ctime":1}
{"path":"L2I=","mode":"104755"}`))
	if err != nil {
		t.Fatal(err)
	}
	if before.Files() != 2 {
		t.Errorf("%d files, want 2: a setuid file is a file", before.Files())
	}
	for name, after := range map[string]string{
		`"/a" changed: sha256`: `{"path":"L2E=","mode":"100644","uid":1,"sha256":"y","ctime":1}`,
		`"/a" changed: mode`:   `{"path":"L2E=","mode":"100600","uid":1,"sha256":"x","ctime":1}`,
		`"/a" changed: uid`:    `{"path":"L2E=","mode":"100644","uid":2,"sha256":"x","ctime":1}`,
		`"/a" changed: ctime`:  `{"path":"L2E=","mode":"100644","uid":1,"sha256":"x","ctime":2}`,
		`"/a" is gone`:         ``,
		`"/c" is new`:          `{"path":"L2E=","mode":"100644","uid":1,"sha256":"x","ctime":1}{"path":"L2M=","mode":"100644"}`,
	} {
		m, err := parseManifest([]byte(after + `{"path":"L2I=","mode":"104755"}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := before.Changes(m, nil); len(got) != 1 || got[0] != name {
			t.Errorf("got %q, want %q", got, name)
		}
		if got := before.Changes(m, func(string) string { return "a reason" }); len(got) != 0 {
			t.Errorf("an excepted change was told: %q", got)
		}
	}
}
