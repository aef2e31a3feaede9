package dsm

import (
	"crypto/rand"
	"slices"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
)

// Error codes of a sign-in (vendors/synology.md §4.1).
const (
	errPassword   = 400
	errDisabled   = 401
	errDenied     = 402
	errNeedsCode  = 403
	errWrongCode  = 404
	errMustEnrol  = 406
	errBlocked    = 407
	errExpired    = 409
	errMustChange = 410
	errLocked     = 411
)

// outcomes are the codes by which DSM tells how a sign-in ended.
func outcomes() map[face.Outcome]failure {
	return map[face.Outcome]failure{
		face.WrongPassword: errPassword, face.IsDisabled: errDisabled, face.NoPrivilege: errDenied, face.NeedsCode: errNeedsCode,
		face.WrongCode: errWrongCode, face.MustEnrol: errMustEnrol, face.IsBlocked: errBlocked, face.HasExpired: errExpired, face.IsLocked: errLocked,
	}
}

// signedIn is a sign-in's data.
type signedIn struct {
	SID      string `json:"sid"`
	Token    string `json:"synotoken,omitempty"`
	Portal   bool   `json:"is_portal_port"`
	Did      string `json:"did,omitempty"`       // up to version 6
	DeviceID string `json:"device_id,omitempty"` // version 7
}

func (w *web) login(c *call) (any, failure) {
	name := c.str("account")
	password := access.NewSecret(c.str("passwd"))
	if w.box.Memory().ResetPage && name == builtIn && password.Empty() {
		w.box.Made("dsm_blank_over_api")
		return nil, errMustChange
	}
	attempt := face.SignIn{From: c.from(), User: name, Password: password, Code: strings.TrimSpace(c.str("otp_code"))}
	attempt.Trusted = w.box.Trusts(c.str("device_id"), name)
	how, err := w.box.Try(w.ctx, attempt)
	if err != nil {
		return nil, errUnknown
	}
	if how != face.SignedIn {
		return nil, outcomes()[how]
	}
	s := face.Session{User: name, From: attempt.From}
	if c.str("enable_syno_token") == "yes" {
		s.Token = rand.Text()
	}
	out := signedIn{SID: w.box.Begin(s), Token: s.Token}
	if c.str("enable_device_token") == "yes" && attempt.Code != "" {
		id := w.box.Trust(name)
		if c.version >= 7 {
			out.DeviceID = id
		} else {
			out.Did = id
		}
	}
	return out, 0
}

func (w *web) logout(c *call) (any, failure) {
	w.box.EndSessions(func(sid string, _ face.Session) bool { return sid == c.sid })
	return nil, 0
}

// info is SYNO.API.Info query: all, or those asked for by name or by prefix.
func (w *web) info(c *call) (any, failure) {
	asked := c.list("query")
	out := map[string]any{}
	for name, a := range w.apis() {
		wanted := slices.ContainsFunc(asked, func(q string) bool {
			q = strings.TrimSpace(q)
			return q == "all" || q == "ALL" || q == name || strings.HasSuffix(q, ".") && strings.HasPrefix(name, q)
		})
		if !wanted && len(asked) > 0 {
			continue
		}
		entry := map[string]any{"path": a.path, "minVersion": a.min, "maxVersion": a.max}
		if a.path == "" {
			entry["path"] = "entry.cgi"
		}
		if !a.plain {
			entry["requestFormat"] = "JSON"
		}
		out[name] = entry
	}
	return out, 0
}
