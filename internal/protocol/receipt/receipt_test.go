package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
)

func device(t testing.TB, seed byte) ed25519.PrivateKey {
	t.Helper()
	priv, err := identity.New(bytes.NewReader(bytes.Repeat([]byte{seed}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return priv
}

func example() Statement {
	return Statement{
		Device: Device{Name: "cellar"}, Transaction: "t-1", Claim: "c-1", Mode: "soft", Scope: "credentials",
		Administrator: "anna", PlanHash: strings.Repeat("ab", 32),
		Changes:    []Change{{ID: "E1", Setting: "administrator's password", From: "anna: the password of now", To: "anna: the new password <chosen> & kept"}},
		NotCovered: []string{"auto block (E8): nothing of the kind is managed on this NAS"},
		AcceptedAt: time.Date(2026, 11, 22, 12, 0, 0, 5e8, time.FixedZone("", 3600)), CommittedAt: time.Date(2026, 11, 22, 11, 0, 4, 0, time.UTC),
		Result: Committed,
	}
}

func sign(t testing.TB, s Statement) []byte {
	t.Helper()
	file, err := Sign(device(t, 1), s)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSignAndVerify(t *testing.T) {
	file := sign(t, example())
	keyID, got, err := Verify(file)
	if err != nil {
		t.Fatal(err)
	}
	pub := device(t, 1).Public().(ed25519.PublicKey)
	want := example()
	want.Format = Format
	want.Device.KeyID, want.Device.PublicKey = identity.KeyID(pub), pub
	want.AcceptedAt = time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if keyID != identity.KeyID(pub) {
		t.Errorf("key id %q", keyID)
	}
	parsed, err := Parse(file)
	if d := cmp.Diff(got, parsed); err != nil || d != "" {
		t.Error(err, d)
	}
	if !bytes.Equal(file, sign(t, example())) {
		t.Error("the same receipt is not the same bytes")
	}
}

// The file as it is written is a contract: this one was written once and must
// verify for ever.
func TestVector(t *testing.T) {
	file, err := os.ReadFile("testdata/receipt-1.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Verify(file); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(file, sign(t, example())) {
		t.Error("receipts are written differently now: that needs a new version")
	}
}

// Whichever byte of the file is changed, whatever is inserted or left out, it
// is no longer a receipt.
func TestAnyChangeIsRefused(t *testing.T) {
	file := sign(t, example())
	rapid.Check(t, func(t *rapid.T) {
		changed := bytes.Clone(file)
		i := rapid.IntRange(0, len(file)-1).Draw(t, "at")
		b := rapid.Byte().Draw(t, "byte")
		switch rapid.SampledFrom([]string{"set", "insert", "delete", "cut"}).Draw(t, "how") {
		case "set":
			changed[i] = b
		case "insert":
			changed = append(append(bytes.Clone(file[:i]), b), file[i:]...)
		case "delete":
			changed = append(bytes.Clone(file[:i]), file[i+1:]...)
		case "cut":
			changed = changed[:i]
		}
		if bytes.Equal(changed, file) {
			return
		}
		if _, _, err := Verify(changed); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrSignature) {
			t.Fatalf("%q: %v, want ErrFormat or ErrSignature", changed, err)
		}
	})
}

// Changes that leave the meaning of the JSON alone are refused too.
func TestOneWayToWriteIt(t *testing.T) {
	file := sign(t, example())
	var e envelope
	if err := json.Unmarshal(file, &e); err != nil {
		t.Fatal(err)
	}
	for name, changed := range map[string][]byte{
		"no line end":              bytes.TrimSuffix(file, []byte("\n")),
		"another line end":         append(bytes.TrimSuffix(bytes.Clone(file), []byte("\n")), '\r', '\n'),
		"a space":                  bytes.Replace(file, []byte(`":"`), []byte(`": "`), 1),
		"an escape":                bytes.Replace(file, []byte("soft"), []byte(`\u0073oft`), 1),
		"another case":             bytes.Replace(file, []byte(`"payload"`), []byte(`"Payload"`), 1),
		"a field more":             bytes.Replace(file, []byte("{"), []byte(`{"note":"",`), 1),
		"a line end in the base64": bytes.Replace(file, []byte(`"signature":"`), []byte(`"signature":"\n`), 1),
	} {
		if bytes.Equal(changed, file) {
			t.Fatalf("%s: the test changes nothing", name)
		}
		if _, _, err := Verify(changed); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
}

// forge signs a payload that Sign would not write.
func forge(t *testing.T, priv ed25519.PrivateKey, domain string, change func(map[string]any)) []byte {
	t.Helper()
	var e envelope
	if err := json.Unmarshal(sign(t, example()), &e); err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(e.Payload), &m); err != nil {
		t.Fatal(err)
	}
	change(m)
	payload, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	e.Payload = string(payload)
	e.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(priv, []byte(domain+e.Payload)))
	file, err := write(e)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestForgeriesAreRefused(t *testing.T) {
	set := func(name string, v any) func(map[string]any) {
		return func(m map[string]any) { m[name] = v }
	}
	in := func(name string, v any) func(map[string]any) {
		return func(m map[string]any) { m["device"].(map[string]any)[name] = v }
	}
	one, two := device(t, 1), device(t, 2)
	same := func(map[string]any) {}
	if _, _, err := Verify(forge(t, one, domain, same)); err != nil {
		t.Fatalf("the forger cannot even make a good one: %v", err)
	}
	for name, c := range map[string]struct {
		file []byte
		want error
	}{
		"another device's signature":  {forge(t, two, domain, same), ErrSignature},
		"signed for something else":   {forge(t, one, "", same), ErrSignature},
		"signed as another version":   {forge(t, one, "paperclip-receipt/2\x00", same), ErrSignature},
		"another version inside":      {forge(t, one, domain, set("format", "paperclip-receipt/2")), ErrFormat},
		"a field more":                {forge(t, one, domain, set("password", "x")), ErrFormat},
		"a field more in the device":  {forge(t, one, domain, in("private_key", "x")), ErrFormat},
		"key id of another device":    {forge(t, one, domain, in("key_id", identity.KeyID(two.Public().(ed25519.PublicKey)))), ErrFormat},
		"another device's key":        {forge(t, one, domain, in("public_key", two.Public())), ErrFormat},
		"no key":                      {forge(t, one, domain, in("public_key", "")), ErrFormat},
		"no transaction":              {forge(t, one, domain, set("transaction", "")), ErrFormat},
		"no result":                   {forge(t, one, domain, set("result", "")), ErrFormat},
		"another result":              {forge(t, one, domain, set("result", "half")), ErrFormat},
		"previous that is no hash":    {forge(t, one, domain, set("previous", "abc")), ErrFormat},
		"previous in capital letters": {forge(t, one, domain, set("previous", strings.Repeat("AB", 32))), ErrFormat},
		"larger than any receipt":     {bytes.Repeat([]byte(" "), MaxSize+1), ErrFormat},
		"not a receipt":               {[]byte(`{"format":"something"}`), ErrFormat},
		"nothing":                     {nil, ErrFormat},
	} {
		t.Run(name, func(t *testing.T) {
			keyID, s, err := Verify(c.file)
			if !errors.Is(err, c.want) {
				t.Errorf("err = %v, want %v", err, c.want)
			}
			if keyID != "" || s.Transaction != "" {
				t.Error("something came out of a receipt that is refused")
			}
		})
	}
}

func TestSignRefuses(t *testing.T) {
	for name, change := range map[string]func(*Statement){
		"no transaction": func(s *Statement) { s.Transaction = "" },
		"no result":      func(s *Statement) { s.Result = "" },
		"bad previous":   func(s *Statement) { s.Previous = "yesterday's" },
		"too large":      func(s *Statement) { s.NotCovered = []string{strings.Repeat("x", MaxSize)} },
	} {
		s := example()
		change(&s)
		if file, err := Sign(device(t, 1), s); !errors.Is(err, ErrFormat) || file != nil {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
}

func TestReceiptsFormAChain(t *testing.T) {
	first := sign(t, example())
	next := example()
	next.Transaction, next.Result, next.Previous = "t-2", Undone, Hash(first)
	_, got, err := Verify(sign(t, next))
	if err != nil || got.Previous != Hash(first) || got.Result != Undone {
		t.Errorf("%+v, %v", got, err)
	}
	if Hash(first) == Hash(sign(t, next)) {
		t.Error("two receipts with one hash")
	}
}

// No field of a receipt could hold a secret: the list is all there is, and the
// only key is public.
func TestNoFieldForASecret(t *testing.T) {
	var names []string
	var walk func(reflect.Type)
	walk = func(ty reflect.Type) {
		switch ty.Kind() {
		case reflect.Struct:
			if ty == reflect.TypeFor[time.Time]() {
				return
			}
			for i := range ty.NumField() {
				names = append(names, ty.Field(i).Tag.Get("json"))
				walk(ty.Field(i).Type)
			}
		case reflect.Slice:
			walk(ty.Elem())
		case reflect.Map, reflect.Interface:
			t.Errorf("%s can hold anything", ty)
		}
	}
	walk(reflect.TypeFor[Statement]())
	want := []string{
		"format", "device", "key_id", "public_key", "name", "transaction", "claim", "mode", "scope", "administrator",
		"plan_hash", "changes", "id", "setting", "from", "to", "not_covered", "accepted_at", "committed_at", "result", "previous",
	}
	if d := cmp.Diff(want, names); d != "" {
		t.Error(d)
	}
}

// FuzzVerify: nothing makes it panic, and what it accepts is as Sign wrote it.
func FuzzVerify(f *testing.F) {
	file := sign(f, example())
	f.Add(file)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		if s, err := Parse(in); err == nil && s.Format != Format {
			t.Fatalf("parsed another format: %q", in)
		}
		if keyID, _, err := Verify(in); err == nil && keyID == identity.KeyID(device(t, 1).Public().(ed25519.PublicKey)) && !bytes.Equal(in, file) {
			t.Fatalf("a receipt that the device did not sign: %q", in)
		}
	})
}

// A statement that is signed rightly, and says what no device says, is refused
// too: a signature proves who wrote it, not that it is a receipt.
func TestSignedNonsenseIsRefused(t *testing.T) {
	_, good, err := Verify(sign(t, example()))
	if err != nil {
		t.Fatal(err)
	}
	short := ed25519.PublicKey("short")
	for name, change := range map[string]func(*envelope, *Statement){
		"another version":        func(e *envelope, _ *Statement) { e.Format = "paperclip-receipt/2" },
		"a key that is none":     func(_ *envelope, s *Statement) { s.Device = Device{PublicKey: short, KeyID: identity.KeyID(short)} },
		"another's key id":       func(_ *envelope, s *Statement) { s.Device.KeyID = identity.KeyID(short) },
		"no hash before":         func(_ *envelope, s *Statement) { s.Previous = "abcd" },
		"more than a file holds": func(_ *envelope, s *Statement) { s.Administrator = strings.Repeat("a", MaxSize) },
	} {
		e, s := envelope{Format: Format}, good
		change(&e, &s)
		payload, err1 := json.Marshal(s)
		e.Payload = string(payload)
		e.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(device(t, 1), signed(e.Payload)))
		file, err2 := write(e)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Verify(file); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A receipt has lists where there is nothing in them, and whole seconds in UTC.
func TestWhatSignFillsIn(t *testing.T) {
	s := example()
	s.Changes, s.NotCovered = nil, nil
	s.CommittedAt = s.AcceptedAt
	_, got, err := Verify(sign(t, s))
	if err != nil || got.Changes == nil || got.NotCovered == nil || got.CommittedAt != got.AcceptedAt {
		t.Errorf("%v %+v", err, got)
	}
}
