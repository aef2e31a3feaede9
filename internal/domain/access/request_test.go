package access_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
)

// D11: every pair of state and event. What matters about the table is said here
// in words.
func TestRequestTable(t *testing.T) {
	for _, s := range access.RequestStates() {
		for _, e := range access.RequestEvents() {
			next, ok := access.NextRequest(s, e)
			switch {
			case !ok:
			case !s.Pending():
				t.Errorf("a request that is %s goes on: %s", s, e)
			case next == access.RequestCarried && (s != access.RequestRipe || e != access.Resume):
				t.Errorf("%s carries a request out that is %s", e, s)
			case next == access.RequestRipe && e != access.WaitOver && e != access.Undone:
				t.Errorf("%s ends the wait", e)
			case next == access.RequestDone && (s != access.RequestCarried || e != access.Committed):
				t.Errorf("%s makes a request that is %s done", e, s)
			}
		}
	}
	for _, s := range []access.RequestState{access.RequestWaiting, access.RequestRipe} {
		if next, ok := access.NextRequest(s, access.Refuse); !ok || next != access.RequestRefused {
			t.Errorf("an owner cannot refuse a request that is %s", s)
		}
		if next, ok := access.NextRequest(s, access.Withdraw); !ok || next != access.RequestWithdrawn {
			t.Errorf("its key cannot withdraw a request that is %s", s)
		}
	}
	if _, ok := access.NextRequest(access.RequestCarried, access.Refuse); ok {
		t.Error("an accepted transaction is stopped")
	}
}

func TestRequestDiagramIsCurrent(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "request.md")
	want := "# The life of a request that waits\n\nGenerated from the table in `internal/domain/access/request.go`; `UPDATE=1 go test ./internal/domain/access` writes it anew.\n\n```mermaid\n" + access.RequestDiagram() + "```\n"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Fatalf("docs/request.md is stale (%v): run with UPDATE=1", err)
	}
}

// D11, X19: whatever happens to the device (restarts, power cuts that lose what
// was not written down, a start whose clock reads anything), a wait is over only
// after the device has really been up for that long.
func TestWaitIsNeverShorter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := time.Duration(rapid.IntRange(1, 72).Draw(t, "hours")) * time.Hour
		starts := 0
		start, up := "start 0", time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "up"))
		written := access.NewWait(length, start, up)
		var really time.Duration
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			switch rapid.SampledFrom([]string{"time passes", "written down", "power cut", "an older reading"}).Draw(t, "event") {
			case "time passes":
				d := time.Duration(rapid.Int64Range(0, int64(6*time.Hour)).Draw(t, "passes"))
				up, really = up+d, really+d
			case "written down":
				written = written.At(start, up)
			case "power cut":
				starts++
				start, up = fmt.Sprintf("start %d", starts), time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "up after"))
			case "an older reading": // it is late, and does no harm
				if written.Start == start {
					written = written.At(start, up-time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "back")))
				}
			}
			if now := written.At(start, up); now.Over() && really < length {
				t.Fatalf("a wait of %s is over after %s", length, really)
			}
		}
	})
}

// And it does end: time that passed and was written down counts.
func TestWaitEnds(t *testing.T) {
	w := access.NewWait(24*time.Hour, "first", time.Hour)
	for hour := range 24 {
		if w.Over() {
			t.Fatalf("over after %d hours", hour)
		}
		w = w.At("first", time.Hour+time.Duration(hour+1)*time.Hour)
	}
	if !w.Over() {
		t.Errorf("%s are left after 24 hours", w.Left)
	}
	if w = access.NewWait(time.Hour, "first", 0).At("first", time.Hour-1); w.Over() {
		t.Error("over a moment early")
	}
}
