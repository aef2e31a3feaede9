package snapshot_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/protocol/identity"
	"github.com/paperclip-nas/paperclip/internal/protocol/snapshot"
)

func device(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

// make is a snapshot and the key that opens it.
func seal(t testing.TB, content string) (file []byte, key access.Secret) {
	t.Helper()
	key, recipient, err := snapshot.NewRecoveryKey()
	if err != nil {
		t.Fatal(err)
	}
	file, err = snapshot.Seal(device(1), recipient, snapshot.Header{Name: "cellar", MadeAt: time.Unix(1700000000, 5)}, []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return file, key
}

// R6: what was sealed opens, with the owner's key alone, and says whose it is.
func TestSealAndOpen(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(rt, "content")
		file, key := seal(t, string(content))
		h, back, err := snapshot.Open(file, access.NewSecret("# kept in the safe\n\n  "+key.Reveal()+"\n"))
		if err != nil || !bytes.Equal(back, content) {
			rt.Fatalf("%v, %d bytes of %d", err, len(back), len(content))
		}
		if h.Name != "cellar" || h.KeyID != identity.KeyID(device(1).Public().(ed25519.PublicKey)) || h.MadeAt.Unix() != 1700000000 {
			rt.Fatalf("%+v", h)
		}
		_, other := seal(t, "")
		if _, _, err := snapshot.Open(file, other); !errors.Is(err, snapshot.ErrKey) {
			rt.Fatalf("another key: %v", err)
		}
	})
}

// X8: nothing of what is inside, and nothing of the key, is in the file; and no
// two snapshots are alike.
func TestNothingShows(t *testing.T) {
	content := strings.Repeat("the hash of ben's password ", 50)
	file, key := seal(t, content)
	if bytes.Contains(file, []byte("ben's")) || bytes.Contains(file, []byte(key.Reveal())) {
		t.Error("the content or the key can be read in the file")
	}
	if text := fmt.Sprint(key); strings.Contains(text, "AGE-SECRET") {
		t.Errorf("the key prints itself: %s", text)
	}
}

