package resident

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const smaps = `00400000-00951000 r-xp 00000000 fe:00 9978201                            /usr/sbin/paper clip (deleted)
Size:               5444 kB
Rss:                5248 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me sd
00951000-00ea6000 r--p 00551000 fe:00 9978201                            /usr/sbin/paperclipd
Anonymous:             0 kB
00ea6000-00f1a000 rw-p 00aa6000 fe:00 9978201                            /usr/sbin/paperclipd
Anonymous:             0 kB
00f1a000-02f5f000 r--p 00000000 00:00 0
Anonymous:             0 kB
02f5f000-02f60000 r--p 00aa6000 fe:00 9978201                            /usr/lib/relocated.so
Anonymous:             4 kB
02f60000-02f61000 r--s 00000000 fe:00 9978202                            /shared
Anonymous:             0 kB
7fef1cb77000-7fef1cb79000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
`

// A mapping that can be written, was written, is shared or is no file's is not
// given back.
func TestReadOnly(t *testing.T) {
	got, err := readOnly(strings.NewReader(smaps))
	if err != nil {
		t.Fatal(err)
	}
	if want := []span{{0x400000, 0x951000}, {0x951000, 0xea6000}}; !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	for _, bad := range []string{"x", "1-", "-", "2-1 r--p 0 0 1 /x", "1-2 r--p 0 0 1 /x\n\n", strings.Repeat("f", 40) + "-1"} {
		if got, err := readOnly(strings.NewReader(bad)); err == nil {
			t.Errorf("%q: %x", bad, got)
		}
	}
}

// Threads that run meanwhile notice nothing, and pages are given back.
func TestGiveBack(t *testing.T) {
	want := work()
	before := resident(t)
	stop, ended := make(chan struct{}), make(chan error)
	for range 4 {
		go func() {
			for {
				select {
				case <-stop:
					ended <- nil
					return
				default:
					if got := work(); got != want {
						ended <- fmt.Errorf("%s, want %s", got, want)
						return
					}
				}
			}
		}()
	}
	for range 10 {
		if err := GiveBack(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	for range 4 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if err := GiveBack(); err != nil {
		t.Error(err)
	}
	if after := resident(t); after >= before {
		t.Errorf("%d KiB of this program's file were resident, %d are", before, after)
	}
}

// work needs text and constants from many places.
func work() string {
	text := regexp.MustCompile(`[[:alpha:]]\d+`).FindString(fmt.Sprint(1, "a", 22, smaps[:100]))
	return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
}

// resident is how much of the mappings that are given back is in memory, in KiB.
func resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	spans, err := readOnly(bytes.NewReader(text))
	if err != nil || len(spans) == 0 {
		t.Fatal(spans, err)
	}
	sum, ours := 0, false
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if !strings.HasSuffix(fields[0], ":") {
			s, err := parseSpan(fields[0])
			ours = err == nil && slices.Contains(spans, s)
		}
		if ours && fields[0] == "Rss:" {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}

// FuzzReadOnly: whatever smaps says, nothing comes out that it does not name.
func FuzzReadOnly(f *testing.F) {
	f.Add(smaps)
	f.Fuzz(func(t *testing.T, text string) {
		spans, err := readOnly(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, s := range spans {
			if s.from >= s.to {
				t.Errorf("%x", s)
			}
		}
		if n := strings.Count(text, "Anonymous:"); len(spans) > n {
			t.Errorf("%d mappings of %d", len(spans), n)
		}
	})
}
