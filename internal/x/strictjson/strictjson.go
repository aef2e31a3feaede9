// Package strictjson reads JSON that somebody else wrote: one object, nothing
// after it, no field that the reader does not know, no name given twice, no
// deeper than 32 and no larger than the caller allows.
//
// It never reads more than the bound, and its errors never repeat a value that
// was sent, since the value may be a password.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// MaxDepth is how many objects and arrays may stand inside each other.
const MaxDepth = 32

// Why a document is refused. Every error that Decode returns for what was read
// is one of these; an error of the reader itself is passed on.
var (
	ErrTooLarge = errors.New("larger than allowed")
	ErrSyntax   = errors.New("not one JSON object in valid UTF-8")
	ErrDepth    = errors.New("nested too deeply")
	ErrTwice    = errors.New("the same field twice")
	ErrUnknown  = errors.New("a field that is not known here")
	ErrType     = errors.New("a field with a value of the wrong type")
)

// Decode reads r to its end, at most max bytes, and stores the object in v.
// On an error v may hold part of the document and must not be used.
func Decode(r io.Reader, max int, v any) error {
	data, err := io.ReadAll(io.LimitReader(r, int64(max)+1))
	if err != nil {
		return err
	}
	if len(data) > max {
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, max)
	}
	return Unmarshal(data, v)
}

// Unmarshal is Decode for bytes whose size the caller has already bounded.
func Unmarshal(data []byte, v any) error {
	if err := check(data); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return reason(err)
	}
	return nil
}

// check walks the tokens, for what encoding/json lets pass.
func check(data []byte) error {
	if !utf8.Valid(data) {
		return ErrSyntax
	}
	if t := bytes.TrimLeft(data, " \t\r\n"); len(t) == 0 || t[0] != '{' {
		return ErrSyntax
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := walk(d); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return ErrSyntax // something follows the object
	}
	return nil
}

// level is one open object or array.
type level struct {
	seen map[string]bool // nil in an array
	key  bool            // the next string is a name
}

// walk reads the first value of d.
func walk(d *json.Decoder) error {
	var open []*level
	for {
		t, err := d.Token()
		if err != nil {
			return ErrSyntax
		}
		if top := len(open) - 1; top >= 0 && open[top].seen != nil && t != json.Delim('}') {
			if open[top].key {
				name, ok := t.(string)
				if !ok {
					return ErrSyntax
				}
				if open[top].seen[name] {
					return ErrTwice
				}
				open[top].seen[name] = true
				open[top].key = false
				continue
			}
			open[top].key = true // t is, or opens, the value of a name
		}
		switch t {
		case json.Delim('{'):
			open = append(open, &level{seen: map[string]bool{}, key: true})
		case json.Delim('['):
			open = append(open, &level{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
		if len(open) > MaxDepth {
			return ErrDepth
		}
		if len(open) == 0 {
			return nil
		}
	}
}

// reason replaces encoding/json's errors, some of which quote the document.
func reason(err error) error {
	var wrong *json.UnmarshalTypeError
	for _, ours := range []error{ErrSyntax, ErrDepth, ErrTwice, ErrUnknown, ErrType} {
		if errors.Is(err, ours) {
			return err // of a field that is decoded strictly by itself
		}
	}
	switch {
	case errors.As(err, &wrong):
		return fmt.Errorf("%w: %s", ErrType, wrong.Field)
	case strings.HasPrefix(err.Error(), "json: unknown field"):
		return ErrUnknown // encoding/json has no type for it
	default:
		return ErrType // the error of a field's own UnmarshalJSON
	}
}