// Whichever byte is changed, and wherever the file ends too early, it is no
// snapshot any more, and says so before anything is opened.
func TestEveryChangeIsSeen(t *testing.T) {
	file, key := seal(t, "settings")
	for i := range file {
		bad := bytes.Clone(file)
		bad[i] ^= 1
		if _, _, err := snapshot.Open(bad, key); err == nil {
			t.Fatalf("byte %d of %d changed, and it opens", i, len(file))
		}
		if _, err := snapshot.Check(file[:i]); err == nil {
			t.Fatalf("the first %d bytes of %d are taken for a snapshot", i, len(file))
		}
	}
	if _, err := snapshot.Check(append(bytes.Clone(file), 'x')); !errors.Is(err, snapshot.ErrSignature) {
		t.Errorf("with a byte more: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	file, key := seal(t, "settings")
	newer := bytes.Replace(file, []byte(`"version":1`), []byte(`"version":2,"more":{}`), 1)
	if _, _, err := snapshot.Open(newer, key); !errors.Is(err, snapshot.ErrNewer) {
		t.Errorf("a newer version: %v", err)
	}
	for name, bad := range map[string][]byte{
		"nothing": nil, "not one": []byte("hello\n"), "too large": append(bytes.Clone(file), make([]byte, snapshot.MaxFile)...),
		"another file": []byte(`{"format":"paperclip-receipt/1"}` + "\n"),
	} {
		if _, err := snapshot.Check(bad); !errors.Is(err, snapshot.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"", "# nothing", "AGE-SECRET-KEY-1", key.Reveal() + "x", "age1qqqqqq"} {
		if _, _, err := snapshot.Open(file, access.NewSecret(bad)); !errors.Is(err, snapshot.ErrRecoveryKey) {
			t.Errorf("a key that is none: %v", err)
		} else if len(bad) > 20 && strings.Contains(err.Error(), bad) {
			t.Error("the error repeats the key")
		}
	}
	if _, err := snapshot.Seal(device(1), "age1nobody", snapshot.Header{}, nil); err == nil {
		t.Error("sealed to nobody")
	}
	_, recipient, err := snapshot.NewRecoveryKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.Seal(device(1), recipient, snapshot.Header{}, make([]byte, snapshot.MaxContent+1)); !errors.Is(err, snapshot.ErrTooLarge) {
		t.Errorf("too much: %v", err)
	}
	if !snapshot.ValidRecipient(recipient) || snapshot.ValidRecipient(recipient+"x") || snapshot.ValidRecipient(key.Reveal()) {
		t.Error("recipients are not told from other texts")
	}
}

func FuzzCheck(f *testing.F) {
	file, key := seal(f, "settings")
	f.Add(file)
	f.Add(file[:200])
	f.Add([]byte(`{"format":"paperclip-snapshot","version":9}` + "\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		h, err := snapshot.Check(file)
		if err != nil {
			for _, want := range []error{snapshot.ErrFormat, snapshot.ErrNewer, snapshot.ErrSignature} {
				if errors.Is(err, want) {
					return
				}
			}
			t.Fatalf("another error: %v", err)
		}
		if h.KeyID != identity.KeyID(h.PublicKey) {
			t.Fatal("a key id that is not the key's")
		}
		_, _, _ = snapshot.Open(file, key)
	})
}

// A line that is signed rightly, and says what no device says, is refused too:
// whoever has a key of his own cannot pass for another device.
func TestSignedNonsenseIsRefused(t *testing.T) {
	file, _ := seal(t, "settings")
	line, body, _ := bytes.Cut(file, []byte("\n"))
	stranger, short := device(2), ed25519.PublicKey("short")
	for name, change := range map[string]func(*snapshot.Header){
		"another's key id":   func(h *snapshot.Header) { h.PublicKey = stranger.Public().(ed25519.PublicKey) },
		"a key that is none": func(h *snapshot.Header) { h.PublicKey, h.KeyID = short, identity.KeyID(short) },
		"a long name":        func(h *snapshot.Header) { h.Name = strings.Repeat("a", 256) },
		"a long line":        func(h *snapshot.Header) { h.Digest = strings.Repeat("a", 5000) },
		"sealed to nobody":   func(h *snapshot.Header) { h.Recipient = "age1" },
		"no version":         func(h *snapshot.Header) { h.Version = 0 },
		"another format":     func(h *snapshot.Header) { h.Format = "paperclip-receipt" },
	} {
		var h snapshot.Header
		must(t, json.Unmarshal(line, &h))
		h.PublicKey, h.KeyID = stranger.Public().(ed25519.PublicKey), identity.KeyID(stranger.Public().(ed25519.PublicKey))
		if name == "another's key id" {
			h.KeyID = identity.KeyID(device(1).Public().(ed25519.PublicKey))
		}
		change(&h)
		h.Signature = ""
		statement, err := json.Marshal(h)
		must(t, err)
		h.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(stranger, append([]byte("paperclip-snapshot/1\x00"), statement...)))
		forged, err := json.Marshal(h)
		must(t, err)
		if _, err := snapshot.Check(append(append(forged, '\n'), body...)); !errors.Is(err, snapshot.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// There is one way to write the line.
func TestOneWayToWriteTheLine(t *testing.T) {
	file, _ := seal(t, "settings")
	end := bytes.Index(file, []byte(`=="}`)) // of the signature: 4 bits of the character before it say nothing
	if end < 0 {
		t.Fatalf("%.400q", file)
	}
	taken := 0
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		other := bytes.Clone(file)
		other[end-1] = c
		if _, err := snapshot.Check(other); err == nil {
			taken++
		}
	}
	if _, err := snapshot.Check(bytes.Replace(file, []byte(`":`), []byte(`": `), 1)); taken != 1 || !errors.Is(err, snapshot.ErrFormat) {
		t.Errorf("%d ways to write the signature; with a space: %v", taken, err)
	}
	_, recipient, err := snapshot.NewRecoveryKey()
	if err != nil || snapshot.ValidRecipient(strings.ToUpper(recipient)) {
		t.Errorf("a recipient in two ways: %v", err)
	}
}
