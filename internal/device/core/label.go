package core

import (
	"context"
	"fmt"
	"path"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// label is the code on the NAS's label, as a hash that is keyed with the
// identity of this NAS: see access.LabelCode. Only root sets another; no reset
// and no restore touches it.
type label struct {
	fsys opfs.FS
	file string
	kept labelFile
}

type labelFile struct {
	Version int       `json:"version"`
	Hash    string    `json:"hash"` // empty: there is none
	Given   bool      `json:"given"`
	At      time.Time `json:"at"`
}

func labelPath(dir string) string { return path.Join(dir, "label.json") }

func loadLabel(fsys opfs.FS, dir string) (*label, error) {
	l := &label{fsys: fsys, file: labelPath(dir), kept: labelFile{Version: 1}}
	if err := readState(fsys, l.file, &l.kept); err != nil {
		return nil, err
	}
	if l.kept.Version != 1 {
		return nil, fmt.Errorf("%s is of version %d, not 1", l.file, l.kept.Version)
	}
	return l, nil
}

// HasLabel tells whether there is a code on the label of the NAS whose state is
// in dir, and since when.
func HasLabel(fsys opfs.FS, dir string) (at time.Time, ok bool, err error) {
	l, err := loadLabel(fsys, dir)
	if err != nil {
		return time.Time{}, false, err
	}
	return l.kept.At, l.kept.Hash != "", nil
}

func (l *label) keep(op string, next labelFile) error {
	next.Version = 1
	if err := writeState(l.fsys, op, l.file, next); err != nil {
		return err
	}
	l.kept = next
	return nil
}

// TakeLabel takes the code over that the maker printed on the label, where there
// is none yet: for a maker's first start. Call it before Run.
func (c *Core) TakeLabel(code access.Secret) error {
	if c.label.kept.Hash != "" {
		return nil
	}
	return c.label.keep("label.given", labelFile{
		Hash: access.NewLabelCode(code).Password(c.publicKey()).Reveal(), Given: true, At: c.cfg.Clock.Now().UTC().Truncate(time.Second),
	})
}

// presencePassword is the NAS's end of the PAKE for the code that somebody says
// to have typed.
func (c *Core) presencePassword(with access.PresenceKind) (access.Secret, error) {
	switch {
	case with == access.BySaidCode:
		return c.code.Secret(), nil
	case with == access.ByLabelCode && c.label.kept.Hash != "":
		return access.NewSecret(c.label.kept.Hash), nil
	case with == access.ByLabelCode:
		return access.Secret{}, catalog.New("label_none")
	default:
		return access.Secret{}, catalog.New("bad_message", "a code of a kind that is not known")
	}
}

// SetLabel gives the NAS a code for its label: a new one, that of its maker, or
// none. What was on the label before is worth nothing then.
func (h console) SetLabel(ctx context.Context, q corewire.LabelRequest) (corewire.LabelReply, error) {
	c := h.core
	var next labelFile
	reply := corewire.LabelReply{}
	switch q.Do {
	case corewire.LabelRead:
	case corewire.LabelNew:
		code, err := access.NewRecoveryCode(c.cfg.Rand)
		if err != nil {
			return reply, err
		}
		next.Hash = access.NewLabelCode(code).Password(c.publicKey()).Reveal()
		reply.Code = access.FormatRecoveryCode(code)
	case corewire.LabelGiven:
		code, err := access.ParseRecoveryCode(q.Code.Reveal())
		if err != nil {
			return reply, catalog.New("usage", "The maker's code will not do: "+err.Error()+".")
		}
		next.Given, next.Hash = true, access.NewLabelCode(code).Password(c.publicKey()).Reveal()
	case corewire.LabelRemove:
	default:
		return reply, catalog.New("bad_message", "what is to be done with the label's code")
	}
	return in(ctx, c, func() (corewire.LabelReply, error) {
		if q.Do != corewire.LabelRead {
			next.At = c.cfg.Clock.Now().UTC().Truncate(time.Second)
			if err := c.label.keep("label."+string(q.Do), next); err != nil {
				return corewire.LabelReply{}, err
			}
			for _, v := range c.visits {
				v.pake = nil // an exchange begun with the old code cannot end
			}
			c.cfg.Log.Info("the label's code is another one", "how", string(q.Do))
			c.publish()
		}
		reply.There, reply.Given, reply.At = c.label.kept.Hash != "", c.label.kept.Given, c.label.kept.At
		return reply, nil
	})
}
