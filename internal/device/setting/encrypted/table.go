package encrypted

import (
	"slices"
	"strings"
)

// Fields of a line of crypttab(5) and of fstab(5); options are the fourth in
// both.
const (
	cryptName = iota
	_
	cryptKey
	options

	fsSpec  = 0
	fsPoint = 1
	fsType  = 2
)

const noauto = "noauto"

// row is a line of either table that is no comment.
type row struct {
	line   string // with its end
	fields []string
}

func (r row) field(i int) string {
	if i >= len(r.fields) {
		return ""
	}
	return r.fields[i]
}

func (r row) options() []string { return strings.Split(r.field(options), ",") }
func (r row) starts() bool      { return !slices.Contains(r.options(), noauto) }

// option is the value of name=value.
func (r row) option(name string) (string, bool) {
	for _, o := range r.options() {
		if value, ok := strings.CutPrefix(o, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// rows are the lines that say something.
func rows(text string) []row {
	var all []row
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 1 && !strings.HasPrefix(f[0], "#") {
			all = append(all, row{line, f})
		}
	}
	return all
}

// lines cut a table into blocks, as package blockedit wants them.
func lines(text string) []string { return slices.Collect(strings.Lines(text)) }

// span is where field i of a line stands; ok is false where it has none.
func span(line string, i int) (from, to int, ok bool) {
	at := 0
	for n := 0; ; n++ {
		from = at + len(line[at:]) - len(strings.TrimLeft(line[at:], " \t"))
		to = from + strings.IndexAny(line[from:]+"\n", " \t\r\n")
		if from == to {
			return 0, 0, false
		}
		if n == i {
			return from, to, true
		}
		at = to
	}
}

// asleep is the line with the option that keeps it from being opened at start.
func asleep(line string) string {
	if from, to, ok := span(line, options); ok {
		return line[:from] + line[from:to] + "," + noauto + line[to:]
	}
	body := strings.TrimRight(line, " \t\r\n")
	more := " " + noauto
	if _, _, ok := span(line, cryptKey); !ok {
		more = " none" + more
	}
	return body + more + line[len(body):]
}

// awake is the line without that option.
func awake(line string) string {
	from, to, ok := span(line, options)
	if !ok {
		return line
	}
	left := slices.DeleteFunc(strings.Split(line[from:to], ","), func(o string) bool { return o == noauto })
	if len(left) == 0 {
		return strings.TrimRight(line[:from], " \t") + line[to:]
	}
	return line[:from] + strings.Join(left, ",") + line[to:]
}

// unescape reads \040 and the like in fstab and mountinfo.
func unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}

// escape is systemd's, of a name that stands in a unit's (systemd-escape(1)).
func escape(text string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case c == '/':
			b.WriteByte('-')
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == ':', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			b.WriteString(`\x` + string(hex[c>>4]) + string(hex[c&15]))
		}
	}
	return b.String()
}

// mountUnit is the unit of a mount point.
func mountUnit(point string) string { return escape(strings.Trim(point, "/")) + ".mount" }

// cryptUnit is the unit of a line of crypttab.
func cryptUnit(mapping string) string { return "systemd-cryptsetup@" + escape(mapping) + ".service" }
