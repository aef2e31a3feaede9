//go:build linux

package vm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Verdict is what a real server said to a password.
type Verdict string

// What a server can say.
const (
	Accepted Verdict = "accepted"
	Refused  Verdict = "refused"
)

// SSH signs in with the stock client from a place of the LAN. An answer that is neither yes nor no is an error.
func (l *LAN) SSH(ctx context.Context, from Place, address, user, password string) (Verdict, error) {
	c := l.Command(ctx, from, "sshpass", "-e", "ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
		"-o", "PreferredAuthentications=password", "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1", "-o", "ConnectTimeout=30",
		user+"@"+address, "id", "-un")
	c.Env = append(os.Environ(), "SSHPASS="+password)
	out, err := c.CombinedOutput()
	said := strings.TrimSpace(string(out))
	switch {
	case err == nil && said == user:
		return Accepted, nil
	case err != nil && strings.Contains(said, "Permission denied"):
		return Refused, nil
	}
	return "", fmt.Errorf("ssh %s@%s from %s: %w: %s", user, address, from, err, said)
}

// SMB lists the share with the stock client from a place of the LAN.
func (l *LAN) SMB(ctx context.Context, from Place, address, user, password string) (Verdict, error) {
	file, err := writeSecret(l.dir, "smb-*", "username="+user+"\npassword="+password+"\n")
	if err != nil {
		return "", err
	}
	defer os.Remove(file)
	out, err := l.Command(ctx, from, "smbclient", "--authentication-file="+file, "--command=ls", "//"+address+"/data").CombinedOutput()
	said := strings.TrimSpace(string(out))
	switch {
	case err == nil && strings.Contains(said, "inbox"):
		return Accepted, nil
	case err != nil && (strings.Contains(said, "NT_STATUS_LOGON_FAILURE") || strings.Contains(said, "NT_STATUS_ACCOUNT_DISABLED")):
		return Refused, nil
	}
	return "", fmt.Errorf("smbclient %s@%s from %s: %w: %s", user, address, from, err, said)
}

// Guest says whether the share opens without any account.
func (l *LAN) Guest(ctx context.Context, from Place, address string) (Verdict, error) {
	out, err := l.Command(ctx, from, "smbclient", "--no-pass", "--user=nobody-here", "--command=ls", "//"+address+"/data").CombinedOutput()
	said := strings.TrimSpace(string(out))
	switch {
	case err == nil && strings.Contains(said, "inbox"):
		return Accepted, nil
	case err != nil && (strings.Contains(said, "NT_STATUS_LOGON_FAILURE") || strings.Contains(said, "NT_STATUS_ACCESS_DENIED")):
		return Refused, nil
	}
	return "", fmt.Errorf("smbclient, a guest, from %s: %w: %s", from, err, said)
}

// writeSecret writes a file that only we can read, and gives its name.
func writeSecret(dir, pattern, content string) (string, error) {
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return "", err
	}
	if _, err := f.WriteString(content); err != nil {
		f.Close()
		return "", err
	}
	return f.Name(), f.Close()
}

// Reachable says whether an address answers a ping from a place of the LAN.
func (l *LAN) Reachable(ctx context.Context, from Place, address string) bool {
	return l.Command(ctx, from, "ping", "-c", "1", "-W", "2", address).Run() == nil
}

// Connects waits until a TCP port answers from a place of the LAN.
func (l *LAN) Connects(ctx context.Context, from Place, address, port string) error {
	for {
		out, err := l.Command(ctx, from, "timeout", "3", "bash", "-c", "exec 3<>/dev/tcp/"+address+"/"+port).CombinedOutput()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s port %s from %s: %w: %s", address, port, from, ctx.Err(), out)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Rescue is a run of `paperclip rescue` on the owner's computer, and where it leaves what it says.
type Rescue struct {
	command  *exec.Cmd
	dir      string
	stdout   text
	stderr   text
	finished chan error
}

// text is what a program prints; it can be read meanwhile.
type text struct {
	mu sync.Mutex
	b  strings.Builder
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// StartRescue starts it on the owner's computer.
func (l *LAN) StartRescue(ctx context.Context, program, dir string, args ...string) (*Rescue, error) {
	return l.StartRescueFrom(ctx, Client, program, dir, args...)
}

// StartRescueFrom starts it, with no terminal, as a script would. It generates a password unless args name one.
func (l *LAN) StartRescueFrom(ctx context.Context, from Place, program, dir string, args ...string) (*Rescue, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	r := &Rescue{dir: dir, finished: make(chan error, 1)}
	argv := append([]string{program, "rescue", "--yes", "--json", "--wait", "20s", "--code-file", r.codeFile()}, args...)
	if !slices.Contains(args, "--password-file") {
		argv = append(argv, "--password-out", r.passwordFile())
	}
	r.command = l.Command(ctx, from, argv...)
	r.command.Env = append(os.Environ(), "PAPERCLIP_HOME="+filepath.Join(dir, "home")) // its memory of devices is this run's own
	r.command.Stdout, r.command.Stderr = &r.stdout, &r.stderr
	if err := r.command.Start(); err != nil {
		return nil, err
	}
	go func() { r.finished <- r.command.Wait() }()
	return r, nil
}

func (r *Rescue) codeFile() string     { return filepath.Join(r.dir, "code") }
func (r *Rescue) passwordFile() string { return filepath.Join(r.dir, "password") }

// Tell writes down the code that was heard, whole or not at all.
func (r *Rescue) Tell(code [4]int) error {
	digits := fmt.Sprintf("%d%d%d%d\n", code[0], code[1], code[2], code[3])
	file, err := writeSecret(r.dir, "code-*", digits)
	if err != nil {
		return err
	}
	return os.Rename(file, r.codeFile())
}

// Wait waits for the end and gives the document, the generated password and the exit code.
func (r *Rescue) Wait(ctx context.Context) (document []byte, password string, exit int, err error) {
	select {
	case <-ctx.Done():
		return nil, "", -1, fmt.Errorf("rescue did not end: %w; it said: %s", ctx.Err(), r.stderr.String())
	case err = <-r.finished:
	}
	exit = r.command.ProcessState.ExitCode()
	if exit != 0 {
		return []byte(r.stdout.String()), "", exit, fmt.Errorf("rescue: %w; it said: %s", err, r.stderr.String())
	}
	if password, err = r.Password(); errors.Is(err, fs.ErrNotExist) {
		err = nil // none was generated
	}
	return []byte(r.stdout.String()), password, exit, err
}

// Password is the generated one, as the owner finds it.
func (r *Rescue) Password() (string, error) {
	secret, err := os.ReadFile(r.passwordFile())
	return strings.TrimRight(string(secret), "\n"), err
}

// Said is what it told people so far.
func (r *Rescue) Said() string { return r.stderr.String() }

// Says waits until it has told people something.
func (r *Rescue) Says(ctx context.Context, what string) error {
	for !strings.Contains(r.Said(), what) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("rescue did not say %q: %w; it said: %s", what, ctx.Err(), r.Said())
		case err := <-r.finished:
			r.finished <- err // for Wait and Stop
			if strings.Contains(r.Said(), what) {
				return nil
			}
			return fmt.Errorf("rescue ended (%v) without saying %q; it said: %s", err, what, r.Said())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// Stop ends a rescue whose NAS is gone.
func (r *Rescue) Stop() {
	_ = r.command.Process.Kill() // that it may have ended by itself is no news
	<-r.finished
}
