package qfinder_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/protocol/qfinder"
)

// samples is the folder of captures that stands beside the checkout where there
// is one; they are no part of the repository.
const samples = "../../../../shared/samples/qnap/qfinder"

// vector reads a datagram written in hexadecimal, with comments after '#'.
func vector(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(raw)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return b
}

// vendors/qnap.md §1.2, byte for byte.
func TestQuestions(t *testing.T) {
	b, err := qfinder.Query().Append(nil)
	if err != nil || hex.EncodeToString(b) != "000000000000436c0000010000002504" {
		t.Errorf("%x, %v", b, err)
	}
	q, err := qfinder.DetailQuery("00-08-9B-C3-EC-6A")
	if err != nil {
		t.Fatal(err)
	}
	b, err = q.Append(nil)
	if err != nil || hex.EncodeToString(b) != "00089bc3ec6a436c0200050000002504" {
		t.Errorf("%x, %v", b, err)
	}
	if !q.IsQuery("00:08:9b:c3:ec:6a") || q.IsQuery("00:08:9b:c3:ec:6b") || !qfinder.Query().IsQuery("00:08:9b:c3:ec:6b") {
		t.Error("a device does not know what is asked of it")
	}
	if _, err := qfinder.DetailQuery("attic"); !errors.Is(err, qfinder.ErrRefused) {
		t.Error(err)
	}
}

// Nothing but the two questions can be built for a device: no control packet.
func TestBuildsNoOtherQuestion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := qfinder.Packet{
			Role: rapid.Uint16().Draw(t, "role"), Kind: qfinder.Kind(rapid.Uint16().Draw(t, "kind")),
			Zero: rapid.SampledFrom([]uint16{0, 0, 1}).Draw(t, "zero"), Version: rapid.Uint16().Draw(t, "version"),
		}
		if rapid.Bool().Draw(t, "field") {
			p.Fields = []qfinder.Field{{Tag: 1, Value: []byte("x")}}
		}
		if _, err := p.Append(nil); err == nil && !(len(p.Fields) == 0 && (p.Kind == 1 && p.Role == 0 || p.Kind == 5 && p.Role == 2)) {
			t.Fatalf("built %+v", p)
		}
	})
}

func TestReadsWhatIsKnown(t *testing.T) {
	b := vector(t, "testdata/reply_brief.hex")
	r, err := qfinder.ParseReply(b)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%d %s %s %s %s %s %s %s %v %d %d %v", r.Kind, r.Address, r.Name, r.Model, r.InternalModel, r.Workgroup, r.Build, r.Administrator, r.MACs, r.HTTPPort, r.HTTPSPort, r.Client)
	if got != "1 00:08:9b:aa:bb:cc studio TS-453D TS-X53D NAS 20260214 admin [00:08:9b:aa:bb:cc 00:08:9b:aa:bb:cd] 8080 443 192.0.2.77" {
		t.Error(got)
	}
	p, _ := qfinder.Parse(b)
	if v, ok := p.Value(0x77); !ok || !bytes.Equal(v, []byte{1, 2, 3}) {
		t.Error("what is not understood is not kept")
	}
	if v, ok := p.Value(0xca); !ok || len(v) != 2 {
		t.Error("a malformed extended field is not kept")
	}
	if again, err := p.Append(nil); err != nil || !bytes.Equal(again, b) {
		t.Errorf("built %x, %v", again, err)
	}
}

// F2: captures of a real device, beside labels that another reader made.
func TestCaptures(t *testing.T) {
	paths, _ := filepath.Glob(filepath.Join(samples, "*.hex"))
	if len(paths) == 0 {
		t.Skip("no captures beside the checkout")
	}
	for _, path := range paths {
		b := vector(t, path)
		p, err := qfinder.Parse(b)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if again, err := p.Append(nil); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s: built %x, %v", path, again, err)
		}
		checkLabels(t, p, strings.TrimSuffix(path, ".hex")+".json")
		r, err := p.Reply()
		if strings.Contains(path, "query") {
			if !errors.Is(err, qfinder.ErrNotReply) {
				t.Errorf("%s: %v", path, err)
			}
			continue
		}
		if r.Name != "cher" || r.Model != "TS-410" || r.Build != "20130726" || len(r.MACs) != 2 || r.MACs[0] != "00:08:9b:c3:ec:6a" {
			t.Errorf("%s: %+v", path, r)
		}
		if r.Kind == qfinder.Detail && (r.IP != netip.MustParseAddr("10.0.0.27") || r.Gateway != netip.MustParseAddr("10.0.0.138") || r.DHCP == nil || !*r.DHCP || len(r.DNS) != 1) {
			t.Errorf("%s: %+v", path, r)
		}
		if r.Kind == qfinder.Brief && (r.HTTPPort != 8080 || r.HTTPSPort != 443 || r.Client != netip.MustParseAddr("10.0.0.29") || r.MailServer != "smtp.gmail.com:465") {
			t.Errorf("%s: %+v", path, r)
		}
	}
}

func checkLabels(t *testing.T, p qfinder.Packet, path string) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return // not every capture has labels
	}
	var l struct {
		TLV []struct{ Tag, Hex string }
	}
	if err := json.Unmarshal(raw, &l); err != nil {
		t.Fatal(err)
	}
	if len(l.TLV) == 0 {
		t.Errorf("%s: no labels", path)
	}
	for i, want := range l.TLV {
		if i >= len(p.Fields) {
			break
		}
		tag, ext := strings.CutPrefix(want.Tag, "ca/")
		n, err := strconv.ParseUint(tag, 0, 32)
		if f := p.Fields[i]; err != nil || f.Extended != ext || f.Tag != uint32(n) || hex.EncodeToString(f.Value) != want.Hex {
			t.Errorf("%s: field %d is %+v, not %+v", path, i, f, want)
		}
	}
}

