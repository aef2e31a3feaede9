package spake2

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"testing"

	"filippo.io/nistec"
	"pgregory.net/rapid"
)

// RFC 9382, appendix B: every value of all four vectors, from both sides.
func TestRFC9382Vectors(t *testing.T) {
	data, err := os.ReadFile("testdata/rfc9382-b.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []map[string]string `json:"vectors"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) != 4 {
		t.Fatalf("%d vectors, want 4", len(file.Vectors))
	}
	for _, v := range file.Vectors {
		t.Run(fmt.Sprintf("A=%q B=%q", v["A"], v["B"]), func(t *testing.T) { checkVector(t, v) })
	}
}

func checkVector(t *testing.T, v map[string]string) {
	t.Helper()
	p := Parties{A: []byte(v["A"]), B: []byte(v["B"])}
	w := [scalarLen]byte(unhex(t, v["w"]))
	runA, err := beginWith(w, [scalarLen]byte(unhex(t, v["x"])), p, roleA())
	if err != nil {
		t.Fatal(err)
	}
	runB, err := beginWith(w, [scalarLen]byte(unhex(t, v["y"])), p, roleB())
	if err != nil {
		t.Fatal(err)
	}
	a, b := &A{runA}, &B{runB}
	equal(t, "pA", a.Share(), v["pA"])
	equal(t, "pB", b.Share(), v["pB"])

	tt := transcript(p.A, p.B, a.Share(), b.Share(), unhex(t, v["K"]), w[:])
	sum := sha256.Sum256(tt)
	equal(t, "Ke || Ka", sum[:], v["Ke"]+v["Ka"])
	kc, err := hkdf.Key(sha256.New, unhex(t, v["Ka"]), nil, "ConfirmationKeys", 32)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "KcA || KcB", kc, v["KcA"]+v["KcB"])

	confirmA, err := a.Finish(b.Share())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "A's confirmation", confirmA, v["confirmA"])
	if err := b.Finish(a.Share()); err != nil {
		t.Fatal(err)
	}
	confirmB, keyB, err := b.Confirm(confirmA)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "B's confirmation", confirmB, v["confirmB"])
	equal(t, "B's Ke", keyB, v["Ke"])
	keyA, err := a.Confirm(confirmB)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "A's Ke", keyA, v["Ke"])
}

// exchange runs both sides to the end and returns what each gets.
func exchange(t failer, pwA, pwB []byte, partiesA, partiesB Parties) (keyA, keyB []byte, err error) {
	a, err := NewA(rand.Reader, pwA, partiesA)
	check(t, err)
	b, err := NewB(rand.Reader, pwB, partiesB)
	check(t, err)
	check(t, b.Finish(a.Share()))
	confirmA, err := a.Finish(b.Share())
	check(t, err)
	confirmB, keyB, err := b.Confirm(confirmA)
	if err != nil {
		return nil, nil, err
	}
	keyA, err = a.Confirm(confirmB)
	return keyA, keyB, err
}

func TestSamePasswordSameKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.Byte(), 0, 40)
		pw, p := text.Draw(t, "password"), Parties{text.Draw(t, "A"), text.Draw(t, "B"), text.Draw(t, "AAD")}
		keyA, keyB, err := exchange(t, pw, pw, p, p)
		if err != nil || len(keyA) != KeyLen || !bytes.Equal(keyA, keyB) {
			t.Fatalf("keys %x and %x, %v", keyA, keyB, err)
		}
	})
}

// Any difference, in the password or in what both sides must agree on, ends at
// B's check of A's confirmation, before B has said anything checkable.
func TestAnyDifferenceFailsAtB(t *testing.T) {
	same := Parties{A: []byte("assistant"), B: []byte("device"), AAD: []byte("claim 1")}
	for name, c := range map[string]struct {
		pw string
		p  Parties
	}{
		"password":        {"3163", same},
		"empty password":  {"", same},
		"identity of A":   {"3162", Parties{[]byte("assistan"), same.B, same.AAD}},
		"identity of B":   {"3162", Parties{same.A, []byte("another"), same.AAD}},
		"associated data": {"3162", Parties{same.A, same.B, []byte("claim 2")}},
		"border shifted":  {"3162", Parties{[]byte("assistantd"), []byte("evice"), same.AAD}},
		"swapped":         {"3162", Parties{same.B, same.A, same.AAD}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := exchange(t, []byte("3162"), []byte(c.pw), same, c.p); !errors.Is(err, ErrConfirm) {
				t.Errorf("err = %v, want ErrConfirm", err)
			}
		})
	}
}

