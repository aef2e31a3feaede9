package shadow

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// table is a file of lines with fields between colons, as passwd(5), group(5)
// and gshadow(5): what is not changed is written back byte for byte.
type table struct {
	path  string
	data  []byte // as it was read; nil where there is no such file
	lines [][]byte
}

// loadTable reads a table. One that need not be there may be missing.
func loadTable(fsys opfs.FS, path string, needed bool) (*table, error) {
	data, err := fsys.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !needed {
		return &table{path: path}, nil
	}
	return &table{path: path, data: data, lines: bytes.SplitAfter(data, []byte("\n"))}, err
}

// row is a line without its end.
func row(line []byte) string { return strings.TrimRight(string(line), "\r\n") }

// rows are all lines that have so many fields.
func (t *table) rows(fields int) [][]string {
	var all [][]string
	for _, l := range t.lines {
		if entry := strings.Split(row(l), ":"); len(entry) == fields {
			all = append(all, entry)
		}
	}
	return all
}

// find is the first line that begins with a name.
func (t *table) find(name string) int {
	return slices.IndexFunc(t.lines, func(l []byte) bool { return strings.HasPrefix(string(l), name+":") })
}

// line is the line of a name, without its end; "" where there is none.
func (t *table) line(name string) string {
	if i := t.find(name); i >= 0 {
		return row(t.lines[i])
	}
	return ""
}

// add appends a line, with an end where the one before has one. remove takes it
// away again, to the byte.
func (t *table) add(line string) {
	if last := len(t.lines) - 1; last >= 0 && len(t.lines[last]) > 0 {
		t.lines[last] = append(slices.Clip(t.lines[last]), '\n')
		t.lines = append(t.lines, []byte(line))
		return
	}
	t.lines = append(t.lines, []byte(line+"\n"))
}

func (t *table) remove(name string) {
	i := t.find(name)
	if i < 0 {
		return
	}
	if last := i == len(t.lines)-1; last && i > 0 && !bytes.HasSuffix(t.lines[i], []byte("\n")) {
		t.lines[i-1] = bytes.TrimSuffix(t.lines[i-1], []byte("\n"))
	}
	t.lines = slices.Delete(t.lines, i, i+1)
}

// join puts somebody into a group's list of members, leave takes them out.
func (t *table) join(group, member string) {
	t.members(group, func(all []string) []string {
		if slices.Contains(all, member) {
			return all
		}
		return append(all, member)
	})
}

func (t *table) leave(group, member string) {
	t.members(group, func(all []string) []string {
		return slices.DeleteFunc(all, func(m string) bool { return m == member })
	})
}

func (t *table) members(group string, change func([]string) []string) {
	i := t.find(group)
	if i < 0 {
		return
	}
	line := row(t.lines[i])
	at := strings.LastIndex(line, ":") + 1
	var all []string
	if line[at:] != "" {
		all = strings.Split(line[at:], ",")
	}
	t.lines[i] = []byte(line[:at] + strings.Join(change(all), ",") + string(t.lines[i][len(line):]))
}

// write replaces the file where it is another one now. It is durable when its
// directory is synced.
func (t *table) write(fsys opfs.FS, op string) error {
	if t.data == nil {
		return nil
	}
	if now := bytes.Join(t.lines, nil); !bytes.Equal(now, t.data) {
		return atomicfile.Exchange(fsys, op, t.path, now, atomicfile.Options{})
	}
	return atomicfile.Settle(fsys, op, t.path)
}
