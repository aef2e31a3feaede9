package shadow

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/device/setting"
)

// The fields of a line, as in shadow(5).
const (
	fieldName = iota
	fieldHash
	fieldChanged // day of the last change
	_
	_
	_
	_
	fieldExpires // day on which the account is disabled
	_
	fields
)

var (
	errNoEntry   = errors.New("no line in the shadow file")
	errMalformed = errors.New("its line in the shadow file is malformed")
)

// value is the part of a line that a reset replaces.
type value struct {
	Hash    string `json:"hash"`
	Changed string `json:"changed"` // "" switches ageing off; it is then left so
	Expires string `json:"expires"`
}

// renewed is v with a new hash, set on that day. An expiry that has passed is
// lifted: a reset enables the account (E1). The day never goes back, so that a
// clock that lost its time neither expires the password nor (day 0) forces
// another change.
func (v value) renewed(hash string, today int64) value {
	if v.expired(today) {
		v.Expires = ""
	}
	if v.Changed != "" {
		old, _ := strconv.ParseInt(v.Changed, 10, 64)
		v.Changed = strconv.FormatInt(max(today, old, 1), 10)
	}
	v.Hash = hash
	return v
}

// off is v with the account switched off: the hash is kept behind a "!", as
// usermod -L does, so that no password fits. An expiry day that is long past
// keeps keys and other proofs out too; root has none, as its scheduled jobs
// would stop.
func (v value) off(root bool) value {
	if !strings.HasPrefix(v.Hash, "!") {
		v.Hash = "!" + v.Hash
	}
	if !root {
		v.Expires = "1"
	}
	return v
}

// on takes that back; ok is false where there is no password behind it.
func (v value) on(today int64) (_ value, ok bool) {
	v.Hash = strings.TrimLeft(v.Hash, "!")
	if v.expired(today) {
		v.Expires = ""
	}
	return v, v.usable(today)
}

func (v value) expired(today int64) bool {
	day, err := strconv.ParseInt(v.Expires, 10, 64)
	return err == nil && day >= 0 && today >= day
}

// usable reports whether any password opens the account: it has a hash that is
// not locked, and has not expired.
func (v value) usable(today int64) bool {
	return v.Hash != "" && !strings.ContainsAny(v.Hash[:1], "!*") && !v.expired(today)
}

// file is a shadow file as lines with their ends, so that what is not changed
// is written back byte for byte.
type file struct{ lines [][]byte }

func parse(data []byte) *file { return &file{bytes.SplitAfter(data, []byte("\n"))} }

func (f *file) bytes() []byte { return bytes.Join(f.lines, nil) }

// find is the first line of that name, which is the one that counts for the
// system too.
func (f *file) find(user string) (i int, entry []string) {
	for i, line := range f.lines {
		entry := strings.Split(strings.TrimRight(string(line), "\r\n"), ":")
		if len(entry) > 1 && entry[fieldName] == user {
			return i, entry
		}
	}
	return -1, nil
}

func (f *file) value(user string) (value, error) {
	_, entry := f.find(user)
	switch {
	case entry == nil:
		return value{}, fmt.Errorf("%s: %w: %w", user, errNoEntry, setting.ErrPermanent)
	case len(entry) != fields:
		return value{}, fmt.Errorf("%s: %w: %w", user, errMalformed, setting.ErrPermanent)
	}
	return value{entry[fieldHash], entry[fieldChanged], entry[fieldExpires]}, nil
}

// set replaces the value of a line that value has read.
func (f *file) set(user string, v value) {
	i, entry := f.find(user)
	line := string(f.lines[i])
	end := line[len(strings.TrimRight(line, "\r\n")):]
	entry[fieldHash], entry[fieldChanged], entry[fieldExpires] = v.Hash, v.Changed, v.Expires
	f.lines[i] = []byte(strings.Join(entry, ":") + end)
}

// add appends a line with the usual ages; remove takes a line away, to the byte.
func (f *file) add(user string, v value) {
	t := table{lines: f.lines}
	t.add(fmt.Sprintf("%s:%s:%s:0:99999:7::%s:", user, v.Hash, v.Changed, v.Expires))
	f.lines = t.lines
}

func (f *file) remove(user string) {
	t := table{lines: f.lines}
	t.remove(user)
	f.lines = t.lines
}

// hashes are those of all lines that can be read.
func (f *file) hashes() []string {
	var all []string
	for _, line := range f.lines {
		if entry := strings.Split(string(line), ":"); len(entry) == fields {
			all = append(all, entry[fieldHash])
		}
	}
	return all
}
