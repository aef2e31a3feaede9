package sandbox

import (
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const table = `22 1 8:1 / / ro,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
24 22 8:1 /etc /etc rw,relatime - ext4 /dev/sda1 rw
25 22 9:0 / /srv ro,relatime shared:9 - ext4 /dev/md0 rw
26 22 0:50 / /mnt/my\040tank rw - zfs tank rw
27 24 8:1 /hosts /etc/hosts rw - ext4 /dev/sda1 rw
28 24 8:17 / /etc/backup rw - ext4 /dev/sdb1 rw
29 22 0:60 / /mnt/far rw - nfs4 far:/x rw
30 25 9:1 / /srv rw,relatime - xfs /dev/md1 rw
31 22 0:70 / /run rw - tmpfs tmpfs rw
32 22 8:1 /tmp/systemd-private-1-x.service/tmp /tmp rw - ext4 /dev/sda1 rw
nonsense
`

// A volume is every file system outside the folders, also one that lies in one.
func TestOutside(t *testing.T) {
	var got []string
	for _, m := range Outside(ParseMounts([]byte(table)), []string{"/etc", "/var/lib/paperclip"}) {
		got = append(got, m.Path+" "+m.Type)
	}
	want := []string{"/ ext4", "/mnt/my tank zfs", "/etc/backup ext4", "/mnt/far nfs4", "/srv xfs"}
	if !slices.Equal(got, want) {
		t.Errorf("outside: %q, want %q", got, want)
	}
}

// No mount table, however odd, is a reason to fall over.
func TestParseMountsOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOf(rapid.OneOf(rapid.String(), rapid.SampledFrom(strings.Split(table, "\n")))).Draw(t, "lines")
		mounts := ParseMounts([]byte(strings.Join(lines, "\n")))
		for _, m := range Outside(mounts, []string{"/etc"}) {
			if m.kernel() || m.Path == "/etc" {
				t.Fatalf("%+v is no volume", m)
			}
		}
	})
}

func FuzzParseMounts(f *testing.F) {
	f.Add([]byte(table))
	f.Fuzz(func(t *testing.T, b []byte) { Outside(ParseMounts(b), []string{"/etc", "/var/lib/paperclip"}) })
}

// The units' ReadWritePaths and the rules are the same list: what one allows
// and the other does not would fail in the middle of a reset.
func TestUnitsAllowTheSame(t *testing.T) {
	for _, unit := range []string{"paperclipd-core", "paperclip-recovery"} {
		text, err := os.ReadFile("../../../packaging/systemd/" + unit + ".service")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(string(text)) {
			if paths, ok := strings.CutPrefix(line, "ReadWritePaths="); ok {
				for _, p := range strings.Fields(paths) {
					got = append(got, strings.TrimPrefix(p, "-"))
				}
			}
		}
		want := append(own(), settings()...)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: ReadWritePaths are\n%q, the rules say\n%q", unit, got, want)
		}
	}
}
