//go:build linux

package evdev

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// node is an open event device: a file whose reads obey deadlines. Its
// descriptor is only ever used inside SyscallConn().Control, because
// os.File.Fd would make it blocking, and then nothing could end a read.
type node struct {
	*os.File
	restore []keycode // what Close puts back
}

// keycode is one entry of a device's key map (EVIOCGKEYCODE's argument).
type keycode struct{ scan, key uint32 }

func openNode(path string, flag int) (*node, error) {
	f, err := os.OpenFile(path, flag|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &node{File: f}, nil
}

// Close puts the key map back and closes the device, which ends the grab.
func (n *node) Close() error {
	var errs []error
	for _, old := range n.restore {
		if err := n.ioctl(eviocskeycode, unsafe.Pointer(&old)); err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, fmt.Errorf("%s: put scan code %#x back: %w", n.Name(), old.scan, err))
		}
	}
	n.restore = nil
	return errors.Join(append(errs, n.File.Close())...)
}

// ioctl request numbers as asm-generic encodes them (x86, arm, RISC-V).
const (
	iocWrite = 1 << 30
	iocRead  = 2 << 30
	ioc      = 'E' << 8

	eviocgrab     = iocWrite | 4<<16 | ioc | 0x90
	eviocsclockid = iocWrite | 4<<16 | ioc | 0xa0
	eviocgkeycode = iocRead | 8<<16 | ioc | 0x04
	eviocskeycode = iocWrite | 8<<16 | ioc | 0x04
	eviocgname    = iocRead | nameSize<<16 | ioc | 0x06
	eviocgkey     = iocRead | keyBytes<<16 | ioc | 0x18
	eviocgbitKey  = iocRead | keyBytes<<16 | ioc | (0x20 + evKey)
	eviocgbitSnd  = iocRead | sndBytes<<16 | ioc | (0x20 + evSnd)

	nameSize = 256
	keyBytes = (keyMax + 1) / 8
	sndBytes = 8 // SND_MAX+1 bits in longs
)

// ioctl passes arg by reference.
func (n *node) ioctl(request uintptr, arg unsafe.Pointer) error {
	return n.control(func(fd uintptr) unix.Errno {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(arg))
		return errno
	})
}

func (n *node) control(f func(fd uintptr) unix.Errno) error {
	conn, err := n.SyscallConn()
	if err != nil {
		return err
	}
	var errno unix.Errno
	if err := conn.Control(func(fd uintptr) { errno = f(fd) }); err != nil {
		return err
	}
	if errno != 0 {
		return errno
	}
	return nil
}

// grab takes the device for us alone; EBUSY when another program has it.
func (n *node) grab() error {
	return n.control(func(fd uintptr) unix.Errno {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, eviocgrab, 1)
		return errno
	})
}

// stampMonotonic makes the kernel stamp events by CLOCK_MONOTONIC, which no
// clock setting moves.
func (n *node) stampMonotonic() error {
	id := int32(unix.CLOCK_MONOTONIC)
	return n.ioctl(eviocsclockid, unsafe.Pointer(&id))
}

// remap makes a scan code report key until Close.
func (n *node) remap(scan uint32, key uint16) error {
	old := keycode{scan: scan}
	if err := n.ioctl(eviocgkeycode, unsafe.Pointer(&old)); err != nil {
		return err
	}
	if old.key == uint32(key) {
		return nil
	}
	if err := n.ioctl(eviocskeycode, unsafe.Pointer(&keycode{scan: scan, key: uint32(key)})); err != nil {
		return err
	}
	n.restore = append(n.restore, old)
	return nil
}

// name is what the device calls itself. It comes from the hardware: quote it.
func (n *node) name() string {
	var b [nameSize]byte
	if n.ioctl(eviocgname, unsafe.Pointer(&b)) != nil {
		return ""
	}
	return unix.ByteSliceToString(b[:])
}

// Down tells whether the key is down now. Asking drops the key events that
// were queued before, so what is read afterwards follows on the answer.
func (n *node) Down(key uint16) (bool, error) {
	var state bits
	if err := n.ioctl(eviocgkey, unsafe.Pointer(&state)); err != nil {
		return false, fmt.Errorf("%s: ask for the key's state: %w", n.Name(), err)
	}
	return state.has(key), nil
}

// keys is which keys the device has; empty for one without keys.
func (n *node) keys() (bits, error) {
	var has bits
	err := n.ioctl(eviocgbitKey, unsafe.Pointer(&has))
	return has, err
}

// beeps tells whether the device makes tones.
func (n *node) beeps() (bool, error) {
	var has bits
	err := n.ioctl(eviocgbitSnd, unsafe.Pointer(&has))
	return has.has(sndTone), err
}

// bits is the kernel's bit map of keys, an array of unsigned longs.
type bits [keyBytes / longSize]uintptr

const longBits = 8 * longSize

func (b *bits) has(i uint16) bool {
	return i <= keyMax && b[i/uint16(longBits)]>>(i%uint16(longBits))&1 == 1
}

func (b *bits) count() int {
	n := 0
	for i := range uint16(keyMax + 1) {
		if b.has(i) {
			n++
		}
	}
	return n
}