// A reply that is built reads as it was.
func TestReplyRoundTrip(t *testing.T) {
	yes := true
	for _, r := range []qfinder.Reply{
		{Kind: qfinder.Brief, Address: "00:08:9b:00:00:01", Name: "studio", Model: "TS-453D", MACs: []string{"00:08:9b:00:00:01"}, HTTPPort: 8080, HTTPSPort: 443},
		{
			Kind: qfinder.Detail, Address: "00:08:9b:00:00:01", Name: "studio", Model: "TS-453D", InternalModel: "TS-X53D", Workgroup: "NAS", Build: "20260214",
			MACs: []string{"00:08:9b:00:00:01", "00:08:9b:00:00:02"}, IP: netip.MustParseAddr("192.0.2.30"), Netmask: netip.MustParseAddr("255.255.255.0"),
			Gateway: netip.MustParseAddr("192.0.2.1"), DNS: []netip.Addr{netip.MustParseAddr("192.0.2.53")}, DHCP: &yes, Client: netip.MustParseAddr("192.0.2.7"),
		},
	} {
		b, err := r.Packet().Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := qfinder.ParseReply(b); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v\n%+v, %v", got, r, err)
		}
	}
}

func TestBadInput(t *testing.T) {
	whole := vector(t, "testdata/reply_brief.hex")
	for n := range whole {
		if _, err := qfinder.Parse(whole[:n]); n < 16 && !errors.Is(err, qfinder.ErrNotQfinder) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	_, err := qfinder.Parse(whole[:20])
	if !errors.Is(err, qfinder.ErrOverrun) || !strings.Contains(err.Error(), "at byte 16 of 20") {
		t.Error(err)
	}
	many := bytes.Clone(whole[:16])
	for range 513 {
		many = append(many, 1, 0)
	}
	if _, err := qfinder.Parse(many); !errors.Is(err, qfinder.ErrTooLarge) {
		t.Error(err)
	}
	if _, err := qfinder.Parse(make([]byte, 9001)); !errors.Is(err, qfinder.ErrTooLarge) {
		t.Error(err)
	}
}

// A datagram costs little memory, whatever is in it.
func TestAllocatesLittle(t *testing.T) {
	b := vector(t, "testdata/reply_brief.hex")
	b = b[:len(b)-6]
	for len(b)+2 <= 9000 && len(b) < 16+2*500 {
		b = append(b, 1, 0)
	}
	if n := testing.AllocsPerRun(50, func() { _, _ = qfinder.Parse(b) }); n > 16 {
		t.Errorf("%v allocations", n)
	}
}

// What a device of another model or firmware says more (fields that nobody knows,
// twice, anywhere, zero bytes behind the end) hides nothing of what is known, and
// is kept; what was cut off is an error or leaves what came before.
func TestUnknownAndCut(t *testing.T) {
	plain := qfinder.Reply{
		Kind: qfinder.Brief, Address: "00:08:9b:00:00:01", Name: "studio", Model: "TS-453D", Build: "20260214",
		MACs: []string{"00:08:9b:00:00:01"}, HTTPPort: 8080, HTTPSPort: 443,
	}
	rapid.Check(t, func(t *rapid.T) {
		p := plain.Packet()
		end := len(p.Fields) - 1
		for range rapid.IntRange(0, 40).Draw(t, "unknown fields") {
			f := qfinder.Field{
				Extended: rapid.Bool().Draw(t, "extended"), Tag: uint32(rapid.IntRange(0xd0, 0xfe).Draw(t, "tag")),
				Value: rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "value"),
			}
			if f.Extended {
				f.Tag += 0x10000
			}
			at := rapid.IntRange(0, end).Draw(t, "at")
			p.Fields = slices.Insert(p.Fields, at, f)
			end++
		}
		p.Tail = make([]byte, rapid.IntRange(0, 300).Draw(t, "padding"))
		b, err := p.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := qfinder.ParseReply(b); err != nil || !reflect.DeepEqual(got, plain) {
			t.Fatalf("%+v, %v", got, err)
		}
		again, err := qfinder.Parse(b)
		if err != nil || len(again.Fields) != len(p.Fields) {
			t.Fatalf("%d fields of %d, %v", len(again.Fields), len(p.Fields), err)
		}
		cut, err := qfinder.Parse(b[:rapid.IntRange(0, len(b)).Draw(t, "cut")])
		if err != nil {
			return
		}
		for i, f := range cut.Fields {
			if !reflect.DeepEqual(f, p.Fields[i]) {
				t.Fatalf("cut, field %d is %+v, not %+v", i, f, p.Fields[i])
			}
		}
	})
}

// Whatever arrives: no panic, and what parses and may be built is built as it was.
func FuzzParse(f *testing.F) {
	f.Add(vector(f, "testdata/reply_brief.hex"))
	q, _ := qfinder.Query().Append(nil)
	f.Add(q)
	f.Add(binary.LittleEndian.AppendUint64(append(append([]byte{}, q[:6]...), "Se\x01\x00\x05\x00\x00\x00\x25\x04\xca\x07"...), 7))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := qfinder.Parse(b)
		if err != nil {
			return
		}
		_, _ = p.Reply()
		again, err := p.Append(nil)
		if errors.Is(err, qfinder.ErrRefused) && !p.Server {
			return
		}
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x became %x, %v", b, again, err)
		}
	})
}
