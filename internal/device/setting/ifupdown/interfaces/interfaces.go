// Package interfaces reads /etc/network/interfaces and the files that it
// sources, as interfaces(5) has them, and works out the blocks that change when
// the network is reset: which text becomes which.
//
// It knows the file's form, not what any program does with it. It never writes,
// never runs a mapping script, and never guesses: what it cannot edit safely
// (patterns, mappings, renaming, shell words in a path) is named in
// [Config.Obstacle].
package interfaces

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Main is the file that ifup reads.
const Main = "/etc/network/interfaces"

// Bounds of what is read: more is a mistake or an attack.
const (
	maxFiles = 64
	maxDepth = 8
)

// ErrTooMany says that the files source each other too deep or too often.
var ErrTooMany = errors.New("too many files source each other")

// Block is a stanza or a line that is none, with the bytes it was read from.
type Block struct {
	Path    string
	Text    string
	Words   []string // of its first line: "iface", "eth0", "inet", "static"; none for comments and blank lines
	Options []Option
}

// Option is one line of a stanza.
type Option struct {
	Name, Value string
	text        string // the line or continued lines, as read
	comment     bool   // a comment or a blank line inside the stanza
}

// Config is all blocks of all files, in the order in which ifup reads them.
type Config struct {
	Blocks []Block
	// Obstacle says what in the files cannot be edited safely; "" is nothing.
	Obstacle string
}

// Files is what reading needs of a file system.
type Files interface {
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]fs.DirEntry, error)
}

// Load reads Main and all that it sources. A missing Main is an empty Config.
func Load(files Files) (Config, error) {
	l := loader{files: files}
	err := l.load(Main, 0)
	if errors.Is(err, fs.ErrNotExist) && l.count <= 1 {
		return Config{}, nil
	}
	return l.config, err
}

type loader struct {
	files  Files
	config Config
	count  int
}

func (l *loader) load(file string, depth int) error {
	if l.count++; l.count > maxFiles || depth > maxDepth {
		return ErrTooMany
	}
	data, err := l.files.ReadFile(file)
	if err != nil {
		return err
	}
	text := string(data)
	if why := generated(text); why != "" {
		l.obstacle(file, why)
	}
	for _, b := range blocks(text) {
		b.Path = file
		l.judge(b)
		l.config.Blocks = append(l.config.Blocks, b)
		if b.kind() != "source" && b.kind() != "source-directory" {
			continue
		}
		for _, pattern := range b.Words[1:] {
			if err := l.source(file, pattern, b.kind() == "source-directory", depth); err != nil {
				return err
			}
		}
	}
	return nil
}

// source reads the files that a line names, sorted by name as wordexp does.
func (l *loader) source(from, pattern string, directory bool, depth int) error {
	if strings.ContainsAny(pattern, "$`~\"'{}()|&;<>\\") {
		l.obstacle(from, "it sources "+pattern+", a name that a shell would have to work out")
		return nil
	}
	if !path.IsAbs(pattern) {
		pattern = path.Join(path.Dir(from), pattern)
	}
	if directory {
		pattern = path.Join(pattern, "*")
	}
	names, err := glob(l.files, pattern, maxFiles)
	if err != nil {
		return err
	}
	for _, name := range names {
		if directory && !plain(path.Base(name)) {
			continue
		}
		switch err := l.load(name, depth+1); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// glob is the names that a pattern stands for; hidden files only where the
// pattern says so.
func glob(files Files, pattern string, limit int) ([]string, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, nil // names nothing
	}
	found := []string{"/"}
	for part := range strings.SplitSeq(strings.Trim(path.Clean(pattern), "/"), "/") {
		var next []string
		for _, dir := range found {
			if !strings.ContainsAny(part, "*?[") {
				next = append(next, path.Join(dir, part))
				continue
			}
			entries, err := files.ReadDir(dir)
			if err != nil {
				continue // as a shell: matches nothing
			}
			for _, e := range entries {
				hidden := strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(part, ".")
				if ok, _ := path.Match(part, e.Name()); ok && !hidden {
					next = append(next, path.Join(dir, e.Name()))
				}
			}
		}
		if found = next; len(found) > limit {
			return nil, ErrTooMany
		}
	}
	slices.Sort(found)
	return found, nil
}

func (l *loader) obstacle(file, why string) {
	if l.config.Obstacle == "" {
		l.config.Obstacle = file + ": " + why
	}
}

// judge notes what cannot be edited safely.
func (l *loader) judge(b Block) {
	switch kind := b.kind(); {
	case kind == "mapping" || kind == "rename":
		l.obstacle(b.Path, "it uses "+kind+", so the name of an interface is only known when it comes up")
	case kind == "auto" || strings.HasPrefix(kind, "allow-"):
		for _, w := range b.Words[1:] {
			if strings.ContainsAny(w, "/=") {
				l.obstacle(b.Path, "it names interfaces by a pattern, "+w)
			}
		}
	case kind == "iface" && len(b.Words) < 4 && !slices.Contains(b.Words, "inherits"):
		l.obstacle(b.Path, "a stanza has no family and method: "+strings.Join(b.Words, " "))
	case kind == "":
		if !filler(b.Text) {
			l.obstacle(b.Path, "a line stands in no stanza: "+strings.TrimSpace(b.Text))
		}
	}
}

// generated says which program writes the file, by the marks that they leave
// in its head.
func generated(text string) string {
	var head strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			break
		}
		head.WriteString(strings.ToLower(strings.TrimLeft(line, "# ")) + " ")
	}
	for _, mark := range []struct{ text, by string }{
		{"cloud-init", "cloud-init"},
		{"information provided by the datasource", "cloud-init"},
		{"openmediavault", "openmediavault"},
		{"auto-generated", "another program"},
		{"autogenerated", "another program"},
		{"automatically generated", "another program"},
		{"this file is generated", "another program"},
		{"this file was generated", "another program"},
	} {
		if strings.Contains(head.String(), mark.text) {
			return "it is written by " + mark.by + ", which would undo a change: the addresses have to be set there"
		}
	}
	return ""
}

// plain is the form of the names that source-directory reads.
func plain(name string) bool {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' {
			return false
		}
	}
	return name != ""
}
