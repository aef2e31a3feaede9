package corewire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

// A front that was taken over may say anything at all. It gets nothing for it:
// what is not of the protocol reaches no method of core's and ends the
// connection with a reason.

// script is a connection on which front says all of in and then closes.
type script struct {
	in  io.Reader
	out bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *script) Close() error                     { return nil }
func (s *script) LocalAddr() net.Addr              { return nil }
func (s *script) RemoteAddr() net.Addr             { return nil }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

func frame(text string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
}

func frames(texts ...string) []byte {
	var b []byte
	for _, t := range texts {
		b = append(b, frame(t)...)
	}
	return b
}

const helloText = `{"id":1,"kind":"hello","body":{"version":1}}`

func TestLyingFrontGetsNothing(t *testing.T) {
	after := func(text string) []byte { return frames(helloText, text) }
	for name, in := range map[string][]byte{
		"no hello":                  frames(`{"id":1,"kind":"read","body":{"what":"device"}}`),
		"hello of another version":  frames(`{"id":1,"kind":"hello","body":{"version":2}}`),
		"hello with more":           frames(`{"id":1,"kind":"hello","body":{"version":1,"root":true}}`),
		"hello without body":        frames(`{"id":1,"kind":"hello"}`),
		"hello again":               after(helloText),
		"empty frame":               after(""),
		"not JSON":                  after("hello"),
		"null":                      after("null"),
		"two documents":             after(`{"id":2,"kind":"read","body":{"what":"device"}}{}`),
		"unknown field":             after(`{"id":2,"kind":"read","body":{"what":"device"},"as":"root"}`),
		"unknown kind":              after(`{"id":2,"kind":"reset","body":{}}`),
		"a kind of core's":          after(`{"id":2,"kind":"result","body":{}}`),
		"no id":                     after(`{"kind":"read","body":{"what":"device"}}`),
		"id zero":                   after(`{"id":0,"kind":"read","body":{"what":"device"}}`),
		"negative id":               after(`{"id":-1,"kind":"read","body":{"what":"device"}}`),
		"no body":                   after(`{"id":2,"kind":"read"}`),
		"body of another type":      after(`{"id":2,"kind":"read","body":["device"]}`),
		"unknown field in the body": after(`{"id":2,"kind":"certify","body":{"leaf_public_key":"","identity":""}}`),
		"field twice":               after(`{"id":2,"kind":"read","body":{"what":"device","what":"status"}}`),
		"address that is none":      after(`{"id":2,"kind":"claim_session","body":{"source":"here","leaf_spki":""}}`),
		"base64 that is none":       after(`{"id":2,"kind":"certify","body":{"leaf_public_key":"***"}}`),
		"hidden password":           after(`{"id":2,"kind":"sign_in","body":{"source":"","body":{"user":"a","password":"[redacted]"}}}`),
		"sign-in with more":         after(`{"id":2,"kind":"sign_in","body":{"source":"","body":{"user":"a","password":"b","admin":true}}}`),
		"too deep":                  after(`{"id":2,"kind":"read","body":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`),
		"length beyond the bound":   append(frame(helloText), binary.BigEndian.AppendUint32(nil, MaxFrame+1)...),
		"longest length":            append(frame(helloText), 0xff, 0xff, 0xff, 0xff),
	} {
		t.Run(name, func(t *testing.T) {
			core := &fakeCore{}
			conn := &script{in: bytes.NewReader(in)}
			err := Serve(t.Context(), conn, core)
			if _, ok := errors.AsType[*ProtocolError](err); !ok {
				t.Errorf("Serve = %v, want a *ProtocolError", err)
			}
			if calls := core.seen(); len(calls) != 0 {
				t.Errorf("reached core: %+v", calls)
			}
			if p := lastMessage(t, conn.out.Bytes()); p.Kind != kindClose || !strings.Contains(string(p.Body), "bad_message") {
				t.Errorf("core's last word is %v, want close with a reason", p)
			}
		})
	}
}

func TestAFrontThatEndsInsideAFrame(t *testing.T) {
	for name, in := range map[string][]byte{
		"in the length": append(frame(helloText), 0, 0),
		"in the frame":  append(frame(helloText), 0, 0, 0, 9, '{'),
		"in hello":      frame(helloText)[:20],
	} {
		core := &fakeCore{}
		if err := Serve(t.Context(), &script{in: bytes.NewReader(in)}, core); !errors.Is(err, io.ErrUnexpectedEOF) || len(core.seen()) != 0 {
			t.Errorf("%s: %v and %d calls, want io.ErrUnexpectedEOF and none", name, err, len(core.seen()))
		}
	}
}

func TestTheSameIDTwiceAtOnce(t *testing.T) {
	core := &fakeCore{hold: make(chan struct{})}
	read := `{"id":7,"kind":"read","body":{"what":"device"}}`
	err := Serve(t.Context(), &script{in: bytes.NewReader(frames(helloText, read, read))}, core)
	if _, ok := errors.AsType[*ProtocolError](err); !ok {
		t.Errorf("Serve = %v, want a *ProtocolError", err)
	}
	if n := len(core.seen()); n > 1 {
		t.Errorf("%d calls under one id", n)
	}
}

