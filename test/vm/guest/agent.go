//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// agentPort is the name the host gives the virtio port.
const agentPort = "agent"

// Request and Reply are one JSON document a line. Requests run at the same time; replies carry the
// request's id and come as they are ready.
type request struct {
	ID      uint64   `json:"id"`
	Argv    []string `json:"argv"`
	Stdin   []byte   `json:"stdin,omitempty"`
	Seconds int      `json:"seconds"` // the command is killed after this long
}

type reply struct {
	ID     uint64 `json:"id"`
	Exit   int    `json:"exit"`
	Stdout []byte `json:"stdout"`
	Stderr []byte `json:"stderr"`
	Error  string `json:"error,omitempty"` // it could not be run
}

// serveAgent answers on the named virtio port until the machine ends.
func serveAgent(port string) error {
	f, err := openPort(port, 60*time.Second)
	if err != nil {
		return err
	}
	var writing sync.Mutex
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil { // the host is not there: it comes back
			time.Sleep(20 * time.Millisecond)
			continue
		}
		var q request
		if json.Unmarshal(line, &q) != nil || len(q.Argv) == 0 {
			continue
		}
		go func() {
			out, err := json.Marshal(run(q))
			if err != nil {
				return
			}
			writing.Lock()
			defer writing.Unlock()
			if _, err := f.Write(append(out, '\n')); err != nil {
				fmt.Fprintln(os.Stderr, "agent:", err)
			}
		}()
	}
}

func openPort(name string, limit time.Duration) (*os.File, error) {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		found, err := filepath.Glob("/sys/class/virtio-ports/*/name")
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			if b, err := os.ReadFile(p); err == nil && strings.TrimSpace(string(b)) == name {
				if f, err := os.OpenFile("/dev/"+filepath.Base(filepath.Dir(p)), os.O_RDWR, 0); err == nil {
					return f, nil
				}
			}
		}
	}
	return nil, fmt.Errorf("no virtio port %q", name)
}

func run(q request) reply {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(q.Seconds)*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, q.Argv[0], q.Argv[1:]...)
	c.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8")
	c.WaitDelay = time.Second // a child left behind may hold the pipes open
	var stdout, stderr bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(q.Stdin), &stdout, &stderr
	err := c.Run()
	r := reply{ID: q.ID, Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.Exit = exit.ExitCode()
	case errors.Is(err, exec.ErrWaitDelay):
	case err != nil:
		r.Exit, r.Error = -1, err.Error()
	}
	return r
}
