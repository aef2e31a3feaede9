// Package dsmapi writes and reads the messages of DSM's web API, as far as
// getting back in needs them (vendors/synology.md §4): requests as forms,
// answers as JSON, and what the error codes mean.
//
// It is a pure codec: it opens no connection and keeps no session. It has no
// message that resets, installs or restarts a device, and none whose body is
// not in a source; whoever signs in with it sends a password in a form's body,
// never in an address.
package dsmapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
)

// Where requests go (vendors/synology.md §4). Other paths come from the answer
// to InfoQuery.
const (
	PathQuery = "/webapi/query.cgi"
	PathEntry = "/webapi/entry.cgi"

	pathPrefix = "/webapi/"
)

// Bounds of what is read.
const (
	MaxAnswer = 4 << 20 // bytes; the list of all APIs of a DSM 7 has 300 kB
	MaxForm   = 64 << 10
	maxParams = 64
	maxItems  = 10_000
	maxText   = 4096
)

// ErrMessage is a message that is none of this protocol, or beyond its bounds;
// test with errors.Is. It never repeats what was sent.
var ErrMessage = errors.New("dsmapi: not a message of this protocol")

// Request is one call.
type Request struct {
	API     string
	Version int
	Method  string
	// Params are string, bool, int, []string or access.Secret.
	Params map[string]any
	// SID and Token are the session's; empty before sign-in.
	SID   string
	Token string
}

// String names the call without its parameters, which may hold a password.
func (r Request) String() string { return fmt.Sprintf("%s v%d %s", r.API, r.Version, r.Method) }

// GoString is String.
func (r Request) GoString() string { return r.String() }

// Form is the body of the request for an API of that format: with "JSON" each
// text is a JSON string.
func (r Request) Form(format string) (url.Values, error) {
	v := url.Values{"api": {r.API}, "version": {strconv.Itoa(r.Version)}, "method": {r.Method}}
	for _, name := range slices.Sorted(maps.Keys(r.Params)) {
		text, err := parameter(r.Params[name], strings.EqualFold(format, "JSON"))
		if err != nil {
			return nil, fmt.Errorf("dsmapi: %s of %s: %w", name, r, err)
		}
		v.Set(name, text)
	}
	if r.SID != "" {
		v.Set("_sid", r.SID)
	}
	if r.Token != "" {
		v.Set("SynoToken", r.Token)
	}
	return v, nil
}

func parameter(value any, asJSON bool) (string, error) {
	switch p := value.(type) {
	case access.Secret:
		return parameter(p.Reveal(), asJSON)
	case string:
		if !asJSON {
			return p, nil
		}
	case bool, int, []string:
	default:
		return "", fmt.Errorf("a %T is no parameter", value)
	}
	b, err := json.Marshal(value)
	return string(b), err
}

// ParseForm reads a request as a device does. The parameters keep the text that
// was sent; Text, Bool, Int and List read them in either format.
func ParseForm(v url.Values) (Request, error) {
	if len(v) > maxParams {
		return Request{}, fmt.Errorf("%w: %d parameters", ErrMessage, len(v))
	}
	r := Request{API: v.Get("api"), Method: v.Get("method"), SID: v.Get("_sid"), Token: v.Get("SynoToken"), Params: map[string]any{}}
	n, err := strconv.Atoi(v.Get("version"))
	if err != nil || n < 1 || n > 99 || r.API == "" || r.Method == "" || len(r.API) > 128 || len(r.Method) > 64 {
		return Request{}, fmt.Errorf("%w: no api, version or method", ErrMessage)
	}
	r.Version = n
	for name, values := range v {
		if slices.Contains([]string{"api", "version", "method", "_sid", "SynoToken"}, name) || len(values) == 0 {
			continue
		}
		if len(values[0]) > MaxForm {
			return Request{}, fmt.Errorf("%w: a parameter is too long", ErrMessage)
		}
		r.Params[name] = values[0]
	}
	return r, nil
}

// Text is a parameter as text, in either format.
func (r Request) Text(name string) string {
	switch p := r.Params[name].(type) {
	case access.Secret:
		return p.Reveal()
	case string:
		var s string
		if strings.HasPrefix(p, `"`) && json.Unmarshal([]byte(p), &s) == nil {
			return s
		}
		return p
	case nil:
		return ""
	default:
		return fmt.Sprint(p)
	}
}

// Has reports whether the parameter was given.
func (r Request) Has(name string) bool { _, ok := r.Params[name]; return ok }

// Bool is a parameter as a switch: true, "true", "yes" or 1.
func (r Request) Bool(name string) bool {
	return slices.Contains([]string{"true", "yes", "1"}, strings.ToLower(r.Text(name)))
}

// Int is a parameter as a number; 0 where it is none.
func (r Request) Int(name string) int {
	n, err := strconv.Atoi(r.Text(name))
	if err != nil {
		return 0
	}
	return n
}

// List is a parameter as a list: a JSON array, or one text.
func (r Request) List(name string) []string {
	if l, ok := r.Params[name].([]string); ok {
		return l
	}
	var l []string
	if s := r.Text(name); strings.HasPrefix(s, "[") && json.Unmarshal([]byte(s), &l) == nil {
		return l
	} else if s != "" {
		return []string{s}
	}
	return nil
}
