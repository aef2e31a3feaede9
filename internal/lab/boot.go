package lab

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/x/clock"
)

// switchedOn is the file that says since when a virtual NAS is on. Commands that
// start the rack anew find it still running; to remove the file is to restart
// the NAS.
const switchedOn = "switched-on"

// labBoot is a virtual NAS's time since it was switched on, in real time: also
// between two commands that run the rack.
type labBoot struct {
	since time.Time
	later time.Duration // that was let pass besides, for what waits
}

var _ clock.Boot = labBoot{}

func (b labBoot) Up() (string, time.Duration, error) {
	return b.since.Format(time.RFC3339Nano), time.Since(b.since) + b.later, nil
}

// pass lets more time pass, also for the commands that come after.
func (b labBoot) pass(dir string, later time.Duration) (labBoot, error) {
	file := filepath.Join(dir, "later")
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		raw, err = []byte("0s"), nil
	}
	if err != nil {
		return b, err
	}
	before, err := time.ParseDuration(strings.TrimSpace(string(raw)))
	b.later = before + later
	if err != nil || later == 0 {
		return b, err
	}
	return b, os.WriteFile(file, []byte(b.later.String()+"\n"), 0o600)
}

// switchOn reads since when the NAS in dir is on, or switches it on.
func switchOn(dir string) (labBoot, error) {
	file := filepath.Join(dir, switchedOn)
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		b := labBoot{since: time.Now().UTC().Round(0)}
		return b, os.WriteFile(file, []byte(b.since.Format(time.RFC3339Nano)+"\n"), 0o600)
	}
	if err != nil {
		return labBoot{}, err
	}
	since, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(string(raw)))
	return labBoot{since: since}, err
}
