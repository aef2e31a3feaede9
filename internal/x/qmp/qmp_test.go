package qmp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/x/qmp"
)

// machine answers as QEMU does: greeting, then answer(command, arguments) a line; it reports each
// command it was given.
func machine(t *testing.T, greeting string, answer func(command, arguments string) string) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	go func() {
		fmt.Fprintln(theirs, greeting)
		lines := bufio.NewScanner(theirs)
		for lines.Scan() {
			var q struct {
				Execute   string
				Arguments json.RawMessage
			}
			if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
				return
			}
			if a := answer(q.Execute, string(q.Arguments)); a != "" {
				fmt.Fprintln(theirs, a)
			}
		}
	}()
	return ours
}

const hello = `{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": []}}`

func TestClientSkipsEventsAndReadsReturn(t *testing.T) {
	conn := machine(t, hello, func(command, _ string) string {
		if command == "query-status" {
			return `{"event": "RESUME", "timestamp": {}}` + "\n" + `{"return": {"status": "running"}}`
		}
		return `{"return": {}}`
	})
	c, err := qmp.New(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	var status struct{ Status string }
	if err := c.Do(t.Context(), "query-status", nil, &status); err != nil || status.Status != "running" {
		t.Fatalf("status %q, %v", status.Status, err)
	}
}

func TestClientGivesQEMUsErrorAndGoesOn(t *testing.T) {
	conn := machine(t, hello, func(command, _ string) string {
		if command == "nonesuch" {
			return `{"error": {"class": "CommandNotFound", "desc": "no such command"}}`
		}
		return `{"return": {}}`
	})
	c, err := qmp.New(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	var refused *qmp.Error
	if err := c.Do(t.Context(), "nonesuch", nil, nil); !errors.As(err, &refused) || refused.Class != "CommandNotFound" {
		t.Fatalf("got %v", err)
	}
	if err := c.Do(t.Context(), "cont", nil, nil); err != nil {
		t.Fatal(err)
	}
}

func TestKeyAndPort(t *testing.T) {
	var sent string
	conn := machine(t, hello, func(command, arguments string) string {
		switch command {
		case "input-send-event":
			sent = arguments
		case "human-monitor-command":
			if arguments != `{"command-line":"i /b 0x61"}` {
				return `{"return": "unknown command\r\n"}`
			}
			return `{"return": "portb[0x0061] = 0x23\r\n"}`
		}
		return `{"return": {}}`
	})
	c, err := qmp.New(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Key(t.Context(), "f12", true); err != nil {
		t.Fatal(err)
	}
	if want := `{"events":[{"type":"key","data":{"down":true,"key":{"type":"qcode","data":"f12"}}}]}`; sent != want {
		t.Errorf("sent %s\nwant %s", sent, want)
	}
	if b, err := c.Port(t.Context(), 0x61); err != nil || b != 0x23 {
		t.Errorf("port 0x61: %#x, %v", b, err)
	}
	if _, err := c.Port(t.Context(), 0x62); err == nil {
		t.Error("a text without a byte was taken for one")
	}
}

func TestNewRefusesWhatIsNotQEMU(t *testing.T) {
	for _, greeting := range []string{`{"hello": 1}`, `220 mail.example ESMTP`, `[]`} {
		conn := machine(t, greeting, func(string, string) string { return `{"return": {}}` })
		if _, err := qmp.New(t.Context(), conn); err == nil {
			t.Errorf("%s was taken for a greeting", greeting)
		}
	}
}

func TestDoEndsWithItsContext(t *testing.T) {
	conn := machine(t, hello, func(command, _ string) string {
		if command == "qmp_capabilities" {
			return `{"return": {}}`
		}
		return "" // silence
	})
	c, err := qmp.New(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Do(ctx, "stop", nil, nil); err == nil {
		t.Fatal("no error though the context had ended")
	}
}
