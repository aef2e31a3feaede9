// Package ini cuts files of sections, as NetworkManager's keyfiles and
// systemd's units are, into those sections, with every byte that they were read
// from.
//
// It knows no section and no key, changes no file, and does not join continued
// lines: what such a line means is for the reader of that format to say.
package ini

import "strings"

// Section is a part of a file from its header to its last entry. Lines before
// the first header, and comments and blank lines behind the last entry of a
// section, are sections without a name, one each: they belong to no setting.
type Section struct {
	Name  string
	Lines []string // with their ends, the header first
}

// Text is the section as read.
func (s Section) Text() string { return strings.Join(s.Lines, "") }

// Split cuts a text into the texts of its sections, as package blockedit wants
// them.
func Split(text string) []string {
	var all []string
	for _, s := range Sections(text) {
		all = append(all, s.Text())
	}
	return all
}

// Sections are those of a text, in order. Joined they are the text.
func Sections(text string) []Section {
	var all []Section
	var pending []string // comments and blank lines that an entry may still follow
	flush := func() {
		for _, p := range pending {
			all = append(all, Section{Lines: []string{p}})
		}
		pending = nil
	}
	open := false
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(trimmed, "[") && strings.HasSuffix(trimmed, "]"):
			flush()
			all = append(all, Section{Name: trimmed[1 : len(trimmed)-1], Lines: []string{line}})
			open = true
		case !open || trimmed == "" || comment(trimmed):
			pending = append(pending, line)
		default:
			last := &all[len(all)-1]
			last.Lines = append(append(last.Lines, pending...), line)
			pending = nil
		}
	}
	flush()
	return all
}

func comment(line string) bool { return strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") }

// Entry is the key and value of a line; ok is false for other lines.
func Entry(line string) (key, value string, ok bool) {
	line = strings.TrimSpace(line)
	if comment(line) || strings.HasPrefix(line, "[") {
		return "", "", false
	}
	key, value, ok = strings.Cut(line, "=")
	return strings.TrimSpace(key), strings.TrimSpace(value), ok
}

// Without is the section without the entries for which drop is true.
func (s Section) Without(drop func(key, value string) bool) Section {
	out := Section{Name: s.Name}
	for _, line := range s.Lines {
		if key, value, ok := Entry(line); ok && drop(key, value) {
			continue
		}
		out.Lines = append(out.Lines, line)
	}
	return out
}

// End is how a line ends: "\n", "\r\n", or "" at the end of a file.
func End(line string) string { return line[len(strings.TrimRight(line, "\r\n")):] }
