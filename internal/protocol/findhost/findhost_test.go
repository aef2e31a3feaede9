package findhost_test

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
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/findhost"
)

// vector reads a datagram written in hexadecimal, with comments after '#'.
func vector(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return b
}

func vectors(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.hex")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	return paths
}

func TestQueryIsTheMinimalOne(t *testing.T) {
	got, err := findhost.Query().Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	// vendors/synology.md §1.2, verified live by two projects.
	want := vector(t, "testdata/query_minimal.hex")
	if len(want) != 20 || !bytes.Equal(got, want) {
		t.Errorf("query = %x, want %x", got, want)
	}
	if !findhost.Query().IsQuery() {
		t.Error("our own query is not recognised as one")
	}
}

// F3: the fields that the finder shows, from a datagram built by hand from the
// layout of vendors/synology.md §1.2 to §1.4.
func TestReplyReadsEveryField(t *testing.T) {
	r, err := findhost.ParseReply(vector(t, "testdata/reply_ready.hex"))
	if err != nil {
		t.Fatal(err)
	}
	status, inferred := r.State()
	got := fmt.Sprintf("%v %s %s %s, %s %s, %s %s, %v %v %v %v %v, %v %v %v, %v %v %s",
		r.Type, r.Name, r.Model, r.DisplayVersion(), r.Serial, r.ShortSerial, r.MAC, r.FirstMAC,
		r.Address, r.Netmask, r.Gateway, r.DNS, r.Querier, *r.DHCP, r.HTTPPort, r.HTTPSPort, status, inferred, r.OSName)
	want := "response attic DS920+ 7.2-64570 Update 3, 2040SBRXYZ123 20SBXYZ123, 00:11:32:aa:bb:cc 00:11:32:aa:bb:cc, " +
		"192.0.2.20 255.255.255.0 192.0.2.1 [192.0.2.53 192.0.2.54] 192.0.2.7, false 5000 5001, Ready false DSM"
	if got != want {
		t.Errorf("read\n %s\nwant\n %s", got, want)
	}
	if r.Identity() != "2040SBRXYZ123" {
		t.Errorf("identity = %q", r.Identity())
	}
	// Kept: an id that has no name here, one that is seen four times, one with no value.
	ids := map[byte]int{}
	for _, f := range r.Other {
		ids[f.ID]++
	}
	if ids[0x7c] != 4 || ids[0xee] != 1 || ids[0x50] != 1 {
		t.Errorf("other fields by id: %v", ids)
	}
}

func TestInstallerReply(t *testing.T) {
	r, err := findhost.ParseReply(vector(t, "testdata/reply_configuration_lost.hex"))
	if err != nil {
		t.Fatal(err)
	}
	if status, inferred := r.State(); r.Type != findhost.TypeInstaller || status != nas.ConfigurationLost || inferred {
		t.Errorf("type %v, status %v, inferred %v", r.Type, status, inferred)
	}
}

