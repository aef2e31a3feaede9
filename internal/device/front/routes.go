package front

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// A route answers one method on one path. Its policy says who may ask; the zero
// value of every part lets nobody in, so that a forgotten line shuts a door and
// never opens one (X1).
type route struct {
	method, path string
	over         scheme
	from         sources
	claim        claimPolicy
	load         load
	answer       func(*Front, http.ResponseWriter, *http.Request, visitor) error
}

// scheme is over what a route is answered.
type scheme int

const (
	overNothing scheme = iota
	overHTTPS
	overBoth
)

// sources is from where a route may be asked for.
type sources int

const (
	fromNobody sources = iota
	fromOnLink         // the network on which the NAS was reached
	fromLocal          // that, and the other private networks
)

// claimPolicy is what a route has to do with a claim.
type claimPolicy int

const (
	claimForbids claimPolicy = iota
	claimOpen                // answered only while a claim is open
	claimIgnored             // core decides, or nothing hangs on it
)

// load is which bounds a route counts against.
type load int

const (
	loadRefused load = iota
	loadRead         // costs core next to nothing
	loadClaim        // costs core a little
	loadSignIn       // costs core a password hash
)

// routes is everything that front answers. Sealed calls go on after a claim has
// closed: an accepted plan runs to its end, its holder asks how far it is, and
// core knows them by their key.
func routes() []route {
	return []route{
		{"GET", "/", overBoth, fromLocal, claimIgnored, loadRead, (*Front).answerPage},
		{"GET", deviceapi.PathDevice, overHTTPS, fromLocal, claimIgnored, loadRead, (*Front).answerDevice},
		{"POST", deviceapi.PathClaimSession, overHTTPS, fromOnLink, claimOpen, loadClaim, (*Front).answerSession},
		{"POST", deviceapi.PathClaimPake, overHTTPS, fromOnLink, claimOpen, loadClaim, (*Front).answerPake},
		{"POST", deviceapi.PathClaimConfirm, overHTTPS, fromOnLink, claimOpen, loadClaim, (*Front).answerConfirm},
		{"POST", deviceapi.PathClaimSealed, overHTTPS, fromOnLink, claimIgnored, loadClaim, (*Front).answerSealed},
		{"POST", deviceapi.PathSignIn, overHTTPS, fromOnLink, claimIgnored, loadSignIn, (*Front).answerSignIn},
		{"POST", deviceapi.PathOwnerSession, overHTTPS, fromOnLink, claimIgnored, loadClaim, (*Front).answerOwnerSession},
		{"POST", deviceapi.PathOwnerSealed, overHTTPS, fromOnLink, claimIgnored, loadClaim, (*Front).answerOwnerSealed},
	}
}

// visitor is who asks, as far as the connection tells.
type visitor struct {
	source netip.Addr
	onLink bool
	tls    bool
	leaf   []byte // the TLS key of the connection
}

// local tells whether the visitor is on a private network or this machine. A
// public address that is on-link, as IPv6 has it, is local too.
func (v visitor) local() bool {
	return v.onLink || v.source.IsPrivate() || v.source.IsLinkLocalUnicast() || v.source.IsLoopback()
}

// refuse says why the route's policy keeps a visitor out; "" lets it in.
func (r route) refuse(v visitor, open bool) catalog.ID {
	switch {
	case r.from == fromLocal && v.local():
	case r.from == fromOnLink && v.onLink:
	case r.from == fromOnLink && v.local():
		return "off_link"
	default:
		return "local_only"
	}
	switch {
	case r.over == overBoth:
	case r.over == overHTTPS && v.tls:
	default:
		return "https_needed"
	}
	switch {
	case r.claim == claimIgnored:
	case r.claim == claimOpen && open:
	default:
		return "claim_closed"
	}
	return ""
}

// find looks a path up as it was sent: nothing is decoded, cleaned or folded,
// so no second spelling of a path exists. Where the path exists for other
// methods, allow lists them.
func find(table []route, method, requestURI string) (r route, problem catalog.ID, allow string) {
	path, _, _ := strings.Cut(requestURI, "?")
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var methods []string
	for _, r := range table {
		if r.path != path {
			continue
		}
		if r.method == method {
			return r, "", ""
		}
		methods = append(methods, r.method)
	}
	if len(methods) > 0 {
		return route{}, "wrong_method", strings.Join(methods, ", ")
	}
	return route{}, "no_such_page", ""
}

// statusOf is the HTTP status of a problem.
func statusOf(p catalog.Problem) int {
	switch p.ID {
	case "unknown_host":
		return http.StatusMisdirectedRequest
	case "bad_message":
		return http.StatusBadRequest
	case "wrong_method":
		return http.StatusMethodNotAllowed
	case "too_fast", "not_your_turn", "too_many_sessions", "sign_in_later":
		return http.StatusTooManyRequests
	case "core_unreachable":
		return http.StatusServiceUnavailable
	}
	switch p.Exit {
	case catalog.Refused:
		return http.StatusForbidden
	case catalog.WrongUse:
		return http.StatusBadRequest
	case catalog.NotFound:
		return http.StatusNotFound
	default:
		return http.StatusInternalServerError
	}
}
