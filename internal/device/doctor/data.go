package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// maxNamed is how many folders are named; the others are counted.
const maxNamed = 8

// besideSystem names the data that lies on the system's own file system: shared
// folders and people's homes. That no reset touches it rests there on the list of
// folders that paperclipd may write to, and on no mount that the kernel keeps
// read-only.
func (m Machine) besideSystem(root uint64) []Check {
	const id = "data_on_root"
	var on []string
	for _, folder := range m.shared() {
		if device, err := m.Device(folder); err == nil && device == root {
			on = append(on, folder)
		}
	}
	if len(on) == 0 {
		return []Check{{ID: id, OK: true, Why: "No shared folder and no home lies on the system's own file system."}}
	}
	names := strings.Join(on, ", ")
	if len(on) > maxNamed {
		names = fmt.Sprintf("%s and %d more", strings.Join(on[:maxNamed], ", "), len(on)-maxNamed)
	}
	return []Check{{
		ID: id, OK: true,
		Why: "These lie on the system's own file system: " + names + ". That a reset leaves them alone rests there on the list of folders that paperclipd may write to; a volume of their own would be kept read-only from it as well.",
	}}
}

// shared are the folders that people's files are in: homes, and what smb.conf and
// exports share.
func (m Machine) shared() []string {
	all := []string{"/home"}
	for line := range m.lines("/etc/samba/smb.conf") {
		key, value, ok := strings.Cut(line, "=")
		name := strings.ToLower(strings.Join(strings.Fields(key), " "))
		if value = strings.Trim(strings.TrimSpace(value), `"`); !ok || name != "path" && name != "directory" {
			continue
		}
		value, _, _ = strings.Cut(value, "%") // up to the first variable
		all = append(all, value)
	}
	for line := range m.lines("/etc/exports") {
		if fields := strings.Fields(line); len(fields) > 0 {
			all = append(all, strings.Trim(fields[0], `"`))
		}
	}
	var out []string
	for _, folder := range all {
		if strings.HasPrefix(folder, "/") && !strings.HasPrefix(folder, "/var/lib/samba/printers") && !slices.Contains(out, folder) {
			out = append(out, folder)
		}
	}
	return out
}

// lines are those of a file that are no comment; none of one that is missing.
func (m Machine) lines(name string) func(func(string) bool) {
	text, err := m.Files.ReadFile(name)
	return func(yield func(string) bool) {
		if err != nil {
			return
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			if line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ";") && !yield(line) {
				return
			}
		}
	}
}
