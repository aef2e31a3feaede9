package guest

import "slices"

// What package shares needs to know of smb.conf, which both write.

// SambaConfig is the file.
const SambaConfig = smbConf

// Elsewhere says why smb.conf is not where Samba's settings are made; "" when
// it is.
func Elsewhere(text string) string {
	if why := elsewhere(text); why != "" {
		return why
	}
	_, headers := scan(text)
	shares := false
	for _, h := range headers {
		if shares && h.section == global {
			return smbConf + " has [global] again behind a share"
		}
		shares = shares || h.section != global
	}
	return ""
}

// Split parts smb.conf into [global] with what stands before it, and the shares.
func Split(text string) (head, shares string) {
	_, headers := scan(text)
	for _, h := range headers {
		if h.section != global {
			return text[:h.start], text[h.start:]
		}
	}
	return text, ""
}

// Names are the shares that smb.conf defines, as Samba compares names.
func Names(text string) []string {
	var names []string
	_, headers := scan(text)
	for _, h := range headers {
		if h.section != global && !slices.Contains(names, h.section) {
			names = append(names, h.section)
		}
	}
	return names
}

// Closed is the text with the shares such that no guest gets in by one of them
// (E2). [global] is as it was.
func Closed(text string) string {
	for _, section := range Names(text) {
		spans, _ := scan(text)
		names := []string{"nobody", Account}
		if s, ok := find(spans, global, "guest account"); ok && s.value != "" {
			names[0] = s.value
		}
		_, own := find(spans, section, "invalid users")
		open := slices.ContainsFunc(spans, func(s span) bool {
			return s.section == section && slices.Contains([]string{"guestok", "public", "guestonly", "onlyguest"}, s.key) && truth(s.value)
		})
		if !own && !open {
			continue
		}
		if s, ok := find(spans, global, "invalid users"); ok && !own { // a list of its own takes the place of that one
			names = append(list(s.value), names...)
		}
		if e, needed := refuse(text, spans, section, names); needed {
			text = parameter(section, e.Key).Set(text, e.To)
		}
	}
	return text
}