// A length is believed only within the bound: nothing is read or allocated for
// a larger one.
func TestNothingIsReadForALengthBeyondTheBound(t *testing.T) {
	r := bytes.NewReader(append([]byte{0xff, 0xff, 0xff, 0xff}, make([]byte, 1000)...))
	const times = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		_, _ = r.Seek(0, io.SeekStart)
		if _, err := readMessage(r); err == nil {
			t.Fatal("accepted")
		}
	}
	runtime.ReadMemStats(&after)
	if r.Len() != 1000 {
		t.Errorf("read %d bytes behind the length", 1000-r.Len())
	}
	if each := (after.TotalAlloc - before.TotalAlloc) / times; each > MaxFrame/8 {
		t.Errorf("%d bytes allocated for a frame that is refused", each)
	}
}

// A lying core cannot harm front either.
func TestLyingCore(t *testing.T) {
	greeting := `{"id":1,"kind":"result","body":{"version":1}}`
	for name, in := range map[string][]byte{
		"another version":      frames(`{"id":1,"kind":"result","body":{"version":9}}`),
		"closes at once":       nil,
		"not JSON":             frames(greeting, "x"),
		"a kind of front's":    frames(greeting, `{"id":1,"kind":"read","body":{}}`),
		"state with more":      frames(greeting, `{"kind":"state","body":{"users":[]}}`),
		"closes with a reason": frames(greeting, `{"kind":"close","body":{"id":"bad_message","text":"t","exit":1}}`),
		"close without one":    frames(greeting, `{"kind":"close","body":{}}`),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Dial(t.Context(), &script{in: bytes.NewReader(in)})
			if err != nil {
				return
			}
			<-c.Done()
			if c.Err() == nil {
				t.Error("the connection ended without a reason")
			}
		})
	}
}

func TestFrontLearnsWhyItWasCutOff(t *testing.T) {
	front, back := net.Pipe()
	go func() { _ = Serve(t.Context(), back, &fakeCore{}) }()
	c, err := Dial(t.Context(), front)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.call(t.Context(), "reset", struct{}{}, nil); err == nil {
		t.Fatal("core took a kind that is none")
	}
	if p, ok := errors.AsType[catalog.Problem](c.Err()); !ok || p.ID != "bad_message" {
		t.Errorf("Err = %v, want the problem bad_message", c.Err())
	}
}

// lastMessage is the last whole frame.
func lastMessage(t *testing.T, out []byte) message {
	t.Helper()
	var last message
	for r := bytes.NewReader(out); r.Len() > 0; {
		m, err := readMessage(r)
		if err != nil {
			t.Fatalf("core wrote what is no message: %v", err)
		}
		last = m
	}
	return last
}

// FuzzServe: whatever front says, core does not panic or hang, does not call
// what was not asked for, and answers in whole messages.
func FuzzServe(f *testing.F) {
	f.Add(frames(helloText))
	for _, k := range Requests() {
		f.Add(frames(helloText, `{"id":2,"kind":"`+string(k)+`","body":{}}`))
	}
	f.Add(frames(helloText, `{"id":2,"kind":"sign_in","body":{"source":"::1","body":{"user":"a","password":"b"}}}`))
	f.Add(frames(helloText, `{"id":2,"kind":"claim_pake","body":{"source":"10.0.0.2","body":{"session":"s","share":"AA=="}}}`))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		core := &fakeCore{read: struct{}{}}
		conn := &script{in: bytes.NewReader(in)}
		err := Serve(context.Background(), conn, core)
		lastMessage(t, conn.out.Bytes())
		if !bytes.HasPrefix(in, []byte{0}) && len(core.seen()) > 0 {
			t.Fatal("a call without a hello")
		}
		if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
			return
		}
		if _, ok := errors.AsType[*ProtocolError](err); !ok {
			t.Fatalf("Serve = %v, want nil or a *ProtocolError", err)
		}
	})
}

// FuzzMessages: the same beyond the framing, where random bytes seldom get.
func FuzzMessages(f *testing.F) {
	f.Add("read", `{"what":"device"}`)
	f.Add("sign_in", `{"source":"","body":{"user":"a","password":"b"}}`)
	f.Add("claim_sealed", `{"source":"fe80::1%0","body":{"session":"","box":"AAAA"}}`)
	f.Fuzz(func(t *testing.T, kind, body string) {
		text := `{"id":2,"kind":"` + kind + `","body":` + body + `}`
		if len(text) > MaxFrame {
			return
		}
		core := &fakeCore{read: struct{}{}}
		conn := &script{in: bytes.NewReader(frames(helloText, text))}
		err := Serve(context.Background(), conn, core)
		if _, broken := errors.AsType[*ProtocolError](err); broken != (len(core.seen()) == 0) {
			t.Fatalf("%s: Serve = %v and %d calls: want either", text, err, len(core.seen()))
		}
		lastMessage(t, conn.out.Bytes())
	})
}
