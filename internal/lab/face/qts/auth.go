package qts

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/lab/face"
)

// Values of errorValue (vendors/qnap.md §3.2).
const (
	failed          = -1
	passwordExpired = -4
)

// authLogin is everything that the sign-in page asks: what it is, with nothing
// said; whether a session stands; a sign-in.
func (w *web) authLogin(rw http.ResponseWriter, r *http.Request) {
	if r.ParseForm() != nil {
		gone(rw)
		return
	}
	if sid := r.Form.Get("sid"); sid != "" {
		s, ok := w.box.Session(sid)
		if !ok {
			gone(rw)
			return
		}
		a, _ := w.box.Settings().Account(s.User)
		answer(rw, append([]el{flag("authPassed", true), t("authSid", sid), flag("isAdmin", a.Administrator), t("username", s.User)}, w.about(true)...)...)
		return
	}
	if r.Form.Get("user") == "" || !r.Form.Has("pwd") {
		answer(rw, append(w.state(), w.about(!hides(w.box.Firmware()))...)...)
		return
	}
	w.signIn(rw, r)
}

// hides reports whether the firmware keeps model and version to itself before a
// sign-in. That any does is confidence C (§3.1, "Contradiction").
func hides(f face.Firmware) bool { return atLeast(f.Version, 5, 2) }

// state is what the page needs to know first.
func (w *web) state() []el {
	phase, _ := w.box.Phase()
	return []el{
		t("doQuick", ""), flag("is_booting", phase != face.Ready), flag("mediaReady", phase == face.Ready),
		t("hostname", w.box.Identity().Name), n("webAccessPort", int(w.box.Ports().HTTP)), n("stunnelEnabled", 1), n("stunnelPort", int(w.box.Ports().HTTPS)),
		flag("forceSSL", w.forced()),
		in("passwdConstraints", n("passwdConstraint01", 0), n("passwdConstraint02", 0), n("passwdConstraint03", 0), n("passwdConstraint04", 0), n("pw_min_limit_en", 1), n("pw_min_limit", 8)),
	}
}

func (w *web) forced() bool {
	p := w.box.Settings().Ports
	return p != nil && p.ForceHTTPS
}

// about says model and firmware.
func (w *web) about(tell bool) []el {
	if !tell {
		return nil
	}
	id, f := w.box.Identity(), w.box.Firmware()
	return []el{
		in("model", t("modelName", "TS-X53D"), t("internalModelName", "TS-X53D"), t("platform", "TS-NASX86"), t("displayModelName", id.Model)),
		in("firmware", t("name", "QTS"), t("version", f.Version), t("number", "2954"), t("build", f.Build), t("patch", "0"), t("buildTime", "2024/11/20")),
		t("hostname", id.Name),
	}
}

// signIn is one attempt. Wrong, switched off, expired and blocked look alike
// (§3.2): the device does not say which.
func (w *web) signIn(rw http.ResponseWriter, r *http.Request) {
	if phase, _ := w.box.Phase(); phase != face.Ready {
		answer(rw, append(w.state(), flag("authPassed", false), n("errorValue", failed))...)
		return
	}
	a := face.SignIn{
		From: remote(r), User: r.Form.Get("user"), Password: password(r.Form.Get("pwd")),
		Code: r.Form.Get("security_code"), Trusted: w.box.Trusts(r.Form.Get("vtoken"), r.Form.Get("user")),
	}
	if plain := r.Form.Get("plain_pwd"); plain != "" && a.From.IsLoopback() && r.Form.Get("pwd") == "" {
		a.Password = access.NewSecret(plain)
	}
	how, err := w.box.Try(w.ctx, a)
	switch {
	case err == nil && how == face.SignedIn:
		w.welcome(rw, r, a)
	case err == nil && (how == face.NeedsCode || how == face.WrongCode):
		w.secondStep(rw, r, a)
	case how == face.HasExpired && r.Form.Get("service") == "pw": // never reached by a plain sign-in
		answer(rw, flag("authPassed", false), n("errorValue", passwordExpired), t("username", ""))
	default:
		answer(rw, flag("authPassed", false), n("errorValue", failed), t("username", ""))
	}
}

func (w *web) welcome(rw http.ResponseWriter, r *http.Request, a face.SignIn) {
	account, _ := w.box.Settings().Account(a.User)
	sid := w.box.Begin(face.Session{User: a.User, From: a.From})
	group := "everyone"
	if account.Administrator {
		group = "administrators"
	}
	all := append(w.state(),
		flag("authPassed", true), t("authSid", sid), n("errorValue", 0), flag("isAdmin", account.Administrator), t("username", a.User), t("groupname", group),
		t("ts", "43397768"), n("pw_status", 0), flag("user_enable", account.Enabled), n("force_change_pw", 0),
	)
	if r.Form.Get("dont_verify_2sv_again") == "1" && a.Code != "" {
		all = append(all, t("vtoken", w.box.Trust(a.User)))
	}
	answer(rw, append(all, w.about(true)...)...)
}

// secondStep asks for the code, with the NAS's clock beside it (§3.3). Both names
// of the field are sent: each of two sources has one.
func (w *web) secondStep(rw http.ResponseWriter, r *http.Request, a face.SignIn) {
	now := w.box.Clock().Now()
	lost, sent := 3, -1
	if w.box.Memory().ForgotMail {
		lost, sent = 1, 1
	}
	all := []el{
		flag("authPassed", false), n("errorValue", 0), n("need_2sv", 1), n("need_2_step_verification", 1), n("lost_phone", lost),
		n("emergency_try_count", 0), n("emergency_try_limit", 5), t("username", a.User),
		t("timestring", now.UTC().Format(time.ANSIC)), n("timestamp", int(now.Unix())), t("timezone", "UTC"),
	}
	if r.Form.Get("send_mail") == "1" {
		all = append(all, n("send_result", sent))
	}
	if a.Code != "" {
		all[1] = n("errorValue", failed)
	}
	answer(rw, all...)
}

func (w *web) logout(rw http.ResponseWriter, r *http.Request) {
	sid := r.FormValue("sid")
	s, ok := w.box.Session(sid)
	if !ok {
		gone(rw)
		return
	}
	every := r.FormValue("del_user_session") != ""
	w.box.EndSessions(func(id string, other face.Session) bool { return id == sid || every && other.User == s.User })
	if every {
		_ = w.box.Remember(func(m *face.Memory) {
			for id, who := range m.Devices {
				if who == s.User {
					delete(m.Devices, id)
				}
			}
		})
	}
	answer(rw, flag("authPassed", true))
}

// util answers File Station's question whether a session stands, in JSON.
func (w *web) util(rw http.ResponseWriter, r *http.Request) {
	status := 3
	if _, ok := w.box.Session(r.FormValue("sid")); ok && r.FormValue("func") == "check_sid" {
		status = 1
	}
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(map[string]any{"version": w.box.Firmware().Version, "build": w.box.Firmware().Build, "status": status, "success": "true"})
}
