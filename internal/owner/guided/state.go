package guided

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/domain/ways"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

const (
	stateVersion = 1
	stateFile    = "guided.json"
	maxState     = 1 << 20
)

// State is a guided rescue as it is written down before each step. It has no
// field for a password, a code or a session.
type State struct {
	Version int         `json:"version"`
	ID      string      `json:"id"`
	Step    rescue.Name `json:"step"` // the one that is under way
	Target  string      `json:"target"`

	First  discover.Device `json:"first"`
	Before discover.Device `json:"before"`
	Now    discover.Device `json:"now"`

	Evidence      triage.Evidence `json:"evidence"`
	Known         ways.Known      `json:"known"`
	Wanted        *nas.Settings   `json:"wanted,omitempty"` // what is to be put back
	WantedAt      time.Time       `json:"wanted_at"`
	Shares        []string        `json:"shares,omitempty"` // the names of before
	Missing       []string        `json:"missing,omitempty"`
	TooLong       bool            `json:"too_long,omitempty"`
	Create        bool            `json:"create,omitempty"`
	Way           ways.Way        `json:"way"`
	Presses       int             `json:"presses"`
	Pressed       bool            `json:"pressed,omitempty"`
	Administrator string          `json:"administrator"`
	Second        bool            `json:"second,omitempty"`
	Met           bool            `json:"met,omitempty"` // the witness has looked
	Result        rescue.Result   `json:"result"`
}

// Kept reports whether a rescue with that id is written down in dir, and is a
// guided one.
func Kept(fsys opfs.FS, dir, id string) bool {
	if !rescue.ValidID(id) {
		return false
	}
	_, err := fsys.Lstat(filepath.Join(dir, id, stateFile))
	return err == nil
}

// Label is the MACs of the NAS that a rescue in dir is about.
func Label(fsys opfs.FS, dir, id string) ([]string, error) {
	st, err := load(fsys, dir, id)
	return st.Before.MACs, err
}

// save writes down where it stands; without a folder nothing is written.
func (r *run) save(at rescue.Name) error {
	if r.cfg.FS == nil {
		return nil
	}
	res := r.res
	res.Problem = nil
	st := State{
		Version: stateVersion, ID: r.cfg.ID, Step: at, Target: r.req.Target, First: r.first, Before: r.before, Now: r.now, Evidence: r.evidence, Known: r.known,
		Wanted: r.wanted, Shares: r.shares, Missing: r.missing, TooLong: r.tooLong, Create: r.create, WantedAt: r.wantedAt, Pressed: r.pressed, Way: r.way, Presses: r.presses, Administrator: r.administrator,
		Second: r.second, Met: r.met, Result: res,
	}
	data, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Join(r.cfg.Dir, r.cfg.ID)
	if err := r.cfg.FS.MkdirAll("guided.mkdir", dir, 0o700); err != nil {
		return notKept(err)
	}
	if err := atomicfile.Replace(r.cfg.FS, "guided.state", filepath.Join(dir, stateFile), append(data, '\n'), atomicfile.Options{Mode: 0o600, Enforce: true}); err != nil {
		return notKept(err)
	}
	return nil
}

func notKept(err error) error { return catalog.New("rescue_not_kept", err).Because(err) }

func unusable(err error) error {
	return catalog.New("file_unusable", stateFile+" of this rescue").Because(err)
}

// load reads a state. One that is missing is the problem resume_unknown, one
// that cannot be read file_unusable.
func load(fsys opfs.FS, dir, id string) (State, error) {
	var st State
	if !rescue.ValidID(id) {
		return st, catalog.New("resume_unknown", fmt.Sprintf("%.20q", id))
	}
	data, err := fsys.ReadFile(filepath.Join(dir, id, stateFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return st, catalog.New("resume_unknown", id)
	case err != nil:
		return st, unusable(err)
	case len(data) > maxState:
		return st, unusable(errors.New("too large"))
	}
	if err := strictjson.Unmarshal(data, &st); err != nil {
		return st, unusable(err)
	}
	switch {
	case st.Version != stateVersion:
		return st, unusable(fmt.Errorf("version %d; this program reads version %d", st.Version, stateVersion))
	case st.ID != id:
		return st, unusable(errors.New("it is of another rescue"))
	case st.Step != ended && !slices.Contains(Steps(), st.Step):
		return st, unusable(errors.New("its step is not known"))
	}
	return st, nil
}

// take puts the run where a state stands.
func (r *run) take(st State) {
	r.req.Target = st.Target
	r.first, r.before, r.now = st.First, st.Before, st.Now
	r.evidence, r.known = st.Evidence, st.Known
	r.wanted, r.shares, r.missing, r.tooLong = st.Wanted, st.Shares, st.Missing, st.TooLong
	r.presses, r.pressed, r.second, r.met, r.create, r.wantedAt = st.Presses, st.Pressed, st.Second, st.Met, st.Create, st.WantedAt
	r.administrator = st.Administrator
	r.res = st.Result
	for _, list := range []*[]string{&r.res.Restored, &r.res.NotDone} {
		if *list == nil {
			*list = []string{}
		}
	}
	r.way = st.Way // as it was shown and accepted
}
