package announce

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// Bounds on what is read. A message that has more is an error.
const (
	MaxMessage   = 9000 // bytes, RFC 6762 §17
	maxQuestions = 64
	maxRecords   = 512
	maxStrings   = 64
	maxAddresses = 64
)

// Times to live, in seconds: what names a host or is an address lives short, the
// rest long (RFC 6762 §10); to a querier that is no multicast one, at most 10 s
// (§6.7).
const (
	ttlHost   = 120
	ttlOther  = 4500
	ttlLegacy = 10
)

const (
	topBit       = 1 << 15 // of a class: "unicast answer wanted", or "flush your cache"
	domainSuffix = ".local."
	metaServices = "_services._dns-sd._udp.local."
)

// Errors of the two parsers; test with errors.Is.
var (
	ErrMessage  = errors.New("announce: malformed DNS message")
	ErrTooLarge = errors.New("announce: DNS message with more than this program reads")
	ErrNotQuery = errors.New("announce: not a query")
	ErrNotReply = errors.New("announce: not an answer")
)

// Question is one question of a query.
type Question struct {
	Name    string // canonical: lower case, ends in ".local."
	Type    dnsmessage.Type
	Unicast bool // the answer may come by unicast
}

// Query is a query as a responder reads it.
type Query struct {
	ID        uint16
	Questions []Question
	known     map[string]bool // "service\x00instance" that the querier need not be told again
}

// Browse is the query for every instance of services. unicast asks for answers
// to the querier alone.
func Browse(id uint16, unicast bool, services ...string) ([]byte, error) {
	names := make([]string, len(services))
	for i, s := range services {
		names[i] = s + domainSuffix
	}
	return query(id, unicast, dnsmessage.TypePTR, names)
}

// Resolve is the query for everything about one instance, for an answer that
// came without its SRV record.
func Resolve(id uint16, unicast bool, i Instance) ([]byte, error) {
	return query(id, unicast, dnsmessage.TypeALL, []string{i.Name + "." + i.Service + domainSuffix})
}

func query(id uint16, unicast bool, kind dnsmessage.Type, names []string) ([]byte, error) {
	class := dnsmessage.ClassINET
	if unicast {
		class |= topBit
	}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id})
	b.EnableCompression()
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	for _, s := range names {
		name, err := dnsmessage.NewName(s)
		if err != nil {
			return nil, fmt.Errorf("announce: %q: %w", s, err)
		}
		if err := b.Question(dnsmessage.Question{Name: name, Type: kind, Class: class}); err != nil {
			return nil, fmt.Errorf("announce: %q: %w", s, err)
		}
	}
	return b.Finish()
}

// ParseQuery reads a query, with the answers that the querier says it knows.
func ParseQuery(b []byte) (Query, error) {
	if len(b) > MaxMessage {
		return Query{}, ErrTooLarge
	}
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil {
		return Query{}, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	if h.Response || h.OpCode != 0 {
		return Query{}, ErrNotQuery
	}
	q := Query{ID: h.ID, known: map[string]bool{}}
	for {
		question, err := p.Question()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			break
		}
		if err != nil {
			return Query{}, fmt.Errorf("%w: %w", ErrMessage, err)
		}
		if len(q.Questions) == maxQuestions {
			return Query{}, ErrTooLarge
		}
		q.Questions = append(q.Questions, Question{
			Name: strings.ToLower(question.Name.String()), Type: question.Type, Unicast: question.Class&topBit != 0,
		})
	}
	err = eachRecord(p.AnswerHeader, p.SkipAnswer, func(h dnsmessage.ResourceHeader) bool {
		if h.Type != dnsmessage.TypePTR || h.TTL < ttlOther/2 {
			return false
		}
		ptr, err := p.PTRResource()
		if err == nil {
			q.known[known(h.Name.String(), ptr.PTR.String())] = true
		}
		return err == nil
	})
	if err != nil {
		return Query{}, err
	}
	return q, nil
}

func known(service, instance string) string {
	return strings.ToLower(service + "\x00" + instance)
}

// records collects what a response says, by canonical names.
type records struct {
	instances []string            // canonical names in the order in which they came
	shown     map[string]string   // canonical → as sent
	gone      map[string]bool     // said goodbye
	target    map[string]string   // instance → host
	port      map[string]uint16   // instance → port
	text      map[string][]string // instance → strings
	addresses map[string][]netip.Addr
}

