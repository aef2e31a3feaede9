package core

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Notifier tells people of a notice by means of the system. A failure is logged
// and keeps nothing else from happening.
type Notifier interface {
	// Banner is what everybody reads who signs in; empty takes it away.
	Banner(ctx context.Context, text string) error
	// Mail sends a message to root.
	Mail(ctx context.Context, subject, text string) error
}

const (
	noticeLasts = 7 * 24 * time.Hour
	noticesKept = 32
	mailQueue   = 8
)

// notices are what the administrators are told for a week (D11). They are on
// disk, so that a restart does not hide one, and go by the wall clock: a notice
// from a time that has not come yet stays.
type notices struct {
	fsys opfs.FS
	file string
	kept noticesFile
}

type noticesFile struct {
	Version int                `json:"version"`
	Notices []deviceapi.Notice `json:"notices"`
}

func loadNotices(fsys opfs.FS, dir string) (*notices, error) {
	n := &notices{fsys: fsys, file: path.Join(dir, "notices.json"), kept: noticesFile{Version: 1}}
	if err := readState(fsys, n.file, &n.kept); err != nil {
		return nil, err
	}
	if n.kept.Version != 1 {
		return nil, fmt.Errorf("%s is of version %d, not 1", n.file, n.kept.Version)
	}
	return n, nil
}

// current are those of the last week.
func (n *notices) current(now time.Time) []deviceapi.Notice {
	return slices.DeleteFunc(slices.Clone(n.kept.Notices), func(o deviceapi.Notice) bool { return !undated(o, now) && now.Sub(o.At) >= noticeLasts })
}

// undated tells whether a notice is from before the clock was set, and it is set
// now: a NAS whose battery is empty starts in 1970.
func undated(o deviceapi.Notice, now time.Time) bool {
	made := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC) // this program is younger
	return o.At.Before(made) && !now.Before(made)
}

// date has the week of undated notices begin now.
func (n *notices) date(now time.Time) error {
	if !slices.ContainsFunc(n.kept.Notices, func(o deviceapi.Notice) bool { return undated(o, now) }) {
		return nil
	}
	list := slices.Clone(n.kept.Notices)
	for i := range list {
		if undated(list[i], now) {
			list[i].At = now.UTC().Truncate(time.Second)
		}
	}
	n.kept.Notices = list // also where it cannot be written
	return writeState(n.fsys, "notices.date", n.file, n.kept)
}

func (n *notices) add(id catalog.ID, now time.Time) error {
	list := append(n.current(now), deviceapi.Notice{ID: id, At: now.UTC().Truncate(time.Second)})
	next := noticesFile{Version: 1, Notices: list[max(0, len(list)-noticesKept):]}
	if err := writeState(n.fsys, "notices.add", n.file, next); err != nil {
		return err
	}
	n.kept = next
	return nil
}

// tell makes a notice: on disk, at sign-in, on the LAN and by mail. Run's
// goroutine, or before it serves anybody.
func (c *Core) tell(id catalog.ID) {
	n, ok := catalog.NoticeOf(id)
	if !ok {
		c.cfg.Log.Error("there is no such notice", "id", string(id))
		return
	}
	if err := c.notices.add(id, c.cfg.Clock.Now()); err != nil {
		c.cfg.Log.Error("a notice could not be kept", "notice", string(id), "error", err)
	}
	c.showBanner()
	if c.cfg.Notifier == nil {
		return
	}
	select {
	case c.mail <- n:
	default:
		c.cfg.Log.Warn("a notice is not mailed: too many wait", "notice", string(id))
	}
}

// showBanner brings the banner up to date.
func (c *Core) showBanner() {
	if err := c.notices.date(c.cfg.Clock.Now()); err != nil {
		c.cfg.Log.Error("when the notices are from could not be written down", "error", err)
	}
	text := banner(c.cfg.Name, c.notices.current(c.cfg.Clock.Now()))
	if c.cfg.Notifier == nil || c.bannerShown != nil && *c.bannerShown == text {
		return
	}
	if err := c.cfg.Notifier.Banner(c.ctx, text); err != nil {
		c.cfg.Log.Error("the notices cannot be shown at sign-in", "error", err)
	}
	c.bannerShown = &text // a failure is told once
}

func banner(name string, all []deviceapi.Notice) string {
	var b strings.Builder
	for i, n := range all {
		words, ok := catalog.NoticeOf(n.ID)
		if !ok {
			continue
		}
		if i == 0 {
			fmt.Fprintf(&b, "Paperclip on %s:\n", name)
		}
		fmt.Fprintf(&b, "  %s  %s\n", n.At.UTC().Format("2006-01-02 15:04 MST"), words.Banner)
	}
	return b.String()
}

// nextBanner is when the oldest notice is a week old.
func (c *Core) nextBanner() (in time.Duration, any bool) {
	now := c.cfg.Clock.Now()
	for _, n := range c.notices.current(now) {
		if left := noticeLasts - now.Sub(n.At); !any || left < in {
			in, any = left, true
		}
	}
	return in, any
}

// mails sends what is to be mailed, one after the other, away from everything
// that must not wait.
func (c *Core) mails(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-c.mail:
			text := n.Banner + "\n\nNAS: " + c.cfg.Name + "\nWhen: " + c.cfg.Clock.Now().UTC().Format(time.RFC1123) + "\n"
			if err := c.cfg.Notifier.Mail(ctx, "Paperclip on "+c.cfg.Name+": "+n.Text, text); err != nil && ctx.Err() == nil {
				c.cfg.Log.Warn("a notice could not be mailed", "notice", string(n.ID), "error", err)
			}
		}
	}
}
