package dsm

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/lab/face"
)

// Error codes that every API has (vendors/synology.md §4.1, "common").
const (
	errUnknown    = 100
	errBadRequest = 101
	errNoAPI      = 102
	errNoMethod   = 103
	errVersion    = 104
	errPermission = 105
	errMissing    = 114
	errNoSession  = 119
	errBadParam   = 120
	errPrivilege  = 160
)

// call is one request to one method.
type call struct {
	w       *web
	r       *http.Request
	values  map[string]string
	version int
	sid     string
	session face.Session
}

// failure is an error code; 0 is none.
type failure int

// method answers a call with data, or with a code.
type method func(c *call) (any, failure)

// api is one, as SYNO.API.Info lists it.
type api struct {
	min, max int
	path     string // "" is entry.cgi
	plain    bool   // parameters are not JSON
	level    level
	methods  map[string]method
}

// level is who may call.
type level int

const (
	anyone level = iota
	user
	administrator
)

// str is a parameter, of which clients send the JSON or the text itself.
func (c *call) str(name string) string {
	v := c.values[name]
	if strings.HasPrefix(v, `"`) {
		var s string
		if json.Unmarshal([]byte(v), &s) == nil {
			return s
		}
	}
	return v
}

func (c *call) has(name string) bool { _, ok := c.values[name]; return ok }

// truth is a switch; ok is false where it is none.
func (c *call) truth(name string) (v, ok bool) {
	v, err := strconv.ParseBool(c.str(name))
	return v, err == nil
}

func (c *call) number(name string) (n int, ok bool) {
	n, err := strconv.Atoi(c.str(name))
	return n, err == nil
}

// list is a JSON list of texts, or one text.
func (c *call) list(name string) []string {
	var all []string
	if json.Unmarshal([]byte(c.values[name]), &all) == nil {
		return all
	}
	if s := c.str(name); s != "" {
		return strings.Split(s, ",")
	}
	return nil
}

// from is where the caller is.
func (c *call) from() netip.Addr { return remote(c.r) }

func remote(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	a, _ := netip.ParseAddr(host)
	return a.Unmap()
}

// entry is /webapi/entry.cgi, and the older paths, which do the same.
func (w *web) entry(rw http.ResponseWriter, r *http.Request) {
	if err := r.ParseMultipartForm(1 << 16); err != nil && r.Form == nil {
		reply(rw, nil, errBadRequest)
		return
	}
	values := map[string]string{}
	for k, v := range r.Form {
		values[k] = v[0]
	}
	data, code := w.call(rw, r, values)
	reply(rw, data, code)
}

// call carries out one, by the rules that hold for all.
func (w *web) call(rw http.ResponseWriter, r *http.Request, values map[string]string) (any, failure) {
	c := &call{w: w, r: r, values: values}
	name := c.str("api")
	a, known := w.apis()[name]
	if name == "" || c.str("method") == "" {
		return nil, errBadRequest
	}
	if !known {
		return nil, errNoAPI
	}
	c.version, _ = c.number("version")
	if c.version < a.min || c.version > a.max {
		return nil, errVersion
	}
	m, ok := a.methods[c.str("method")]
	if !ok {
		return nil, errNoMethod
	}
	if code := c.admit(a.level); code != 0 {
		return nil, code
	}
	if made := inventions()[name]; made != "" {
		w.box.Mark(rw, made)
	}
	data, code := m(c)
	if id, ok := data.(signedIn); ok && code == 0 { // format=cookie, and with format=sid too (§4.1)
		http.SetCookie(rw, &http.Cookie{Name: "id", Value: id.SID, Path: "/", HttpOnly: true})
	}
	return data, code
}

// admit looks at the session.
func (c *call) admit(need level) failure {
	c.sid = c.str("_sid")
	if cookie, err := c.r.Cookie("id"); c.sid == "" && err == nil {
		c.sid = cookie.Value
	}
	s, ok := c.w.box.Session(c.sid)
	if !ok {
		if need == anyone {
			return 0
		}
		return errNoSession
	}
	token := c.str("SynoToken")
	if token == "" {
		token = c.r.Header.Get("X-SYNO-TOKEN")
	}
	if need != anyone && s.Token != "" && s.Token != token {
		return errNoSession
	}
	if a, _ := c.w.box.Settings().Account(s.User); need == administrator && !a.Administrator {
		return errPermission
	}
	c.session = s
	return 0
}

// inventions are the APIs of which something is made up.
func inventions() map[string]string {
	return map[string]string{"SYNO.Core.Security.AutoBlock.Rules": "dsm_block_list"}
}

// reply writes the envelope (§4).
func reply(rw http.ResponseWriter, data any, code failure) {
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	out := map[string]any{"success": code == 0}
	switch {
	case code != 0:
		out["error"] = map[string]any{"code": int(code)}
	case data != nil:
		out["data"] = data
	}
	_ = json.NewEncoder(rw).Encode(out)
}

// compound is SYNO.Entry.Request: several calls in one (§3.4).
func (w *web) compound(c *call) (any, failure) {
	var all []map[string]any
	if err := json.Unmarshal([]byte(c.values["compound"]), &all); err != nil || len(all) > 32 {
		return nil, errBadParam
	}
	stop, _ := c.truth("stop_when_error")
	results, failed := []any{}, false
	for _, one := range all {
		values := map[string]string{"_sid": c.sid, "SynoToken": c.session.Token}
		for k, v := range one {
			raw, err := json.Marshal(v)
			if err != nil {
				return nil, errBadParam
			}
			values[k] = string(raw)
		}
		if failed && stop {
			break
		}
		inner := &call{w: w, r: c.r, values: values}
		out := map[string]any{"api": inner.str("api"), "method": inner.str("method"), "version": one["version"]}
		data, code := w.call(discard{}, c.r, values)
		if out["success"] = code == 0; code != 0 {
			failed = true
			out["error"] = map[string]any{"code": int(code)}
		} else if data != nil {
			out["data"] = data
		}
		results = append(results, out)
	}
	return map[string]any{"has_fail": failed, "result": results}, 0
}

// discard is where an inner answer's headers go.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}