// ParseResponse reads the instances that an answer or an announcement tells of,
// of whatever service. An instance without an SRV record has port 0. Records of
// other kinds, names that hold a dot within a label, and instances that say
// goodbye are left out; a message that is cut short is an error.
func ParseResponse(b []byte) ([]Instance, error) {
	if len(b) > MaxMessage {
		return nil, ErrTooLarge
	}
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	if !h.Response || h.OpCode != 0 || h.RCode != dnsmessage.RCodeSuccess {
		return nil, ErrNotReply
	}
	if err := p.SkipAllQuestions(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	r := records{
		shown: map[string]string{}, gone: map[string]bool{}, target: map[string]string{}, port: map[string]uint16{},
		text: map[string][]string{}, addresses: map[string][]netip.Addr{},
	}
	take := func(h dnsmessage.ResourceHeader) bool { return r.take(&p, h) }
	for _, section := range []struct {
		next func() (dnsmessage.ResourceHeader, error)
		skip func() error
	}{
		{p.AnswerHeader, p.SkipAnswer}, {p.AuthorityHeader, p.SkipAuthority}, {p.AdditionalHeader, p.SkipAdditional},
	} {
		if err := eachRecord(section.next, section.skip, take); err != nil {
			return nil, err
		}
	}
	return r.list(), nil
}

// eachRecord calls take for each record of one section; take says whether it
// read the record's body. A record whose name the message library does not take
// is skipped.
func eachRecord(next func() (dnsmessage.ResourceHeader, error), skip func() error, take func(dnsmessage.ResourceHeader) bool) error {
	for range maxRecords {
		h, err := next()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return nil
		}
		if err == nil && take(h) {
			continue
		}
		if err := skip(); err != nil {
			return fmt.Errorf("%w: %w", ErrMessage, err)
		}
	}
	return ErrTooLarge
}

func (r *records) take(p *dnsmessage.Parser, h dnsmessage.ResourceHeader) bool {
	name := strings.ToLower(h.Name.String())
	switch h.Type {
	case dnsmessage.TypePTR:
		ptr, err := p.PTRResource()
		if err != nil {
			return false
		}
		if instance := r.see(ptr.PTR.String()); h.TTL == 0 {
			r.gone[instance] = true
		}
	case dnsmessage.TypeSRV:
		srv, err := p.SRVResource()
		if err != nil {
			return false
		}
		r.see(h.Name.String())
		r.target[name], r.port[name] = srv.Target.String(), srv.Port
	case dnsmessage.TypeTXT:
		txt, err := p.TXTResource()
		if err != nil {
			return false
		}
		r.see(h.Name.String())
		if len(txt.TXT) <= maxStrings {
			r.text[name] = txt.TXT
		}
	case dnsmessage.TypeA:
		a, err := p.AResource()
		if err != nil {
			return false
		}
		r.addAddress(name, netip.AddrFrom4(a.A))
	case dnsmessage.TypeAAAA:
		a, err := p.AAAAResource()
		if err != nil {
			return false
		}
		r.addAddress(name, netip.AddrFrom16(a.AAAA).Unmap())
	default:
		return false
	}
	return true
}

// see notes an instance by its name on the wire and returns its canonical name.
func (r *records) see(name string) string {
	canonical := strings.ToLower(name)
	if _, seen := r.shown[canonical]; !seen {
		r.shown[canonical] = name
		r.instances = append(r.instances, canonical)
	}
	return canonical
}

func (r *records) addAddress(host string, a netip.Addr) {
	if len(r.addresses[host]) < maxAddresses && !slices.Contains(r.addresses[host], a) {
		r.addresses[host] = append(r.addresses[host], a)
	}
}

// list joins the records: instance → host → addresses.
func (r *records) list() []Instance {
	var out []Instance
	for _, name := range r.instances {
		instance, service, ok := splitInstance(r.shown[name])
		if !ok || r.gone[name] {
			continue
		}
		i := Instance{Service: service, Name: printable.Clean(instance), Port: r.port[name], Text: r.text[name]}
		if target := r.target[name]; target != "" {
			i.Host = printable.Clean(strings.TrimSuffix(target, domainSuffix))
			i.Addresses = slices.Clone(r.addresses[strings.ToLower(target)])
		}
		out = append(out, i)
	}
	return out
}

// splitInstance takes "Living room._http._tcp.local." apart.
func splitInstance(name string) (instance, service string, ok bool) {
	rest, ok := strings.CutSuffix(name, domainSuffix)
	if !ok {
		return "", "", false
	}
	instance, service, ok = strings.Cut(rest, ".")
	kind, transport, two := strings.Cut(service, ".")
	if !ok || !two || !strings.HasPrefix(kind, "_") || instance == "" || transport != "_tcp" && transport != "_udp" {
		return "", "", false
	}
	return instance, strings.ToLower(service), true
}
