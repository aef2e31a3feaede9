//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// event is the kernel's struct input_event.
type event struct {
	Time       unix.Timeval
	Type, Code uint16
	Value      int32
}

const (
	evSyn    = 0x00
	evKey    = 0x01
	evSnd    = 0x12
	sndTone  = 0x02
	decimal  = 10
	bitsArgs = 32
)

// beep DEVICE HZ ON-MS OFF-MS COUNT sounds the speaker as the daemon would.
func beep(args []string) error {
	if len(args) != 5 {
		return errors.New("usage: guest beep DEVICE HZ ON-MS OFF-MS COUNT")
	}
	var n [4]int64
	for i := range n {
		v, err := strconv.ParseInt(args[i+1], decimal, bitsArgs)
		if err != nil {
			return err
		}
		n[i] = v
	}
	f, err := os.OpenFile(args[0], os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for range n[3] {
		for _, half := range []struct{ hz, ms int64 }{{n[0], n[1]}, {0, n[2]}} {
			for _, e := range []event{{Type: evSnd, Code: sndTone, Value: int32(half.hz)}, {Type: evSyn}} {
				if err := binary.Write(f, binary.NativeEndian, e); err != nil {
					return err
				}
			}
			time.Sleep(time.Duration(half.ms) * time.Millisecond)
		}
	}
	return nil
}

// printKeys DEVICE CODE prints the next press and release of a key by the kernel's own timestamps, in
// microseconds, and ends.
func printKeys(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: guest keys DEVICE CODE")
	}
	code, err := strconv.ParseUint(args[1], decimal, 16)
	if err != nil {
		return err
	}
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Fprintln(os.Stderr, "ready")
	return readKeys(f, os.Stdout, uint16(code))
}

func readKeys(r io.Reader, w io.Writer, code uint16) error {
	var pressed int64
	for {
		var e event
		if err := binary.Read(r, binary.NativeEndian, &e); err != nil {
			return err
		}
		if e.Type != evKey || e.Code != code {
			continue
		}
		at := e.Time.Sec*1_000_000 + e.Time.Usec
		switch e.Value {
		case 1:
			pressed = at
		case 0:
			_, err := fmt.Fprintf(w, "%d\n", at-pressed)
			return err
		}
	}
}
