package corewire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

// message is what a frame holds. ID is that of the request, and 0 for state and
// close, which answer nothing.
type message struct {
	ID   uint64          `json:"id,omitempty"`
	Kind Kind            `json:"kind"`
	Body json.RawMessage `json:"body"`
}

// Format prints the kind alone: the body may hold a password.
func (m message) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "%s %d", m.Kind, m.ID) }

// A ProtocolError is why a connection was closed: the other side said something
// that is not of this protocol. Its text repeats nothing that was received.
type ProtocolError struct{ Reason string }

func (e *ProtocolError) Error() string { return "corewire: " + e.Reason }

func violation(reason string) error { return &ProtocolError{Reason: reason} }

// errUnsendable says that a message was not written at all.
var errUnsendable = errors.New("corewire: a message that cannot be sent")

// writeTimeout is how long the other side may take to read a frame: a front
// that does not read must not hold core up.
const writeTimeout = 10 * time.Second

// readMessage reads one frame: its length in four bytes, big-endian, and as
// many bytes of JSON. It allocates nothing before the length is known to be
// within MaxFrame. At the end between two frames the error is io.EOF, at one
// inside a frame io.ErrUnexpectedEOF.
func readMessage(r io.Reader) (message, error) {
	var m message
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return m, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n == 0 || n > MaxFrame {
		return m, violation(fmt.Sprintf("a frame of %d bytes: want 1 to %d", n, MaxFrame))
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(r, data); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return m, err
	}
	if err := strictjson.Unmarshal(data, &m); err != nil {
		return m, violation("a frame that is no message: " + err.Error())
	}
	return m, nil
}

// writer writes whole frames, one at a time.
type writer struct {
	mu   sync.Mutex
	conn net.Conn
}

func (w *writer) write(m message) error {
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnsendable, err)
	}
	if len(data) > MaxFrame {
		return fmt.Errorf("%w: %d bytes, more than %d", errUnsendable, len(data), MaxFrame)
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(data)), uint32(len(data)))
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err = w.conn.Write(append(frame, data...))
	return err
}

// send marshals the body and writes.
func (w *writer) send(id uint64, k Kind, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnsendable, err)
	}
	return w.write(message{ID: id, Kind: k, Body: data})
}
