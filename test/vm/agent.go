//go:build linux

package vm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// Agent runs commands inside the guest; see guest/agent.go for the other end.
type Agent struct {
	conn net.Conn

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan Result
	broken  error
}

// Result is what a command in the guest did.
type Result struct {
	ID     uint64 `json:"id"`
	Exit   int    `json:"exit"`
	Stdout []byte `json:"stdout"`
	Stderr []byte `json:"stderr"`
	Error  string `json:"error"`
}

// Text is the standard output without the white space around it.
func (r Result) Text() string { return strings.TrimSpace(string(r.Stdout)) }

func dialAgent(ctx context.Context, path string) (*Agent, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	a := &Agent{conn: conn, waiting: map[uint64]chan Result{}}
	go a.read()
	return a, nil
}

func (a *Agent) close() { _ = a.conn.Close() } // read then ends and tells everyone who waits

func (a *Agent) read() {
	lines := bufio.NewReaderSize(a.conn, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			a.fail(err)
			return
		}
		var r Result
		if json.Unmarshal(line, &r) != nil {
			continue // the rest of an answer from before a Load
		}
		a.mu.Lock()
		if c := a.waiting[r.ID]; c != nil {
			delete(a.waiting, r.ID)
			c <- r
		}
		a.mu.Unlock()
	}
}

func (a *Agent) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.broken = fmt.Errorf("agent: %w", err)
	for _, c := range a.waiting {
		close(c)
	}
	a.waiting = nil
}

// Do runs one command with input and gives whatever it did; err is only for a command that could not be run.
func (a *Agent) Do(ctx context.Context, stdin []byte, argv ...string) (Result, error) {
	limit := 10 * time.Minute
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline)
	}
	done := make(chan Result, 1)
	a.mu.Lock()
	if a.broken != nil {
		a.mu.Unlock()
		return Result{}, a.broken
	}
	a.next++
	id := a.next
	a.waiting[id] = done
	a.mu.Unlock()

	request, err := json.Marshal(map[string]any{"id": id, "argv": argv, "stdin": stdin, "seconds": int(limit.Seconds()) + 1})
	if err != nil {
		return Result{}, err
	}
	a.mu.Lock()
	_, err = a.conn.Write(append(request, '\n'))
	a.mu.Unlock()
	if err != nil {
		return Result{}, err
	}
	select {
	case r, ok := <-done:
		switch {
		case !ok:
			return Result{}, a.broken
		case r.Error != "":
			return r, fmt.Errorf("%s: %s", argv[0], r.Error)
		}
		return r, nil
	case <-ctx.Done():
		a.mu.Lock()
		delete(a.waiting, id)
		a.mu.Unlock()
		return Result{}, fmt.Errorf("%s: %w", strings.Join(argv, " "), ctx.Err())
	}
}

// Run runs a command that must succeed.
func (a *Agent) Run(ctx context.Context, argv ...string) (Result, error) {
	r, err := a.Do(ctx, nil, argv...)
	if err == nil && r.Exit != 0 {
		err = fmt.Errorf("%s: exit %d: %s", strings.Join(argv, " "), r.Exit, strings.TrimSpace(string(r.Stderr)+string(r.Stdout)))
	}
	return r, err
}

// Shell runs a script that must succeed, and gives what it printed.
func (a *Agent) Shell(ctx context.Context, script string) (string, error) {
	r, err := a.Run(ctx, "bash", "-euc", script)
	return r.Text(), err
}

// Until runs a script again and again until it succeeds; the last failure is told when ctx ends first.
func (a *Agent) Until(ctx context.Context, script string) (string, error) {
	for {
		out, err := a.Shell(ctx, script)
		if err == nil {
			return out, nil
		}
		select {
		case <-ctx.Done():
			return out, errors.Join(ctx.Err(), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
