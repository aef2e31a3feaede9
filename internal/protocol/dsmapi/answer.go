package dsmapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// Answer is the envelope of every answer.
type Answer struct {
	Success bool            `json:"success"`
	Data    json.RawMessage `json:"data,omitempty"`
	Error   *Error          `json:"error,omitempty"`
}

// Error is a refusal in the device's own words: a number, and sometimes more.
type Error struct {
	Code   int             `json:"code"`
	Errors json.RawMessage `json:"errors,omitempty"`
	// API is whose number it is; numbers from 400 on mean something else in
	// each. The answer does not say it: the caller fills it in.
	API string `json:"-"`
}

// Error gives the number, and what it means where that is known.
func (e *Error) Error() string {
	if c, ok := e.Meaning(); ok {
		return fmt.Sprintf("DSM answered %d: %s", e.Code, c.Text)
	}
	return "DSM answered " + e.Raw() + ", which no source explains"
}

// Raw is the refusal as the device gave it, safe to show.
func (e *Error) Raw() string {
	s := strconv.Itoa(e.Code)
	if len(e.Errors) > 0 && len(e.Errors) <= maxText {
		s += " " + string(e.Errors)
	}
	return printable.Clean(s)
}

// Said is Raw, and what the number means where a source explains it.
func (e *Error) Said() string {
	if c, ok := e.Meaning(); ok {
		return e.Raw() + " (" + strings.TrimRight(c.Text, ".") + ")"
	}
	return e.Raw()
}

// ParseAnswer reads an answer to a call of that API. A refusal is an *Error.
// out takes the data; nil leaves it.
func ParseAnswer(b []byte, api string, out any) error {
	if len(b) > MaxAnswer {
		return fmt.Errorf("%w: more than %d bytes", ErrMessage, MaxAnswer)
	}
	var raw struct {
		Success *bool           `json:"success"`
		Data    json.RawMessage `json:"data"`
		Error   *Error          `json:"error"`
	}
	if err := json.Unmarshal(b, &raw); err != nil || raw.Success == nil {
		return fmt.Errorf("%w: no answer in JSON", ErrMessage)
	}
	if !*raw.Success {
		if raw.Error == nil {
			raw.Error = &Error{Code: 100}
		}
		raw.Error.API = api
		return raw.Error
	}
	if out == nil {
		return nil
	}
	if len(raw.Data) == 0 {
		raw.Data = json.RawMessage("{}")
	}
	d := json.NewDecoder(bytes.NewReader(raw.Data))
	if err := d.Decode(out); err != nil {
		return fmt.Errorf("%w: the data of %s are not as the sources have them", ErrMessage, api)
	}
	return nil
}

// Succeed writes the answer of a device that did what was asked.
func Succeed(data any) ([]byte, error) {
	if data == nil {
		return []byte(`{"success":true}`), nil
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	return json.Marshal(Answer{Success: true, Data: raw})
}

// Refuse writes the answer of a device that did not.
func Refuse(code int) []byte {
	b, _ := json.Marshal(Answer{Error: &Error{Code: code}}) // numbers alone do not fail
	return b
}

// API is where one API is, and in which versions.
type API struct {
	Path       string `json:"path"`
	MinVersion int    `json:"minVersion"`
	MaxVersion int    `json:"maxVersion"`
	Format     string `json:"requestFormat,omitempty"`
}

// APIs are those that a device has, by name.
type APIs map[string]API

// InfoQuery asks which APIs there are; it needs no session and is no attempt.
func InfoQuery() Request {
	return Request{API: "SYNO.API.Info", Version: 1, Method: "query", Params: map[string]any{"query": "all"}}
}

// ParseAPIs reads the answer to InfoQuery. A path that leads anywhere but into
// the API's own folder is refused: it decides where passwords are sent.
func ParseAPIs(b []byte) (APIs, error) {
	var all APIs
	if err := ParseAnswer(b, "SYNO.API.Info", &all); err != nil {
		return nil, err
	}
	if len(all) > maxItems {
		return nil, fmt.Errorf("%w: %d APIs", ErrMessage, len(all))
	}
	for name, a := range all {
		if a.Path == "" || len(a.Path) > 128 || strings.ContainsAny(a.Path, "\\:?#%@ ") || strings.HasPrefix(a.Path, "/") || path.Clean(a.Path) != a.Path || strings.HasPrefix(a.Path, "..") {
			return nil, fmt.Errorf("%w: the path of an API", ErrMessage)
		}
		if a.MinVersion < 1 || a.MaxVersion < a.MinVersion || a.MaxVersion > 99 {
			delete(all, name)
		}
	}
	return all, nil
}

// Path is where a request goes, and the version to ask in: the highest that
// both sides have, up to want. ok is false where the device has none.
func (all APIs) Path(api string, want int) (at string, version int, format string, ok bool) {
	a, ok := all[api]
	if !ok || a.MinVersion > want {
		return "", 0, "", false
	}
	return pathPrefix + a.Path, min(want, a.MaxVersion), a.Format, true
}
