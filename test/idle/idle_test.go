//go:build linux

// Package idle measures what paperclipd costs a NAS on which nobody presses
// anything: memory, wake-ups and size, beside the least that a Go program costs
// (make bench-idle). It changes nothing on the machine: core and front run in
// name spaces of their own, over empty folders.
package idle

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stage makes a machine with one administrator on it and runs the programs: $1
// is the folder with them. It says "ready" when front answers, and at each line
// it reads after that it uses the device as an owner on the LAN does: the page,
// and a check with the administrator's password, which goes through front, a
// conversation with core, and every adapter.
const stage = `set -eu
mount --make-rprivate /
cp -a /etc "$1/etc"
sed -i '/^paperclip:/d; /^anna:/d' "$1/etc/passwd"; sed -i '/^anna:/d' "$1/etc/shadow"
printf '%s\n' 'paperclip:x:64999:64999::/nonexistent:/usr/sbin/nologin' 'anna:x:1000:1000::/home/anna:/bin/sh' >> "$1/etc/passwd"
echo 'anna:$6$paperclip$cqnAqIy7ctDMmAJStNEwD7DbMsCKNGqYH6zwKX28o0vK2U3svcT7cpfpfAddKYU8C1IXTjrwKcmCVLAKvURUC1:19000:0:99999:7:::' >> "$1/etc/shadow"
sed -i 's/^sudo:.*/sudo:x:27:anna/' "$1/etc/group"
mount --bind "$1/etc" /etc
mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/system /run/paperclip; chown 0:64999 /run/paperclip; chmod 750 /run/paperclip
mount -t tmpfs tmpfs /var/lib; mkdir -m 700 /var/lib/paperclip
ip link set lo up; ip link add eth0 type veth peer name eth1; ip link set eth0 up; ip address add 192.168.1.2/24 dev eth0
unshare --net sleep infinity & owner=$!
for i in $(seq 600); do ip link set eth1 netns $owner 2> /dev/null && break; sleep 0.05; done
nsenter -t $owner -n sh -c 'ip link set lo up; ip link set eth1 up; ip address add 192.168.1.3/24 dev eth1'
printf '[panel]\nbutton = "none"\nbeeper = "none"\n[network]\nvirtual_cards = true\n' > "$1/paperclip.toml"; chmod 755 "$1"; chmod 644 "$1/paperclip.toml"
"$1/paperclipd" --config "$1/paperclip.toml" core 2> "$1/core.log" & echo "core $!"
for i in $(seq 600); do [ -S /run/paperclip/core.sock ] && break; sleep 0.05; done
setpriv --reuid=64999 --regid=64999 --clear-groups --ambient-caps=-all "$1/paperclipd" --config "$1/paperclip.toml" front 2> "$1/front.log" & echo "front $!"
for i in $(seq 600); do ss -Hltn 'sport = :5001' | grep -q . && break; sleep 0.05; done
"$1/bare" > /dev/null & echo "bare $!"
"$1/bare" > /dev/null & echo "bare $!"
echo ready
echo 'seven unlikely herons' > "$1/password"
key=$(sed -n 's/.* key=//p' "$1/core.log")
while read -r _; do
  nsenter -t $owner -n sh -c 'curl -sSkf https://192.168.1.2:5001/ -o "$1/page" && HOME="$1" "$1/paperclip" check 192.168.1.2 --as anna --password-file "$1/password" --accept-key "$2" --wait 5s' sh "$1" "$key" > "$1/use.log" 2>&1 && echo used || echo failed
done
`

// Neither depends on how busy the machine is.
const (
	mostMemory  = 4.0 // × the floor
	mostWakeUps = 1.0 // a second
)

const (
	settles = 20 * time.Second  // a start, until it has given back what only it needed
	length  = 60 * time.Second  // how long the machine is watched
	rests   = 110 * time.Second // a use, until it has been given back what only it needed
)