// The associated data goes into the confirmation keys as RFC 9382 §4 has it,
// also when the password scalar is the same.
func TestAADAloneChangesTheConfirmations(t *testing.T) {
	w, x, y := scalarOf(7), scalarOf(11), scalarOf(13)
	with := func(aad string) []byte {
		a, err := beginWith(w, x, Parties{AAD: []byte(aad)}, roleA())
		check(t, err)
		b, err := beginWith(w, y, Parties{AAD: []byte(aad)}, roleB())
		check(t, err)
		check(t, a.finish(b.share))
		return a.mine
	}
	if bytes.Equal(with("claim 1"), with("claim 2")) {
		t.Error("the confirmation does not depend on the associated data")
	}
}

func TestSharesThatAreRefused(t *testing.T) {
	good := newA(t).Share()
	other := func(change func([]byte)) []byte {
		s := bytes.Clone(good)
		change(s)
		return s
	}
	point, err := nistec.NewP256Point().SetBytes(good)
	check(t, err)
	for name, share := range map[string][]byte{
		"nothing":          nil,
		"infinity":         {0},
		"infinity, padded": make([]byte, ShareLen),
		"compressed":       point.BytesCompressed(),
		"hybrid":           other(func(s []byte) { s[0] = 6 }),
		"unknown form":     other(func(s []byte) { s[0] = 5 }),
		"not on the curve": other(func(s []byte) { s[64] ^= 1 }),
		"coordinate too large": other(func(s []byte) {
			for i := 1; i < 33; i++ {
				s[i] = 0xff
			}
		}),
		"too short": good[:64],
		"too long":  append(bytes.Clone(good), 0),
	} {
		t.Run(name, func(t *testing.T) {
			if err := newB(t).Finish(share); !errors.Is(err, ErrShare) {
				t.Errorf("B: %v, want ErrShare", err)
			}
			if _, err := newA(t).Finish(share); !errors.Is(err, ErrShare) {
				t.Errorf("A: %v, want ErrShare", err)
			}
		})
	}
}

// A share that is the other side's blinding alone would make the common element
// the point at infinity, the same for everyone.
func TestShareThatCancelsTheBlinding(t *testing.T) {
	w := scalarOf(7)
	b, err := beginWith(w, scalarOf(11), Parties{}, roleB())
	check(t, err)
	m := elementM()
	blinding, err := multiply(m[:], w)
	check(t, err)
	if err := b.finish(blinding.Bytes()); !errors.Is(err, ErrShare) {
		t.Errorf("err = %v, want ErrShare", err)
	}
}

// One run is one guess: every step works once and in its order.
func TestStepsOnlyOnceAndInOrder(t *testing.T) {
	a, b := newA(t), newB(t)
	if _, _, err := b.Confirm(make([]byte, ConfirmLen)); !errors.Is(err, ErrOrder) {
		t.Errorf("Confirm before Finish: %v", err)
	}
	if _, err := a.Confirm(make([]byte, ConfirmLen)); !errors.Is(err, ErrOrder) {
		t.Errorf("Confirm before Finish: %v", err)
	}
	check(t, b.Finish(a.Share()))
	if err := b.Finish(a.Share()); !errors.Is(err, ErrOrder) {
		t.Errorf("second Finish: %v", err)
	}
	b = newB(t)
	check(t, b.Finish(a.Share()))
	confirmA, err := a.Finish(b.Share())
	check(t, err)
	wrong := bytes.Clone(confirmA)
	wrong[31] ^= 1
	if _, key, err := b.Confirm(wrong); !errors.Is(err, ErrConfirm) || key != nil {
		t.Errorf("wrong confirmation: key %x, %v", key, err)
	}
	if reply, key, err := b.Confirm(confirmA); !errors.Is(err, ErrOrder) || reply != nil || key != nil {
		t.Errorf("a second guess in one run: %x %x %v", reply, key, err)
	}
	b = newB(t)
	if err := b.Finish([]byte("no point")); !errors.Is(err, ErrShare) {
		t.Errorf("bad share: %v", err)
	}
	if err := b.Finish(a.Share()); !errors.Is(err, ErrOrder) {
		t.Errorf("second share in one run: %v", err)
	}
}

func TestConfirmationsOfOtherLengthsAreRefused(t *testing.T) {
	for _, n := range []int{0, 1, 31, 33, 1000} {
		a, b := newA(t), newB(t)
		check(t, b.Finish(a.Share()))
		if _, _, err := b.Confirm(make([]byte, n)); !errors.Is(err, ErrConfirm) {
			t.Errorf("%d bytes: %v, want ErrConfirm", n, err)
		}
	}
}

