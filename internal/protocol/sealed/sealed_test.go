package sealed

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func ends(t interface {
	Helper()
	Fatal(...any)
},
) (assistant, device *Channel) {
	t.Helper()
	c := Context{Claim: "claim", Session: "session"}
	assistant, err := Assistant(key(), c)
	if err != nil {
		t.Fatal(err)
	}
	device, err = Device(key(), c)
	if err != nil {
		t.Fatal(err)
	}
	return assistant, device
}

func key() []byte { return []byte("0123456789abcdef") }

func seal(t *testing.T, c *Channel, plain string) []byte {
	t.Helper()
	box, err := c.Seal([]byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func TestRoundTripBothWays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		assistant, device := ends(t)
		for range rapid.IntRange(1, 20).Draw(t, "messages") {
			from, to := assistant, device
			if rapid.Bool().Draw(t, "from device") {
				from, to = device, assistant
			}
			plain := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "plain")
			box, err := from.Seal(plain)
			if err != nil || len(box) != len(plain)+Overhead {
				t.Fatalf("box of %d bytes, %v", len(box), err)
			}
			if got, err := to.Open(box); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("opened %q, %v, want %q", got, err, plain)
			}
		}
	})
}

// Whatever else than the very next box arrives is refused, and changes nothing:
// the next box still opens.
func TestAnythingButTheNextBoxIsRefused(t *testing.T) {
	for name, wrong := range map[string]func(assistant, device *Channel, first, second []byte) []byte{
		"replayed":              func(_, _ *Channel, first, _ []byte) []byte { return first },
		"left one out":          func(a, _ *Channel, _, _ []byte) []byte { return must(a.Seal([]byte("third"))) },
		"reflected":             func(_, d *Channel, _, _ []byte) []byte { return must(d.Seal([]byte("x"))) },
		"nothing":               func(_, _ *Channel, _, _ []byte) []byte { return nil },
		"cut off":               func(_, _ *Channel, _, second []byte) []byte { return second[:len(second)-1] },
		"longer":                func(_, _ *Channel, _, second []byte) []byte { return append(bytes.Clone(second), 0) },
		"far too long":          func(_, _ *Channel, _, _ []byte) []byte { return make([]byte, MaxPlain+Overhead+1) },
		"the count of the next": func(_, _ *Channel, first, second []byte) []byte { return append(bytes.Clone(second[:8]), first[8:]...) },
	} {
		t.Run(name, func(t *testing.T) {
			assistant, device := ends(t)
			first, second := seal(t, assistant, "first"), seal(t, assistant, "second")
			if _, err := device.Open(first); err != nil {
				t.Fatal(err)
			}
			if plain, err := device.Open(wrong(assistant, device, first, second)); !errors.Is(err, ErrOpen) || plain != nil {
				t.Errorf("opened %q, %v, want ErrOpen", plain, err)
			}
			if plain, err := device.Open(second); err != nil || string(plain) != "second" {
				t.Errorf("the right box after that: %q, %v", plain, err)
			}
		})
	}
}

func TestAnyChangedBitIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		assistant, device := ends(t)
		box, err := assistant.Seal(rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "plain"))
		if err != nil {
			t.Fatal(err)
		}
		bit := rapid.IntRange(0, 8*len(box)-1).Draw(t, "bit")
		box[bit/8] ^= 1 << (bit % 8)
		if _, err := device.Open(box); !errors.Is(err, ErrOpen) {
			t.Fatalf("bit %d changed: %v, want ErrOpen", bit, err)
		}
	})
}

func TestBoundToKeyClaimAndSession(t *testing.T) {
	for name, c := range map[string]struct {
		key []byte
		ctx Context
	}{
		"another key":     {[]byte("0123456789abcdeF"), Context{"claim", "session"}},
		"another claim":   {key(), Context{"claim2", "session"}},
		"another session": {key(), Context{"claim", "session2"}},
		"border shifted":  {key(), Context{"claims", "ession"}},
	} {
		t.Run(name, func(t *testing.T) {
			assistant, _ := ends(t)
			device, err := Device(c.key, c.ctx)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := device.Open(seal(t, assistant, "x")); !errors.Is(err, ErrOpen) {
				t.Errorf("err = %v, want ErrOpen", err)
			}
		})
	}
}

func TestSizes(t *testing.T) {
	assistant, device := ends(t)
	if _, err := assistant.Seal(make([]byte, MaxPlain+1)); !errors.Is(err, ErrSize) {
		t.Errorf("too long: %v, want ErrSize", err)
	}
	box, err := assistant.Seal(make([]byte, MaxPlain))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := device.Open(box); err != nil {
		t.Errorf("longest: %v", err)
	}
	if _, err := Device([]byte("short"), Context{}); err == nil {
		t.Error("a short key was taken")
	}
}

// The reply to a box that is sent again is the same, and nothing is done twice.
func TestResponderDoesNothingTwice(t *testing.T) {
	assistant, device := ends(t)
	r := NewResponder(device)
	calls := 0
	do := func(request []byte) []byte {
		calls++
		return fmt.Appendf(nil, "%s %d", request, calls)
	}
	box := seal(t, assistant, "commit")
	first, err := r.Answer(box, do)
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.Answer(bytes.Clone(box), do)
	if err != nil || !bytes.Equal(first, again) || calls != 1 {
		t.Fatalf("the same box again: %v, %d calls", err, calls)
	}
	if reply, err := assistant.Open(again); err != nil || string(reply) != "commit 1" {
		t.Fatalf("reply %q, %v", reply, err)
	}
	next := seal(t, assistant, "progress")
	if _, err := r.Answer(next, do); err != nil || calls != 2 {
		t.Fatalf("the next box: %v, %d calls", err, calls)
	}
	if _, err := r.Answer(box, do); !errors.Is(err, ErrOpen) || calls != 2 {
		t.Fatalf("an older box: %v, %d calls, want ErrOpen and 2", err, calls)
	}
}

func TestResponderWithAReplyThatIsTooLong(t *testing.T) {
	assistant, device := ends(t)
	r := NewResponder(device)
	long := func([]byte) []byte { return make([]byte, MaxPlain+1) }
	if _, err := r.Answer(seal(t, assistant, "x"), long); !errors.Is(err, ErrSize) {
		t.Errorf("err = %v, want ErrSize", err)
	}
}

func TestPrintsNoKey(t *testing.T) {
	assistant, _ := ends(t)
	if s := fmt.Sprintf("%+v", assistant); s != "[sealed channel]" {
		t.Errorf("prints %q", s)
	}
}

// FuzzOpen: nothing opens but what the other end sealed.
func FuzzOpen(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, Overhead))
	f.Fuzz(func(t *testing.T, box []byte) {
		_, device := ends(t)
		if plain, err := device.Open(box); err == nil {
			t.Fatalf("opened %q without the key", plain)
		}
	})
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// Each way has a key of its own: the counts, which are the nonces, are the same
// both ways, and a nonce that is used twice under one key gives both messages away.
func TestEachWayHasItsOwnKey(t *testing.T) {
	assistant, device := ends(t)
	plain := bytes.Repeat([]byte{0}, 64)
	there, back := must(assistant.Seal(plain)), must(device.Seal(plain))
	if bytes.Equal(there[8:8+len(plain)], back[8:8+len(plain)]) {
		t.Error("the same message is the same box both ways")
	}
}
