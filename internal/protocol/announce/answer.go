package announce

import (
	"fmt"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// Manner is how an answer travels, which changes what stands in it.
type Manner int

// The manners of answering.
const (
	Multicast Manner = iota // to everyone, or to a multicast querier alone
	Legacy                  // to a querier that is no multicast one: from another port than 5353 (RFC 6762 §6.7)
)

// Answer is what a responder that offers instances says to q. With no answer to
// give it is nil: a responder then stays silent.
func Answer(q Query, instances []Instance, m Manner) ([]byte, error) {
	var answers, additional []dnsmessage.Resource
	for _, question := range q.Questions {
		for _, i := range instances {
			r, err := i.resources(ttlOf(m, ttlHost), ttlOf(m, ttlOther), m)
			if err != nil {
				return nil, err
			}
			said, with := r.answer(question, q)
			answers, additional = merge(answers, said), merge(additional, with)
		}
	}
	if len(answers) == 0 {
		return nil, nil
	}
	out := dnsmessage.Message{
		Header:  dnsmessage.Header{Response: true, Authoritative: true},
		Answers: answers, Additionals: without(additional, answers),
	}
	if m == Legacy {
		out.ID = q.ID
		for _, question := range q.Questions {
			name, err := dnsmessage.NewName(question.Name)
			if err != nil {
				return nil, err
			}
			out.Questions = append(out.Questions, dnsmessage.Question{Name: name, Type: question.Type, Class: dnsmessage.ClassINET})
		}
	}
	return out.Pack()
}

// Unasked is the announcement of instances that no one asked for: when they
// appear or change.
func Unasked(instances []Instance) ([]byte, error) {
	return unasked(instances, ttlHost, ttlOther)
}

// Goodbye tells everyone to forget instances.
func Goodbye(instances []Instance) ([]byte, error) {
	return unasked(instances, 0, 0)
}

func unasked(instances []Instance, host, other uint32) ([]byte, error) {
	out := dnsmessage.Message{Header: dnsmessage.Header{Response: true, Authoritative: true}}
	for _, i := range instances {
		r, err := i.resources(host, other, Multicast)
		if err != nil {
			return nil, err
		}
		out.Answers = merge(out.Answers, r.all())
	}
	return out.Pack()
}

func ttlOf(m Manner, ttl uint32) uint32 {
	if m == Legacy {
		return ttlLegacy
	}
	return ttl
}

// resources are the records of one instance.
type resources struct {
	ptr, srv, txt, meta dnsmessage.Resource
	addresses           []dnsmessage.Resource
}

func (i Instance) resources(ttlHost, ttlOther uint32, m Manner) (resources, error) {
	var names [4]dnsmessage.Name
	for n, s := range []string{i.Service + domainSuffix, i.Name + "." + i.Service + domainSuffix, i.Host + domainSuffix, metaServices} {
		name, err := dnsmessage.NewName(s)
		if err != nil {
			return resources{}, fmt.Errorf("announce: %q: %w", s, err)
		}
		names[n] = name
	}
	service, instance, host, meta := names[0], names[1], names[2], names[3]
	// SRV and TXT are ours alone, so a receiver forgets what it knew. Addresses
	// are not: a NAS with two cards on one LAN announces one on each.
	unique := dnsmessage.ClassINET
	if m == Multicast {
		unique |= topBit
	}
	record := func(name dnsmessage.Name, class dnsmessage.Class, ttl uint32, body dnsmessage.ResourceBody) dnsmessage.Resource {
		return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name, Class: class, TTL: ttl}, Body: body}
	}
	text := i.Text
	if len(text) == 0 {
		text = []string{""} // RFC 6763 §6.1: never no string at all
	}
	r := resources{
		ptr:  record(service, dnsmessage.ClassINET, ttlOther, &dnsmessage.PTRResource{PTR: instance}),
		srv:  record(instance, unique, ttlHost, &dnsmessage.SRVResource{Port: i.Port, Target: host}),
		txt:  record(instance, unique, ttlOther, &dnsmessage.TXTResource{TXT: text}),
		meta: record(meta, dnsmessage.ClassINET, ttlOther, &dnsmessage.PTRResource{PTR: service}),
	}
	for _, a := range i.Addresses {
		var body dnsmessage.ResourceBody = &dnsmessage.AAAAResource{AAAA: a.As16()}
		if a = a.Unmap(); a.Is4() {
			body = &dnsmessage.AResource{A: a.As4()}
		}
		r.addresses = append(r.addresses, record(host, dnsmessage.ClassINET, ttlHost, body))
	}
	return r, nil
}

func (r resources) all() []dnsmessage.Resource {
	return append([]dnsmessage.Resource{r.ptr, r.srv, r.txt}, r.addresses...)
}

// answer is what r says to one question, and what it adds unasked.
func (r resources) answer(question Question, q Query) (answers, additional []dnsmessage.Resource) {
	asks := func(kinds ...dnsmessage.Type) bool {
		for _, k := range kinds {
			if question.Type == k || question.Type == dnsmessage.TypeALL {
				return true
			}
		}
		return false
	}
	service := r.ptr.Header.Name.String()
	instance := r.srv.Header.Name.String()
	host := r.srv.Body.(*dnsmessage.SRVResource).Target.String()
	switch question.Name {
	case strings.ToLower(service):
		if asks(dnsmessage.TypePTR) && !q.known[known(service, instance)] {
			return []dnsmessage.Resource{r.ptr}, append([]dnsmessage.Resource{r.srv, r.txt}, r.addresses...)
		}
	case strings.ToLower(instance):
		if asks(dnsmessage.TypeSRV) {
			answers = append(answers, r.srv)
		}
		if asks(dnsmessage.TypeTXT) {
			answers = append(answers, r.txt)
		}
		return answers, r.addresses
	case strings.ToLower(host):
		for _, a := range r.addresses {
			kind := dnsmessage.TypeAAAA
			if _, ok := a.Body.(*dnsmessage.AResource); ok {
				kind = dnsmessage.TypeA
			}
			if asks(kind) {
				answers = append(answers, a)
			}
		}
	case metaServices:
		if asks(dnsmessage.TypePTR) && !q.known[known(metaServices, service)] {
			return []dnsmessage.Resource{r.meta}, nil
		}
	}
	return answers, nil
}

// merge appends what is not there yet.
func merge(have, add []dnsmessage.Resource) []dnsmessage.Resource {
	return append(have, without(add, have)...)
}

func without(list, those []dnsmessage.Resource) []dnsmessage.Resource {
	seen := map[string]bool{}
	for _, r := range those {
		seen[r.GoString()] = true
	}
	var out []dnsmessage.Resource
	for _, r := range list {
		if !seen[r.GoString()] {
			seen[r.GoString()] = true
			out = append(out, r)
		}
	}
	return out
}