func TestIdle(t *testing.T) {
	if os.Getenv("PAPERCLIP_BENCH") != "1" {
		t.Skip("measures for minutes, as root: run make bench-idle")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, for name spaces of its own")
	}
	dir, err := os.MkdirTemp("", "idle-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	build(t, dir)
	m := start(t, dir)
	defer func() {
		for _, log := range []string{"core.log", "front.log", "use.log"} {
			if text, err := os.ReadFile(filepath.Join(dir, log)); err == nil {
				t.Logf("%s:\n%s", log, text)
			}
		}
	}()

	wait(t, settles)
	before := wakeUps(t, m.pids)
	began := time.Now()
	wait(t, length)
	seconds := time.Since(began).Seconds()
	after := wakeUps(t, m.pids)
	for name := range m.pids {
		for i := range m.pids[name] {
			key := fmt.Sprint(name, i)
			t.Logf("%-6s %.2f wake-ups a second", name, float64(after[key]-before[key])/seconds)
		}
	}
	rate := float64(after["core0"]+after["front0"]-before["core0"]-before["front0"]) / seconds
	t.Logf("both processes idle: %.2f wake-ups a second; under 1 is wanted", rate)
	idle := memory(t, m.pids, "idle since their start")
	m.use(t)
	memory(t, m.pids, "at work")
	wait(t, rests)
	again := memory(t, m.pids, "idle since a use")
	t.Logf("size: %.2f MB, %.1f × a bare listener (%.2f MB); at most 12 MB is wanted", size(t, dir, "paperclipd"), size(t, dir, "paperclipd")/size(t, dir, "bare"), size(t, dir, "bare"))
	if max(idle, again) > mostMemory || rate > mostWakeUps {
		t.Errorf("it got worse: more than %.1f × the floor, or than %.1f wake-ups a second", mostMemory, mostWakeUps)
	}
}

// memory logs what the processes have in memory, and returns ours by the floor.
func memory(t *testing.T, pids map[string][]int, when string) float64 {
	t.Helper()
	ours, floor, held := 0, 0, 0
	for name, all := range pids {
		for _, pid := range all {
			pss := number(t, fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss:")
			anonymous := number(t, fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss_Anon:")
			t.Logf("%-6s %6d KiB PSS (%d its own, %d of its program's file)", name, pss, anonymous, pss-anonymous)
			if name == "bare" {
				floor += pss
			} else {
				ours += pss
				held += anonymous
			}
		}
	}
	ratio := float64(ours) / float64(floor)
	t.Logf("both processes %s: %d KiB (%d their own), %.2f × two bare Go listeners (%d KiB); at most 4 idle is wanted", when, ours, held, ratio, floor)
	return ratio
}

// build makes paperclipd as it is released, and the rest as any program is.
func build(t *testing.T, dir string) {
	t.Helper()
	for _, argv := range [][]string{
		{"make", "daemon", "OUT=" + filepath.Join(dir, "paperclipd")},
		{"go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "bare"), "./test/idle/bare"},
		{"go", "build", "-o", filepath.Join(dir, "paperclip"), "./cmd/paperclip"},
	} {
		c := exec.Command(argv[0], argv[1:]...)
		c.Dir, c.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
}

// machine is the stage while it runs.
type machine struct {
	pids  map[string][]int // as this name space has them, by program
	ask   io.Writer
	lines *bufio.Scanner
}

// start runs the stage.
func start(t *testing.T, dir string) *machine {
	t.Helper()
	c := exec.Command("unshare", "--mount", "--net", "sh", "-c", stage, "sh", dir)
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Skip("needs unshare (Debian package util-linux): ", err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // the group that Setpgid made
		_ = c.Wait()
	})
	m := &machine{pids: map[string][]int{}, ask: stdin, lines: bufio.NewScanner(out)}
	for m.lines.Scan() {
		name, text, _ := strings.Cut(m.lines.Text(), " ")
		if name == "ready" {
			return m
		}
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(m.lines.Text())
		}
		m.pids[name] = append(m.pids[name], pid)
	}
	log, _ := os.ReadFile(filepath.Join(dir, "core.log"))
	t.Fatalf("it did not start: %s", log)
	return nil
}

// use uses the device once.
func (m *machine) use(t *testing.T) {
	t.Helper()
	if _, err := fmt.Fprintln(m.ask, "use"); err != nil {
		t.Fatal(err)
	}
	if !m.lines.Scan() || m.lines.Text() != "used" {
		t.Fatalf("the device could not be used: %q", m.lines.Text())
	}
}

// wakeUps are the times that a thread of each process went to sleep since it
// began: each is a wake-up too.
func wakeUps(t *testing.T, pids map[string][]int) map[string]int {
	t.Helper()
	all := map[string]int{}
	for name, list := range pids {
		for i, pid := range list {
			threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
			if err != nil || len(threads) == 0 {
				t.Fatalf("%s is gone", name)
			}
			for _, thread := range threads {
				all[fmt.Sprint(name, i)] += number(t, thread, "voluntary_ctxt_switches:")
			}
		}
	}
	return all
}

func number(t *testing.T, path, key string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("%s has no %s", path, key)
	return 0
}

// wait is the measurement itself: there is nothing to wait for.
func wait(t *testing.T, d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

func size(t *testing.T, dir, name string) float64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return float64(info.Size()) / 1e6
}
