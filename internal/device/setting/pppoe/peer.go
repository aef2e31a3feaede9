package pppoe

import (
	"path"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting/ownfile"
)

// peer is what is looked for in a file of pppd(8) options.
type peer struct {
	pppoe bool   // it dials by PPPoE
	nic   string // over that interface, where the file says so
	off   bool   // it does not dial
}

func parse(text string) peer {
	var p peer
	w := words(text)
	for i, word := range w {
		next := ""
		if i+1 < len(w) {
			next = w[i+1]
		}
		switch {
		case word == "dryrun":
			p.off = true
		case word == "plugin" && slices.Contains([]string{"rp-pppoe.so", "pppoe.so"}, path.Base(next)):
			p.pppoe = true
			// The older plugin takes the interface as the next word.
			if i+2 < len(w) && p.nic == "" && isNIC(w[i+2]) {
				p.nic = w[i+2]
			}
		case word == "pty" && slices.ContainsFunc(strings.Fields(next), func(s string) bool { return path.Base(s) == "pppoe" }):
			p.pppoe = true
			args := strings.Fields(next)
			if at := slices.Index(args, "-I"); at >= 0 && at+1 < len(args) {
				p.nic = args[at+1]
			}
		case strings.HasPrefix(word, "nic-"):
			p.nic = word[len("nic-"):]
		}
	}
	return p
}

// isNIC tells an interface from the option that follows it, by how the kernel
// and udev name wired cards.
func isNIC(word string) bool {
	return len(word) <= 15 && (strings.HasPrefix(word, "eth") || strings.HasPrefix(word, "en") || strings.HasPrefix(word, "bond") || strings.HasPrefix(word, "br")) &&
		strings.ContainsAny(word, "0123456789")
}

// words are the options of a file: separated by space, quoted or not, comments
// left out.
func words(text string) []string {
	var all []string
	for len(text) > 0 {
		switch c := text[0]; c {
		case ' ', '\t', '\r', '\n':
			text = text[1:]
		case '#':
			end := strings.IndexByte(text, '\n')
			if end < 0 {
				return all
			}
			text = text[end:]
		case '"', '\'':
			end := strings.IndexByte(text[1:], c)
			if end < 0 {
				return append(all, text[1:])
			}
			all = append(all, text[1:end+1])
			text = text[end+2:]
		default:
			end := strings.IndexAny(text, " \t\r\n")
			if end < 0 {
				end = len(text)
			}
			all = append(all, text[:end])
			text = text[end:]
		}
	}
	return all
}

// line is what is put before everything else in the file.
const line = "dryrun # off: set by paperclipd in a reset; without this line it dials again\n"

// get is that line, another one that switches the connection off, or nil.
func get(text string) ownfile.Content {
	switch {
	case strings.HasPrefix(text, line):
		return ownfile.Text(line)
	case parse(text).off:
		return ownfile.Text("dryrun")
	}
	return nil
}

// set puts the line in or takes it out.
func set(text string, value ownfile.Content) string {
	rest := strings.TrimPrefix(text, line)
	if value == nil {
		return rest
	}
	return line + rest
}
