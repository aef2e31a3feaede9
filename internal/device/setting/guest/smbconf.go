package guest

import (
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/entry"
	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
)

// span is one assignment of smb.conf: the bytes of its value in the text, and
// of its line (or lines, joined by backslashes).
type span struct {
	section, key string
	value        string // trimmed, lines joined
	from, to     int    // of the value, without space around it
	start, end   int    // of the line, with its end
}

// header is where a section's first line begins and ends.
type header struct {
	section    string
	start, end int
}

const global = "global"

// fold is how Samba compares names: without regard to case and space.
func fold(name string) string {
	return strings.ToLower(strings.Join(strings.Fields(name), ""))
}

// scan reads smb.conf(5): sections, assignments, comments at the start of a
// line, a backslash that continues one. What stands before the first section
// belongs to [global]. It never fails: what it cannot read Samba refuses.
func scan(text string) (spans []span, headers []header) {
	section := global
	for at := 0; at < len(text); {
		start := at
		at = logicalEnd(text, start)
		line := text[start:at]
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
		case trimmed[0] == '[':
			if end := strings.IndexByte(trimmed, ']'); end > 0 {
				section = fold(trimmed[1:end])
				headers = append(headers, header{section, start, at})
			}
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok {
				continue
			}
			from := start + len(key) + 1
			from += len(value) - len(strings.TrimLeft(value, " \t\r\n"))
			to := from + len(strings.TrimSpace(value))
			if strings.TrimSpace(value) == "" {
				from = start + len(key) + 1
				to = from
			}
			spans = append(spans, span{section, fold(key), join(text[from:to]), from, to, start, at})
		}
	}
	return spans, headers
}

// logicalEnd is where the line that begins at start ends, after its newline and
// after the lines that it is continued on. Comments are not continued.
func logicalEnd(text string, start int) int {
	first := strings.TrimLeft(text[start:], " \t")
	comment := strings.HasPrefix(first, "#") || strings.HasPrefix(first, ";")
	for at := start; ; {
		newline := strings.IndexByte(text[at:], '\n')
		if newline < 0 {
			return len(text)
		}
		line := strings.TrimRight(text[at:at+newline], " \t\r")
		at += newline + 1
		if comment || !strings.HasSuffix(line, `\`) {
			return at
		}
	}
}

func join(value string) string {
	var parts []string
	for line := range strings.Lines(value) {
		parts = append(parts, strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(line), `\`)))
	}
	return strings.TrimSpace(strings.Join(parts, " "))
}

// find is the assignment that counts, which is the last one.
func find(spans []span, section, key string) (span, bool) {
	for _, s := range slices.Backward(spans) {
		if s.section == section && s.key == fold(key) {
			return s, true
		}
	}
	return span{}, false
}

// parameter is one assignment in a section as an entry of smb.conf. Its value
// is the text after the "=", as it stands.
func parameter(section, key string) entry.Entry {
	return entry.Entry{
		Path: smbConf,
		Get: func(text string) ownfile.Content {
			spans, _ := scan(text)
			s, ok := find(spans, section, key)
			if !ok {
				return nil
			}
			return ownfile.Text(text[s.from:s.to])
		},
		Set: func(text string, value ownfile.Content) string {
			spans, headers := scan(text)
			s, ok := find(spans, section, key)
			switch {
			case ok && value == nil && text[s.start:s.end] == added(key, text[s.from:s.to]):
				return text[:s.start] + text[s.end:] // the line that was put in below
			case ok && value != nil:
				return text[:s.from] + *value + text[s.to:]
			case ok || value == nil:
				return text
			}
			for _, h := range slices.Backward(headers) {
				if h.section == section && strings.HasSuffix(text[:h.end], "\n") {
					return text[:h.end] + added(key, *value) + text[h.end:]
				}
			}
			if section == global {
				return added(key, *value) + text
			}
			return text
		},
	}
}

// added is the line that is put in where a section had none of that name.
func added(key, value string) string { return "   " + key + " = " + value + "\n" }

// list splits a list of names as Samba does; names with space are quoted.
func list(value string) []string {
	var all []string
	for value = strings.TrimLeft(value, " \t,;"); value != ""; value = strings.TrimLeft(value, " \t,;") {
		if rest, quoted := strings.CutPrefix(value, `"`); quoted {
			name, after, _ := strings.Cut(rest, `"`)
			all, value = append(all, name), after
			continue
		}
		end := strings.IndexAny(value, " \t,;")
		if end < 0 {
			end = len(value)
		}
		all, value = append(all, value[:end]), value[end:]
	}
	return all
}

// truth is how Samba reads yes and no.
func truth(value string) bool {
	return slices.Contains([]string{"yes", "true", "on", "1"}, strings.ToLower(strings.TrimSpace(value)))
}
