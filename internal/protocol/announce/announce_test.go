package announce_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/protocol/announce"
)

const keyID = "abcdefghijklmnopqrstuvwx23"

func cellar(t testing.TB, claim bool) announce.Instance {
	t.Helper()
	n := announce.Native{Name: "cellar", KeyID: keyID, MAC: "02:00:5e:10:00:01", Claim: claim}
	i, err := n.Instance(5001, netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("fe80::1"))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// Promise 6, design.md "Trust": exactly these keys. Whoever adds a serial, a
// version or a list of users to what everyone on the LAN hears, breaks this.
func TestNativeSaysFiveThings(t *testing.T) {
	i := cellar(t, true)
	want := []string{"v=1", "id=" + keyID, "mac=02:00:5e:10:00:01", "claim=1"}
	if !slices.Equal(i.Text, want) {
		t.Errorf("text = %q, want %q", i.Text, want)
	}
	if i.Service != "_paperclip._tcp" || i.Name != "cellar-abcdefgh" || i.Host != "cellar-abcdefgh" {
		t.Errorf("service %q, name %q, host %q", i.Service, i.Name, i.Host)
	}
	if fields := reflect.TypeFor[announce.Native]().NumField(); fields != 5 {
		t.Errorf("Native has %d fields", fields)
	}
	if cellar(t, false).Text[3] != "claim=0" {
		t.Error("a closed claim is not announced as such")
	}
}

// F3: a device that lost its configuration says so; one that is ready says
// nothing of it, and a status that nobody knows is not believed.
func TestNativeSaysHowItIs(t *testing.T) {
	n := announce.Native{Name: "cellar", KeyID: keyID, MAC: "02:00:5e:10:00:01", Status: "configuration_lost"}
	i, err := n.Instance(5001)
	if err != nil || i.Text[4] != "status=configuration_lost" {
		t.Fatalf("%q %v", i.Text, err)
	}
	if back, err := announce.ParseNative(i); err != nil || back != n {
		t.Errorf("%+v %v", back, err)
	}
	for _, status := range []string{"", "ready", "other", "fine"} {
		i.Text[4] = "status=" + status
		if _, err := announce.ParseNative(i); err == nil {
			t.Errorf("%q is believed", status)
		}
		if n.Status = status; status != "" {
			if _, err := n.Instance(5001); err == nil {
				t.Errorf("%q was announced", status)
			}
		}
	}
}

func TestNativeRefusesBadInput(t *testing.T) {
	good := announce.Native{Name: "cellar", KeyID: keyID, MAC: "02:00:5e:10:00:01"}
	for name, change := range map[string]func(*announce.Native){
		"no key id":        func(n *announce.Native) { n.KeyID = "" },
		"a short key id":   func(n *announce.Native) { n.KeyID = n.KeyID[1:] },
		"an odd key id":    func(n *announce.Native) { n.KeyID = "ABCDEFGHIJKLMNOPQRSTUVWX23" },
		"no MAC":           func(n *announce.Native) { n.MAC = "" },
		"a MAC of 8 bytes": func(n *announce.Native) { n.MAC = "02:00:5e:10:00:01:02:03" },
	} {
		n := good
		change(&n)
		if _, err := n.Instance(5001); err == nil {
			t.Errorf("%s was announced", name)
		}
	}
}

func TestNamesFitIntoALabel(t *testing.T) {
	for name, want := range map[string]string{
		"cellar":                "cellar-abcdefgh",
		"NAS v1.2":              "NAS v1-2-abcdefgh",
		"":                      "nas-abcdefgh",
		"a\nb\x00":              "a-b--abcdefgh",
		strings.Repeat("ß", 60): strings.Repeat("ß", 27) + "-abcdefgh",
	} {
		i, err := announce.Native{Name: name, KeyID: keyID, MAC: "02:00:5e:10:00:01"}.Instance(1)
		if err != nil || i.Name != want {
			t.Errorf("%q is announced as %q, %v; want %q", name, i.Name, err, want)
		}
		if strings.Trim(i.Host, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || len(i.Host) > 63 || i.Host[0] == '-' {
			t.Errorf("%q has the host name %q", name, i.Host)
		}
		if _, err := announce.Unasked([]announce.Instance{i}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestParseNativeIsStrict(t *testing.T) {
	good := cellar(t, true)
	n, err := announce.ParseNative(good)
	if want := (announce.Native{Name: "cellar", KeyID: keyID, MAC: "02:00:5e:10:00:01", Claim: true}); err != nil || n != want {
		t.Fatalf("%+v, %v", n, err)
	}
	for name, c := range map[string]struct {
		change func(*announce.Instance)
		want   error
	}{
		"another service":  {func(i *announce.Instance) { i.Service = "_http._tcp" }, announce.ErrNotNative},
		"a later version":  {func(i *announce.Instance) { i.Text[0] = "v=2" }, announce.ErrVersion},
		"no version":       {func(i *announce.Instance) { i.Text = i.Text[1:] }, announce.ErrText},
		"no claim":         {func(i *announce.Instance) { i.Text = i.Text[:3] }, announce.ErrText},
		"nothing":          {func(i *announce.Instance) { i.Text = nil }, announce.ErrText},
		"a key twice":      {func(i *announce.Instance) { i.Text = append(i.Text, "id="+keyID) }, announce.ErrText},
		"a serial":         {func(i *announce.Instance) { i.Text = append(i.Text, "serial=1") }, announce.ErrText},
		"an empty string":  {func(i *announce.Instance) { i.Text = append(i.Text, "") }, announce.ErrText},
		"another MAC form": {func(i *announce.Instance) { i.Text[2] = "mac=02-00-5E-10-00-01" }, announce.ErrText},
		"no MAC":           {func(i *announce.Instance) { i.Text[2] = "mac=" }, announce.ErrText},
		"a claim of 2":     {func(i *announce.Instance) { i.Text[3] = "claim=2" }, announce.ErrText},
		"a short key id":   {func(i *announce.Instance) { i.Text[1] = "id=abc" }, announce.ErrText},
		"another's name":   {func(i *announce.Instance) { i.Name = "cellar-zzzzzzzz" }, announce.ErrText},
		"no name":          {func(i *announce.Instance) { i.Name = "-abcdefgh" }, announce.ErrText},
	} {
		i := good
		i.Text = slices.Clone(good.Text)
		c.change(&i)
		if n, err := announce.ParseNative(i); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v; want %v", name, n, err, c.want)
		}
	}
}

// QTS puts every key into one string; rewritten announcements have one a string
// (vendors/qnap.md §2.1).
func TestQNAPOneStringAndSeveral(t *testing.T) {
	several := []string{"accessType=https", "accessPort=86", "model=TS-X53D", "displayModel=TS-453D", "fwVer=5.1.7", "fwBuildNum=20240315", "serialNum=Q123"}
	for _, text := range [][]string{several, {strings.Join(several, ",")}} {
		v, ok := announce.ParseVendor(announce.Instance{Service: "_qdiscover._tcp", Port: 8080, Text: text})
		want := announce.Vendor{Vendor: "QNAP", Model: "TS-453D", Serial: "Q123", Version: "5.1.7", Build: "20240315", HTTPPort: 8080, HTTPSPort: 86}
		if !ok || !reflect.DeepEqual(v, want) {
			t.Errorf("%q: %+v, want %+v", text, v, want)
		}
		// What the lab's virtual device announces reads the same.
		again, ok := announce.ParseVendor(announce.QNAP("studio", v))
		if !ok || !reflect.DeepEqual(again, want) {
			t.Errorf("announced again: %+v", again)
		}
	}
	v, _ := announce.ParseVendor(announce.Instance{Service: "_qdiscover._tcp", Text: []string{"fwVer=--,fwBuildNum=--"}})
	if v.Version != "" || v.Build != "" {
		t.Errorf("an unset version reads as %+v", v)
	}
}

func TestSynologyIsToldFromOtherWebPages(t *testing.T) {
	text := []string{
		"vendor=Synology", "model=DS920+", "serial=2040SBRXYZ123", "version_major=7", "version_minor=2", "version_build=64570",
		"admin_port=5000", "secure_admin_port=5001", "mac_address=00:11:32:AA:BB:CC|00:11:32:aa:bb:cd|x",
	}
	v, ok := announce.ParseVendor(announce.Instance{Service: "_http._tcp", Port: 5000, Text: text})
	want := announce.Vendor{
		Vendor: "Synology", Model: "DS920+", Serial: "2040SBRXYZ123", Version: "7.2", Build: "64570",
		MACs: []string{"00:11:32:aa:bb:cc", "00:11:32:aa:bb:cd"}, HTTPPort: 5000, HTTPSPort: 5001,
	}
	if !ok || !reflect.DeepEqual(v, want) {
		t.Errorf("%+v, want %+v", v, want)
	}
	if v, ok := announce.ParseVendor(announce.Instance{Service: "_http._tcp", Text: []string{"path=/", "model=Laser"}}); ok {
		t.Errorf("a printer reads as %+v", v)
	}
	text[2] = "serial=No Support mtd Serial"
	if v, _ := announce.ParseVendor(announce.Instance{Service: "_http._tcp", Text: text}); v.Serial != "" {
		t.Errorf("serial = %q", v.Serial)
	}
}

// samples is the folder of captures beside the checkout, where there is one.
const samples = "../../../../shared/samples"

func TestCapturedText(t *testing.T) {
	qnap, err := os.ReadFile(filepath.Join(samples, "qnap/mdns/qdiscover_txt_TS-412_QTS4.3.3.txt"))
	if err != nil {
		t.Skip("no captures beside the checkout")
	}
	v, _ := announce.ParseVendor(announce.Instance{Service: "_qdiscover._tcp", Port: 8080, Text: []string{strings.TrimSpace(string(qnap))}})
	if got := fmt.Sprint(v); got != "{QNAP TS-412 Q132B00000 4.3.3 20170901 [] 8080 0}" {
		t.Error(got)
	}
	synology, err := os.ReadFile(filepath.Join(samples, "synology/mdns/mdns_http_txt_ds218plus_dsm6.2-25556.txt"))
	if err != nil {
		t.Skip("no captures beside the checkout")
	}
	v, ok := announce.ParseVendor(announce.Instance{Service: "_http._tcp", Port: 5000, Text: strings.Split(string(synology), "\n")})
	if got := fmt.Sprint(v, ok); got != "{Synology DS218+ 17A0PCN482002 6.2 25556 [00:11:32:80:fd:b5] 5000 5001} true" {
		t.Error(got)
	}
}

func ask(t testing.TB, unicast bool, services ...string) announce.Query {
	t.Helper()
	b, err := announce.Browse(77, unicast, services...)
	if err != nil {
		t.Fatal(err)
	}
	q, err := announce.ParseQuery(b)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func answer(t testing.TB, q announce.Query, m announce.Manner, have ...announce.Instance) []announce.Instance {
	t.Helper()
	b, err := announce.Answer(q, have, m)
	if err != nil {
		t.Fatal(err)
	}
	if b == nil {
		return nil
	}
	got, err := announce.ParseResponse(b)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// One query, one answer: nothing has to be asked again.
func TestBrowse(t *testing.T) {
	have := []announce.Instance{cellar(t, true), announce.QNAP("studio", announce.Vendor{Model: "TS-453D", HTTPPort: 8080}, netip.MustParseAddr("192.0.2.30"))}
	for _, m := range []announce.Manner{announce.Multicast, announce.Legacy} {
		q := ask(t, true, announce.ServiceNative)
		if len(q.Questions) != 1 || !q.Questions[0].Unicast || q.Questions[0].Name != "_paperclip._tcp.local." {
			t.Fatalf("%+v", q)
		}
		if got := answer(t, q, m, have...); !reflect.DeepEqual(got, have[:1]) {
			t.Errorf("manner %v: %+v", m, got)
		}
		if got := answer(t, ask(t, false, announce.ServiceNative, announce.ServiceQNAP), m, have...); !reflect.DeepEqual(got, have) {
			t.Errorf("manner %v: %+v", m, got)
		}
		if b, err := announce.Answer(ask(t, false, "_ipp._tcp"), have, m); b != nil || err != nil {
			t.Errorf("asked for printers: %x, %v", b, err)
		}
	}
}

// RFC 6762 §6.7: a plain DNS querier gets its id and question back, short times
// to live, and no cache-flush bit that it would take for a class.
func TestLegacyAnswer(t *testing.T) {
	for _, m := range []announce.Manner{announce.Multicast, announce.Legacy} {
		b, err := announce.Answer(ask(t, true, announce.ServiceNative), []announce.Instance{cellar(t, false)}, m)
		if err != nil {
			t.Fatal(err)
		}
		var msg dnsmessage.Message
		if err := msg.Unpack(b); err != nil {
			t.Fatal(err)
		}
		legacy := m == announce.Legacy
		if legacy != (msg.ID == 77) || legacy != (len(msg.Questions) == 1) || !msg.Authoritative || !msg.Response {
			t.Errorf("legacy %v: %+v, %d questions", legacy, msg.Header, len(msg.Questions))
		}
		flush := 0
		for _, r := range append(msg.Answers, msg.Additionals...) {
			if legacy && (r.Header.TTL > 10 || r.Header.Class != dnsmessage.ClassINET) {
				t.Errorf("legacy: %v", r.Header)
			}
			if r.Header.Class != dnsmessage.ClassINET {
				flush++
				if r.Header.Type != dnsmessage.TypeSRV && r.Header.Type != dnsmessage.TypeTXT {
					t.Errorf("flushed: %v", r.Header)
				}
			}
		}
		if !legacy && flush != 2 {
			t.Errorf("%d records flush a cache", flush)
		}
	}
}

func TestInstanceHostAndMetaQuestions(t *testing.T) {
	have := []announce.Instance{cellar(t, false)}
	types := func(name string, kind dnsmessage.Type) string {
		b, err := announce.Answer(announce.Query{Questions: []announce.Question{{Name: name, Type: kind}}}, have, announce.Multicast)
		if err != nil || b == nil {
			return "silence"
		}
		var msg dnsmessage.Message
		if err := msg.Unpack(b); err != nil {
			return err.Error()
		}
		var out []string
		for _, r := range msg.Answers {
			out = append(out, strings.TrimPrefix(r.Header.Type.String(), "Type"))
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		name string
		kind dnsmessage.Type
		want string
	}{
		{"cellar-abcdefgh._paperclip._tcp.local.", dnsmessage.TypeALL, "SRV TXT"},
		{"cellar-abcdefgh._paperclip._tcp.local.", dnsmessage.TypeTXT, "TXT"},
		{"cellar-abcdefgh._paperclip._tcp.local.", dnsmessage.TypeA, "silence"},
		{"cellar-abcdefgh.local.", dnsmessage.TypeALL, "A AAAA"},
		{"cellar-abcdefgh.local.", dnsmessage.TypeA, "A"},
		{"cellar-abcdefgh.local.", dnsmessage.TypeAAAA, "AAAA"},
		{"_services._dns-sd._udp.local.", dnsmessage.TypePTR, "PTR"},
		{"_paperclip._tcp.local.", dnsmessage.TypeSRV, "silence"},
		{"somebody.local.", dnsmessage.TypeALL, "silence"},
	} {
		if got := types(c.name, c.kind); got != c.want {
			t.Errorf("%s %v: %s, want %s", c.name, c.kind, got, c.want)
		}
	}
	b, err := announce.Resolve(1, true, have[0])
	if err != nil {
		t.Fatal(err)
	}
	q, err := announce.ParseQuery(b)
	if err != nil || q.Questions[0].Name != "cellar-abcdefgh._paperclip._tcp.local." || q.Questions[0].Type != dnsmessage.TypeALL {
		t.Errorf("%+v, %v", q, err)
	}
	if got := answer(t, q, announce.Legacy, have...); len(got) != 1 || got[0].Port != 5001 {
		t.Errorf("%+v", got)
	}
}

// RFC 6762 §7.1: what the querier knows is not said again.
func TestKnownAnswersAreNotRepeated(t *testing.T) {
	have := []announce.Instance{cellar(t, false)}
	for ttl, silent := range map[uint32]bool{4500: true, 100: false} {
		service, instance := dnsmessage.MustNewName("_paperclip._tcp.local."), dnsmessage.MustNewName("cellar-abcdefgh._paperclip._tcp.local.")
		msg := dnsmessage.Message{
			Questions: []dnsmessage.Question{{Name: service, Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET}},
			Answers: []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: service, Class: dnsmessage.ClassINET, TTL: ttl},
				Body:   &dnsmessage.PTRResource{PTR: instance},
			}},
		}
		b, err := msg.Pack()
		if err != nil {
			t.Fatal(err)
		}
		q, err := announce.ParseQuery(b)
		if err != nil {
			t.Fatal(err)
		}
		if got := answer(t, q, announce.Multicast, have...); silent != (got == nil) {
			t.Errorf("known for %d s: %+v", ttl, got)
		}
	}
}

func TestUnaskedAndGoodbye(t *testing.T) {
	have := []announce.Instance{cellar(t, true)}
	b, err := announce.Unasked(have)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := announce.ParseResponse(b); err != nil || !reflect.DeepEqual(got, have) {
		t.Errorf("%+v, %v", got, err)
	}
	b, err = announce.Goodbye(have)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := announce.ParseResponse(b); err != nil || len(got) != 0 {
		t.Errorf("after the goodbye: %+v, %v", got, err)
	}
}

// A name with a dot in a label is what the message library does not take. Such
// a neighbour is left out; it hides nobody.
func TestOddNeighbourHidesNobody(t *testing.T) {
	have := []announce.Instance{cellar(t, true)}
	b, err := announce.Answer(ask(t, false, announce.ServiceNative), have, announce.Multicast)
	if err != nil {
		t.Fatal(err)
	}
	var msg dnsmessage.Message
	if err := msg.Unpack(b); err != nil {
		t.Fatal(err)
	}
	neighbour := dnsmessage.Resource{Header: msg.Answers[0].Header, Body: &dnsmessage.UnknownResource{Type: dnsmessage.TypePTR, Data: []byte("\x03a.b\x00")}}
	msg.Answers = append([]dnsmessage.Resource{neighbour}, msg.Answers...)
	odd, err := msg.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := announce.ParseResponse(odd); err != nil || !reflect.DeepEqual(got, have) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestParsersRefuse(t *testing.T) {
	q, err := announce.Browse(0, false, announce.ServiceNative)
	if err != nil {
		t.Fatal(err)
	}
	a, err := announce.Unasked([]announce.Instance{cellar(t, true)})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		err, want error
	}{
		"an answer as a query":  {second(announce.ParseQuery(a)), announce.ErrNotQuery},
		"a query as an answer":  {second(announce.ParseResponse(q)), announce.ErrNotReply},
		"half a query":          {second(announce.ParseQuery(q[:len(q)-3])), announce.ErrMessage},
		"half an answer":        {second(announce.ParseResponse(a[:len(a)/2])), announce.ErrMessage},
		"nothing":               {second(announce.ParseResponse(nil)), announce.ErrMessage},
		"more than a jumbogram": {second(announce.ParseResponse(make([]byte, announce.MaxMessage+1))), announce.ErrTooLarge},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestInstanceRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := announce.Instance{
			Service: rapid.SampledFrom([]string{announce.ServiceNative, announce.ServiceQNAP, announce.ServiceWeb}).Draw(t, "service"),
			Name:    rapid.StringMatching(`[a-zA-Z0-9 ()'ßé-]{1,30}`).Draw(t, "name"),
			Host:    rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,20}`).Draw(t, "host"),
			Port:    rapid.Uint16().Draw(t, "port"),
			Text:    rapid.SliceOfN(rapid.StringN(0, 60, 255), 1, 8).Draw(t, "text"),
		}
		for n := range rapid.IntRange(0, 4).Draw(t, "addresses") {
			i.Addresses = append(i.Addresses, netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}))
		}
		m := rapid.SampledFrom([]announce.Manner{announce.Multicast, announce.Legacy}).Draw(t, "manner")
		query, err := announce.Browse(1, true, i.Service)
		if err != nil {
			t.Fatal(err)
		}
		q, err := announce.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		b, err := announce.Answer(q, []announce.Instance{i}, m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := announce.ParseResponse(b)
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], i) {
			t.Fatalf("%+v came back as %+v, %v", i, got, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if q, err := announce.ParseQuery(b); err == nil {
			for _, m := range []announce.Manner{announce.Multicast, announce.Legacy} {
				if _, err := announce.Answer(q, []announce.Instance{cellar(t, true)}, m); err != nil {
					t.Fatalf("%x: %v", b, err)
				}
			}
		}
		got, err := announce.ParseResponse(b)
		if err != nil {
			return
		}
		for _, i := range got {
			if strings.ContainsAny(i.Name+i.Host, "\x00\x1b\n") {
				t.Fatalf("%+v", i)
			}
			announce.ParseVendor(i)
			n, err := announce.ParseNative(i)
			if err != nil {
				continue
			}
			again, err := n.Instance(i.Port, i.Addresses...)
			if err != nil || !sameText(again.Text, i.Text) {
				t.Fatalf("%+v became %+v, %v", i, again, err)
			}
		}
	})
}

func sameText(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func seeds(f *testing.F) [][]byte {
	i := []announce.Instance{cellar(f, true)}
	var out [][]byte
	for _, make := range []func() ([]byte, error){
		func() ([]byte, error) { return announce.Browse(1, true, announce.ServiceNative) },
		func() ([]byte, error) { return announce.Unasked(i) },
		func() ([]byte, error) { return announce.Goodbye(i) },
		func() ([]byte, error) {
			return announce.Answer(ask(f, true, announce.ServiceNative), i, announce.Legacy)
		},
	} {
		b, err := make()
		if err != nil || bytes.Equal(b, nil) {
			f.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}
