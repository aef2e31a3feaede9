//go:build linux

package vm

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// With PAPERCLIP_TRACE_OPS=1 core writes these marks around every named operation on its standard
// error, one write each, so that they stand in the same trace as the system calls between them.
const (
	markBefore = "paperclip-op before "
	markAfter  = "paperclip-op after "
)

// traced starts a program so that it, and all that it starts, is watched. The kernel's own filter is
// what stops it at the calls of interest alone: stopped at each one, it would take minutes. (A call that
// this strace does not know is left out: "?".)
func traced(output string, program ...string) []string {
	calls := append(slices.Sorted(maps.Keys(changing)), "open", "openat", "creat", "write")
	return append([]string{
		"/usr/bin/strace", "--follow-forks", "--seccomp-bpf", "--quiet=all", "--decode-fds=path", "--string-limit=300",
		"--trace=?" + strings.Join(calls, ",?"), "--signal=none", "--output=" + output,
	}, program...)
}

// A Write is a system call of a trace that changed something in the file system.
type Write struct {
	Call  string   // the line of the trace
	Path  string   // the file it changed
	Ops   []string // the named operations that were under way
	Child bool     // it was another process than the first
}

var (
	traceLine    = regexp.MustCompile(`^(\d+)\s+(.*)$`)
	traceCall    = regexp.MustCompile(`^(\w+)\((.*)$`)
	traceResumed = regexp.MustCompile(`^<\.\.\. \w+ resumed>(.*)$`)
	tracePath    = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)
	traceFolder  = regexp.MustCompile(`(?:AT_FDCWD|\d+)<([^>]*)>`)
)

// settingFile is what a write to must have a name: the configuration and the password stores. The
// lock that passwd(1) and we take holds nothing.
func settingFile(path string) bool {
	return path != "/etc/.pwd.lock" && (strings.HasPrefix(path, "/etc/") || strings.HasPrefix(path, "/var/lib/samba/private/"))
}

// changing are the calls that change what they name, whatever their flags; openat changes when it may write.
var changing = map[string]bool{
	"rename": true, "renameat": true, "renameat2": true, "unlink": true, "unlinkat": true, "rmdir": true,
	"mkdir": true, "mkdirat": true, "link": true, "linkat": true, "symlink": true, "symlinkat": true, "mknod": true, "mknodat": true,
	"chmod": true, "fchmodat": true, "fchmodat2": true, "fchmod": true, "chown": true, "lchown": true, "fchownat": true, "fchown": true,
	"truncate": true, "ftruncate": true, "setxattr": true, "lsetxattr": true, "fsetxattr": true, "removexattr": true, "lremovexattr": true, "fremovexattr": true,
	"utime": true, "utimes": true, "utimensat": true,
}

// changes says whether a call changes the file system, and which files.
func changes(name, arguments string) []string {
	opens := name == "open" || name == "openat" || name == "creat"
	if opens && name != "creat" && !strings.Contains(arguments, "O_WRONLY") && !strings.Contains(arguments, "O_RDWR") &&
		!strings.Contains(arguments, "O_CREAT") && !strings.Contains(arguments, "O_TRUNC") {
		return nil
	}
	if !opens && !changing[name] {
		return nil
	}
	var folders []string
	for _, m := range traceFolder.FindAllStringSubmatch(arguments, -1) {
		folders = append(folders, m[1])
	}
	names := tracePath.FindAllStringSubmatch(arguments, -1)
	if len(names) == 0 { // a call on a descriptor
		return folders
	}
	var paths []string
	for i, m := range names {
		p := m[1]
		if !path.IsAbs(p) && len(folders) > 0 {
			p = path.Join(folders[min(i, len(folders)-1)], p)
		}
		paths = append(paths, path.Clean(p))
		if opens || strings.Contains(name, "xattr") { // what follows is no path
			break
		}
	}
	return paths
}

// begun is a call whose end was not seen yet.
type begun struct {
	text string
	ops  []string
}

// Trace is what a trace says of the file system.
type Trace struct {
	Writes     []Write  // every change, in order
	Operations []string // the names of all operations that began, in order
	Unended    []string // those that never ended, by failing: what came after them is not to be trusted
}

// ReadTrace gives every change of the file system that a trace holds, with the named operations that
// were under way when it began. A call that failed changed nothing.
func ReadTrace(r io.Reader) (Trace, error) {
	var (
		trace Trace
		first string
		ops   []string
		open  = map[string]begun{}
	)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := traceLine.FindStringSubmatch(lines.Text())
		if line == nil {
			continue
		}
		pid, text := line[1], line[2]
		if first == "" {
			first = pid
		}
		call := begun{text, append([]string(nil), ops...)}
		if rest := traceResumed.FindStringSubmatch(text); rest != nil {
			call = open[pid]
			call.text += rest[1]
			delete(open, pid)
		} else {
			// The operation counts from the moment its mark is written.
			if name, ok := marked(text, markBefore); ok {
				trace.Operations = append(trace.Operations, name)
			}
			ops = mark(ops, text)
			if strings.HasSuffix(text, "<unfinished ...>") {
				call.text = strings.TrimSuffix(text, "<unfinished ...>")
				open[pid] = call
				continue
			}
		}
		m := traceCall.FindStringSubmatch(call.text)
		if m == nil || strings.Contains(call.text, ") = -1 ") {
			continue
		}
		for _, p := range changes(m[1], m[2]) {
			trace.Writes = append(trace.Writes, Write{Call: call.text, Path: p, Ops: call.ops, Child: pid != first})
		}
	}
	if err := lines.Err(); err != nil {
		return trace, fmt.Errorf("trace: %w", err)
	}
	trace.Unended = ops
	return trace, nil
}

// mark follows the marks that core writes: it gives the operations under way after this line. One that
// failed has no mark after it; it ends where the same goroutine's next one begins, which is not to be
// seen here, so the newest begun is the one that is dropped last.
func mark(ops []string, text string) []string {
	if name, ok := marked(text, markBefore); ok {
		return append(ops[:len(ops):len(ops)], name)
	}
	if name, ok := marked(text, markAfter); ok {
		for i, op := range ops {
			if op == name {
				return append(ops[:i:i], ops[i+1:]...)
			}
		}
	}
	return ops
}

// marked gives the operation's name when the line is the write of such a mark.
func marked(text, prefix string) (string, bool) {
	if !strings.HasPrefix(text, "write(") {
		return "", false
	}
	_, rest, found := strings.Cut(text, prefix)
	if !found {
		return "", false
	}
	end := strings.IndexAny(rest, ` \"`)
	if end < 0 {
		return "", false
	}
	return rest[:end], true
}