// A reflected confirmation must not be accepted: the two keys differ.
func TestOwnConfirmationIsNotTheOthers(t *testing.T) {
	a, b := newA(t), newB(t)
	check(t, b.Finish(a.Share()))
	confirmA, err := a.Finish(b.Share())
	check(t, err)
	if _, err := a.Confirm(confirmA); !errors.Is(err, ErrConfirm) {
		t.Errorf("err = %v, want ErrConfirm", err)
	}
}

func TestScalarRange(t *testing.T) {
	order, _ := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
	near := func(d int64) [scalarLen]byte {
		var s [scalarLen]byte
		new(big.Int).Add(order, big.NewInt(d)).FillBytes(s[:])
		return s
	}
	for _, c := range []struct {
		name string
		s    [scalarLen]byte
		want bool
	}{
		{"zero", scalarOf(0), false},
		{"one", scalarOf(1), true},
		{"order - 1", near(-1), true},
		{"order", near(0), false},
		{"order + 1", near(1), false},
		{"all ones", [scalarLen]byte(bytes.Repeat([]byte{0xff}, scalarLen)), false},
	} {
		if got := isScalar(c.s); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := [scalarLen]byte(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0xbc, 0xfe, 0xff}), scalarLen, scalarLen).Draw(t, "s"))
		n := new(big.Int).SetBytes(s[:])
		if want := n.Sign() > 0 && n.Cmp(order) < 0; isScalar(s) != want {
			t.Fatalf("%x: %v, want %v", s, !want, want)
		}
	})
}

func TestRandomnessMustCome(t *testing.T) {
	if a, err := NewA(bytes.NewReader(make([]byte, 31)), nil, Parties{}); err == nil || a != nil {
		t.Error("a run without randomness")
	}
	if b, err := NewB(zeros{}, nil, Parties{}); err == nil || b != nil {
		t.Error("a run with a source that gives only zeros")
	}
}

func TestFreshSharesEveryRun(t *testing.T) {
	if bytes.Equal(newA(t).Share(), newA(t).Share()) {
		t.Error("two runs with the same share")
	}
}

func TestPrintsNothing(t *testing.T) {
	a, b := newA(t), newB(t)
	for _, s := range []string{fmt.Sprint(a), fmt.Sprintf("%+v %#v", a, b), fmt.Sprintf("%x", *b)} {
		if bytes.Contains([]byte(s), []byte("{")) || len(s) > 40 {
			t.Errorf("prints %q", s)
		}
	}
}

// FuzzFinish: no share makes either side panic, or accept what is not a point.
func FuzzFinish(f *testing.F) {
	f.Add([]byte{}, []byte{})
	a, err := NewA(rand.Reader, []byte("1111"), Parties{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(a.Share(), make([]byte, ConfirmLen))
	f.Fuzz(func(t *testing.T, share, confirm []byte) {
		_, curveErr := ecdh.P256().NewPublicKey(share)
		b := newB(t)
		if err := b.Finish(share); (err == nil) != (curveErr == nil) {
			t.Fatalf("Finish: %v, crypto/ecdh: %v", err, curveErr)
		}
		if _, key, err := b.Confirm(confirm); err == nil || key != nil {
			t.Fatal("a key without the password")
		}
	})
}

func BenchmarkTry(b *testing.B) {
	a, err := NewA(rand.Reader, []byte("3162"), Parties{})
	check(b, err)
	share := a.Share()
	for b.Loop() {
		side, err := NewB(rand.Reader, []byte("3162"), Parties{})
		check(b, err)
		check(b, side.Finish(share))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type failer interface {
	Helper()
	Fatal(...any)
}

func check(t failer, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newA(t failer) *A {
	t.Helper()
	a, err := NewA(rand.Reader, []byte("3162"), Parties{})
	check(t, err)
	return a
}

func newB(t failer) *B {
	t.Helper()
	b, err := NewB(rand.Reader, []byte("3162"), Parties{})
	check(t, err)
	return b
}

func scalarOf(n byte) [scalarLen]byte { return [scalarLen]byte{scalarLen - 1: n} }

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	check(t, err)
	return b
}

func equal(t *testing.T, name string, got []byte, want string) {
	t.Helper()
	if hex.EncodeToString(got) != want {
		t.Errorf("%s = %x, want %s", name, got, want)
	}
}