func TestStateIsTheRawNumberElseInferred(t *testing.T) {
	number := func(n uint32) *uint32 { return &n }
	for _, c := range []struct {
		kind     findhost.Type
		raw      *uint32
		want     nas.Status
		inferred bool
	}{
		{findhost.TypeResponse, number(0), nas.NotConfigured, false},
		{findhost.TypeResponse, number(4), nas.ConfigurationLost, false},
		{findhost.TypeInstaller, number(1), nas.Ready, false},
		{findhost.TypeInstaller, number(14), nas.Migratable, false},
		{findhost.TypeResponse, number(99), nas.Other, false},
		{findhost.TypeResponse, number(1 << 31), nas.Other, false},
		{findhost.TypeResponse, nil, nas.Ready, true},
		{findhost.TypeResponseV2, nil, nas.Ready, true},
		{findhost.TypeInstaller, nil, nas.NotInstalled, true},
		{findhost.TypeInstallerReplyV2, nil, nas.NotInstalled, true},
		{findhost.TypeRecoverable, nil, nas.Recoverable, true},
		{findhost.TypeInfoAvailable, nil, nas.Unknown, true},
	} {
		got, inferred := findhost.Reply{Type: c.kind, Status: c.raw}.State()
		if got != c.want || inferred != c.inferred {
			t.Errorf("%v, raw %v: %v (inferred %v), want %v (%v)", c.kind, c.raw, got, inferred, c.want, c.inferred)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	head := []byte("\x12\x34\x56\x78SYNO")
	many := bytes.Repeat([]byte{0x7c, 0}, findhost.MaxFields+1)
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"nothing":               {nil, findhost.ErrNotFindhost},
		"half a header":         {head[:5], findhost.ErrNotFindhost},
		"another protocol":      {[]byte("M-SEARCH * HTTP/1.1"), findhost.ErrNotFindhost},
		"encrypted":             {[]byte("\x12\x34\x55\x66SYNO and what only the sender's peer can read"), findhost.ErrEncrypted},
		"an id alone":           {append(slices.Clone(head), 0x11), findhost.ErrOverrun},
		"a length with nothing": {append(slices.Clone(head), 0x11, 9), findhost.ErrOverrun},
		"one byte short":        {append(slices.Clone(head), 0x11, 3, 'N', 'A'), findhost.ErrOverrun},
		"too many fields":       {append(slices.Clone(head), many...), findhost.ErrTooMany},
	} {
		if _, err := findhost.Parse(c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if _, err := findhost.ParseReply(c.in); !errors.Is(err, c.want) {
			t.Errorf("%s, as a reply: %v, want %v", name, err, c.want)
		}
	}
	if _, err := findhost.Parse(append(slices.Clone(head), many[2:]...)); err != nil {
		t.Errorf("%d fields: %v", findhost.MaxFields, err)
	}
}

// Our own query comes back to us on a broadcast; a control packet of somebody
// else's may, too. Neither is a device.
func TestOnlyRepliesAreReplies(t *testing.T) {
	for kind := range findhost.Type(40) {
		var b []byte
		b = append(b, "\x12\x34\x56\x78SYNO\x01\x04"...)
		b = binary.LittleEndian.AppendUint32(b, uint32(kind))
		_, err := findhost.ParseReply(b)
		wanted := slices.Contains([]findhost.Type{2, 6, 16, 18, 20, 21}, kind)
		if wanted != (err == nil) || !wanted && !errors.Is(err, findhost.ErrNotReply) {
			t.Errorf("%v as a reply: %v", kind, err)
		}
	}
}

// The design's rule: no control packet, ever. Not by type, not by a second
// type field that some readers take for the first, not by odd lengths.
func TestControlPacketsCannotBeBuilt(t *testing.T) {
	built := func(fields ...findhost.Field) error {
		_, err := findhost.Packet{Fields: fields}.Append(nil)
		return err
	}
	number := func(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
	for kind := range uint32(300) {
		err := built(findhost.Field{ID: findhost.FieldType, Value: number(kind)})
		wanted := slices.Contains([]uint32{1, 2, 6, 16, 18, 20, 21}, kind)
		if wanted != (err == nil) || !wanted && !errors.Is(err, findhost.ErrRefused) {
			t.Errorf("type %d: %v", kind, err)
		}
	}
	for _, control := range []uint32{3, 4, 11, 12} {
		if !findhost.Type(control).IsControl() {
			t.Errorf("%d is not known as a control packet", control)
		}
		for name, fields := range map[string][]findhost.Field{
			"after a query":  {{ID: 1, Value: number(1)}, {ID: 1, Value: number(control)}},
			"before a query": {{ID: 1, Value: number(control)}, {ID: 1, Value: number(1)}},
			"one byte":       {{ID: 1, Value: []byte{byte(control)}}},
			"eight bytes":    {{ID: 1, Value: append(number(control), 0, 0, 0, 0)}},
		} {
			if err := built(fields...); !errors.Is(err, findhost.ErrRefused) {
				t.Errorf("%d %s: %v", control, name, err)
			}
		}
	}
	if err := built(); !errors.Is(err, findhost.ErrRefused) {
		t.Errorf("no type: %v", err)
	}
	long := findhost.Field{ID: 0x11, Value: make([]byte, 256)}
	if err := built(findhost.Field{ID: 1, Value: number(1)}, long); !errors.Is(err, findhost.ErrTooLong) {
		t.Errorf("256 bytes in a field: %v", err)
	}
}

// What a stranger sends is shown to a person: no escape sequence survives.
func TestTextIsSafeToPrint(t *testing.T) {
	p := findhost.Reply{Type: findhost.TypeResponse}.Packet()
	p.Fields = append(p.Fields, findhost.Field{ID: findhost.FieldName, Value: []byte("a\x1b[2J\r\n\xff\u202eb")})
	r, err := p.Reply()
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "a\ufffd[2J\ufffd\ufffd\ufffd\ufffdb" {
		t.Errorf("name = %q", r.Name)
	}
}

func replies() *rapid.Generator[findhost.Reply] {
	return rapid.Custom(func(t *rapid.T) findhost.Reply {
		text := rapid.StringMatching(`[a-zA-Z0-9+_. -]{0,40}`)
		mac := rapid.StringMatching(`([0-9a-f]{2}(:[0-9a-f]{2}){5})?`)
		number := rapid.Uint32()
		address := func(label string) netip.Addr {
			if rapid.Bool().Draw(t, label+" absent") {
				return netip.Addr{}
			}
			return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, label)))
		}
		r := findhost.Reply{
			Type:     rapid.SampledFrom([]findhost.Type{2, 6, 16, 18, 20, 21}).Draw(t, "type"),
			Name:     text.Draw(t, "name"),
			Model:    text.Draw(t, "model"),
			Platform: text.Draw(t, "platform"),
			OSName:   text.Draw(t, "os"), Version: text.Draw(t, "version"),
			Build: number.Draw(t, "build"), Update: number.Draw(t, "update"), Progress: number.Draw(t, "progress"),
			Serial: text.Draw(t, "serial"), ShortSerial: text.Draw(t, "short serial"),
			Address: address("address"), Netmask: address("netmask"), Gateway: address("gateway"), Querier: address("querier"),
			MAC: mac.Draw(t, "mac"), FirstMAC: mac.Draw(t, "first mac"),
			HTTPPort: rapid.Uint16().Draw(t, "http"), HTTPSPort: rapid.Uint16().Draw(t, "https"),
		}
		for range rapid.IntRange(0, 2).Draw(t, "resolvers") {
			if a := address("dns"); a.IsValid() {
				r.DNS = append(r.DNS, a)
			}
		}
		if rapid.Bool().Draw(t, "says status") {
			n := number.Draw(t, "status")
			r.Status = &n
		}
		if rapid.Bool().Draw(t, "says dhcp") {
			on := rapid.Bool().Draw(t, "dhcp")
			r.DHCP = &on
		}
		for range rapid.IntRange(0, 5).Draw(t, "others") {
			r.Other = append(r.Other, findhost.Field{
				ID:    byte(rapid.SampledFrom([]int{0x7c, 0xbc, 0xee, 0x50}).Draw(t, "id")),
				Value: rapid.SliceOfN(rapid.Byte(), 0, 255).Draw(t, "value"),
			})
		}
		return r
	})
}

func TestReplyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := replies().Draw(t, "reply")
		b, err := r.Packet().Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := findhost.ParseReply(b)
		if err != nil {
			t.Fatal(err)
		}
		if want, got := asJSON(t, r), asJSON(t, again); want != got {
			t.Fatalf("built  %s\nparsed %s", want, got)
		}
	})
}

// What a device of another model or firmware says more (fields that nobody knows,
// anywhere, zero bytes behind the last) hides nothing of what is known, and is
// kept; what was cut off is an error or leaves what came before.
func TestUnknownAndCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := replies().Draw(t, "reply")
		p := r.Packet()
		unknown := rapid.IntRange(0, 60).Draw(t, "unknown fields")
		for range unknown {
			f := findhost.Field{ID: byte(rapid.IntRange(0xd0, 0xff).Draw(t, "id")), Value: rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "value")}
			p.Fields = slices.Insert(p.Fields, rapid.IntRange(0, len(p.Fields)).Draw(t, "at"), f)
		}
		p.Tail = make([]byte, rapid.IntRange(0, 300).Draw(t, "padding"))
		b, err := p.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := findhost.ParseReply(b)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Other) != len(r.Other)+unknown {
			t.Fatalf("%d fields kept", len(got.Other))
		}
		got.Other, r.Other = nil, nil
		if asJSON(t, got) != asJSON(t, r) {
			t.Fatalf("%+v, not %+v", got, r)
		}
		again, err := findhost.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if built, err := again.Append(nil); err != nil || !bytes.Equal(built, b) {
			t.Fatalf("%x became %x, %v", b, built, err)
		}
		cut, err := findhost.Parse(b[:rapid.IntRange(0, len(b)).Draw(t, "cut")])
		if err != nil {
			return
		}
		for i, f := range cut.Fields {
			if f.ID != again.Fields[i].ID || !bytes.Equal(f.Value, again.Fields[i].Value) {
				t.Fatalf("cut, field %d is %+v, not %+v", i, f, again.Fields[i])
			}
		}
	})
}

func asJSON(t interface{ Fatal(...any) }, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestVectorsRoundTrip(t *testing.T) {
	for _, path := range vectors(t) {
		b := vector(t, path)
		p, err := findhost.Parse(b)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if again, err := p.Append(nil); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s: built %x from what was parsed, %v", path, again, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, path := range vectors(f) {
		f.Add(vector(f, path))
	}
	f.Add([]byte("\x12\x34\x55\x66SYNO"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := findhost.Parse(b)
		if err != nil {
			return
		}
		if len(p.Fields) > findhost.MaxFields {
			t.Fatalf("%d fields", len(p.Fields))
		}
		if r, err := p.Reply(); err == nil {
			state, _ := r.State()
			if state.ID() == "" || strings.ContainsRune(r.Name+r.Model+r.Serial+r.DisplayVersion(), 0x1b) {
				t.Fatalf("%q", b)
			}
		}
		again, err := p.Append(nil)
		if errors.Is(err, findhost.ErrRefused) {
			return
		}
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x became %x, %v", b, again, err)
		}
	})
}
