package interfaces

import (
	"slices"
	"strings"
)

// Split cuts a file into its blocks, as blockedit wants them.
func Split(text string) []string {
	var all []string
	for _, b := range blocks(text) {
		all = append(all, b.Text)
	}
	return all
}

// blocks parses a file. A stanza goes from its header to its last option;
// comments and blank lines after that are blocks of their own, so that they
// belong to nobody's setting.
func blocks(text string) []Block {
	var all []Block
	var pending []string // comments and blank lines that an option may still follow
	flush := func() {
		for _, p := range pending {
			all = append(all, Block{Text: p})
		}
		pending = nil
	}
	open := false
	for _, line := range logical(text) {
		if filler(line) {
			pending = append(pending, line)
			continue
		}
		words := fields(line)
		if header(words[0]) || !open {
			flush()
			b := Block{Text: line}
			if header(words[0]) {
				b.Words = words
			}
			all = append(all, b)
			open = words[0] == "iface" || words[0] == "mapping"
			continue
		}
		last := &all[len(all)-1]
		for _, p := range pending {
			last.Options = append(last.Options, Option{text: p, comment: true})
			last.Text += p
		}
		pending = nil
		value := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(joined(line)), words[0]))
		last.Options = append(last.Options, Option{Name: words[0], Value: value, text: line})
		last.Text += line
	}
	flush()
	return all
}

// logical cuts text into lines with their ends; a backslash at the end of one
// continues it, but not in a comment.
func logical(text string) []string {
	var all []string
	pending := ""
	for line := range strings.Lines(text) {
		pending += line
		if strings.HasSuffix(strings.TrimSuffix(line, "\n"), `\`) && !comment(pending) {
			continue
		}
		all = append(all, pending)
		pending = ""
	}
	if pending != "" {
		all = append(all, pending)
	}
	return all
}

func comment(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "#") }

func filler(line string) bool { return comment(line) || strings.TrimSpace(joined(line)) == "" }

// joined is a line without its continuations.
func joined(line string) string {
	line = strings.ReplaceAll(line, "\\\n", " ")
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), `\`)
}

func fields(line string) []string { return strings.Fields(joined(line)) }

func header(word string) bool {
	return slices.Contains([]string{"iface", "mapping", "auto", "source", "source-directory", "rename", "no-auto-down", "no-scripts"}, word) ||
		strings.HasPrefix(word, "allow-")
}

func (b Block) kind() string {
	if len(b.Words) == 0 {
		return ""
	}
	return b.Words[0]
}

// Interface is the name that an iface stanza is for; "" for other blocks.
func (b Block) Interface() string { return b.word("iface", 1) }

// Family is "inet" or "inet6".
func (b Block) Family() string { return b.word("iface", 2) }

// Method is "static", "dhcp", "manual", "ppp" and so on.
func (b Block) Method() string { return b.word("iface", 3) }

func (b Block) word(kind string, i int) string {
	if b.kind() != kind || len(b.Words) <= i {
		return ""
	}
	return b.Words[i]
}

// starts are the interfaces that a line of that kind brings up by itself.
func (b Block) starts() []string {
	if k := b.kind(); k == "auto" || strings.HasPrefix(k, "allow-") {
		return b.Words[1:]
	}
	return nil
}

// Get is the value of an option: the last, with hyphens and underscores alike.
func (b Block) Get(names ...string) string {
	value := ""
	for _, o := range b.Options {
		if o.is(names...) {
			value = o.Value
		}
	}
	return value
}

func (o Option) is(names ...string) bool {
	return !o.comment && slices.Contains(names, strings.ReplaceAll(o.Name, "_", "-"))
}

// headerLine is the first line as read.
func (b Block) headerLine() string {
	n := len(b.Text)
	for _, o := range b.Options {
		n -= len(o.text)
	}
	return b.Text[:n]
}

// word swaps one word of a line and keeps the space around it.
func swap(line string, n int, word string) string {
	at, inside := 0, false
	for i, r := range line {
		space := r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '\\' && strings.HasPrefix(line[i:], "\\\n")
		if !space && !inside {
			if at == n {
				end := strings.IndexAny(line[i:], " \t\n\r\\")
				if end < 0 {
					end = len(line) - i
				}
				return line[:i] + word + line[i+end:]
			}
			at++
		}
		inside = !space
	}
	return line
}

// Flat is the whole configuration as one file that sources no other.
func (c Config) Flat() string {
	var b strings.Builder
	for _, block := range c.Blocks {
		if k := block.kind(); k != "source" && k != "source-directory" {
			b.WriteString(line(block.Text))
		}
	}
	return b.String()
}

// Paths are the files that were read and hold a block.
func (c Config) Paths() []string {
	var all []string
	for _, b := range c.Blocks {
		all = add(all, b.Path)
	}
	return all
}
