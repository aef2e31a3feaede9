package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

type document struct {
	Name  string           `json:"name"`
	Count int              `json:"count"`
	List  []document       `json:"list,omitempty"`
	Map   map[string]*int  `json:"map,omitempty"`
	Raw   *json.RawMessage `json:"raw,omitempty"`
}

func TestDecodeRefuses(t *testing.T) {
	deep := func(n int) string {
		return `{"raw":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"one object", `{"name":"a","count":1}`, nil},
		{"white space around it", " \n{\"name\":\"a\"}\r\n\t ", nil},
		{"empty object", `{}`, nil},
		{"same name in different objects", `{"name":"a","list":[{"name":"a"},{"name":"a"}]}`, nil},
		{"as deep as allowed", deep(MaxDepth - 1), nil},
		{"too deep", deep(MaxDepth), ErrDepth},
		{"nothing", ``, ErrSyntax},
		{"white space only", " \n", ErrSyntax},
		{"null is no object", `null`, ErrSyntax},
		{"array", `[]`, ErrSyntax},
		{"string", `"name"`, ErrSyntax},
		{"cut off", `{"name":"a"`, ErrSyntax},
		{"cut off in a value", `{"name":`, ErrSyntax},
		{"a name that is no string", `{1:2}`, ErrSyntax},
		{"two objects", `{"name":"a"}{"name":"b"}`, ErrSyntax},
		{"rubbish after it", `{"name":"a"} x`, ErrSyntax},
		{"a bracket after it", `{"name":"a"}]`, ErrSyntax},
		{"invalid UTF-8", "{\"name\":\"\xff\"}", ErrSyntax},
		{"unknown field", `{"name":"a","admin":true}`, ErrUnknown},
		{"unknown field inside", `{"list":[{"admin":true}]}`, ErrUnknown},
		{"twice", `{"name":"a","name":"b"}`, ErrTwice},
		{"twice inside", `{"list":[{"name":"a","name":"a"}]}`, ErrTwice},
		{"twice after an object", `{"map":{"a":1},"map":{}}`, ErrTwice},
		{"wrong type", `{"count":"secret"}`, ErrType},
		{"number too large", `{"count":99999999999999999999}`, ErrType},
		{"too large", `{"name":"` + strings.Repeat("a", 1000) + `"}`, ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			var v document
			if err := Decode(strings.NewReader(c.in), 1000, &v); !errors.Is(err, c.want) {
				t.Errorf("Decode(%.60q) = %v, want %v", c.in, err, c.want)
			}
		})
	}
}

func TestDecodeReadsNoMoreThanTheBound(t *testing.T) {
	r := &counting{r: strings.NewReader(strings.Repeat(" ", 1<<20))}
	var v document
	if err := Decode(r, 100, &v); !errors.Is(err, ErrTooLarge) {
		t.Errorf("err = %v, want ErrTooLarge", err)
	}
	if r.n > 101 {
		t.Errorf("read %d bytes of an endless body, want at most 101", r.n)
	}
}

func TestDecodePassesOnAReadError(t *testing.T) {
	var v document
	if err := Decode(iotest.ErrReader(io.ErrClosedPipe), 100, &v); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("err = %v, want io.ErrClosedPipe", err)
	}
}

// A value that was sent, a password perhaps, is not repeated by an error that
// may end in a log.
func TestErrorsDoNotRepeatValues(t *testing.T) {
	for _, in := range []string{
		`{"count":"hunter2"}`, `{"count":hunter2}`, `{"name":"hunter2"`, `{"list":"hunter2"}`,
		`{"hunter2":1}`, `{"name":"hunter2","name":"hunter2"}`, `{"map":{"a":"hunter2"}}`, `{"map":{"hunter2":"a"}}`,
	} {
		var v document
		err := Unmarshal([]byte(in), &v)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Unmarshal(%s) = %v, want an error without the value", in, err)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, s := range []string{`{}`, `{"name":"a","count":1,"list":[{"map":{"b":2}}]}`, `{"raw":[[[]]]}`, `{"name":"a","name":"b"}`, `[`, `{"":{}}`, "{}\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var v document
		if err := Unmarshal(in, &v); err != nil {
			return
		}
		if !json.Valid(in) {
			t.Fatalf("accepted what is not JSON: %q", in)
		}
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var again document
		if err := Unmarshal(out, &again); err != nil {
			t.Fatalf("own output %s: %v", out, err)
		}
		if second, err := json.Marshal(again); err != nil || !bytes.Equal(out, second) {
			t.Fatalf("%s became %s, %v", out, second, err)
		}
	})
}

type counting struct {
	r io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}
