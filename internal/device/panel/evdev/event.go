//go:build linux

package evdev

import (
	"encoding/binary"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Event types and codes (input-event-codes.h).
const (
	evSyn = 0x00
	evKey = 0x01
	evSnd = 0x12

	synReport  = 0
	synDropped = 3

	sndTone = 2
	sndMax  = 7
)

// event is the kernel's struct input_event.
type event struct {
	At         time.Duration
	Type, Code uint16
	Value      int32
}

// eventSize is 24 bytes on 64-bit machines and 16 on 32-bit ones, where the
// kernel keeps the time in two longs.
const (
	longSize  = int(unsafe.Sizeof(uintptr(0)))
	eventSize = 2*longSize + 8
)

// The kernel's layout and x/sys/unix's idea of it must agree.
var _ = [1]struct{}{}[unsafe.Sizeof(unix.Timeval{})-uintptr(2*longSize)]

// decode reads one event; b has eventSize bytes.
func decode(b []byte) event {
	sec, usec := long(b), long(b[longSize:])
	b = b[2*longSize:]
	return event{
		At:    time.Duration(sec)*time.Second + time.Duration(usec)*time.Microsecond,
		Type:  binary.NativeEndian.Uint16(b),
		Code:  binary.NativeEndian.Uint16(b[2:]),
		Value: int32(binary.NativeEndian.Uint32(b[4:])),
	}
}

// appendEvent writes one event. Its time is zero: the kernel sets its own.
func appendEvent(b []byte, typ, code uint16, value int32) []byte {
	b = append(b, make([]byte, 2*longSize)...)
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, code)
	return binary.NativeEndian.AppendUint32(b, uint32(value))
}

// long reads a C unsigned long.
func long(b []byte) uint64 {
	if longSize == 4 {
		return uint64(binary.NativeEndian.Uint32(b))
	}
	return binary.NativeEndian.Uint64(b)
}
