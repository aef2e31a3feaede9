package core

import (
	"encoding/hex"
	"io"

	"github.com/paperclip-nas/paperclip/internal/device/panel"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/button"
)

// edge gives a change of the button to the recogniser.
func (c *Core) edge(e panel.Edge) {
	if e.Lost {
		c.signals(c.recogniser.Resync(e.At, e.Down))
		return
	}
	c.signals(c.recogniser.Edge(e.At, e.Down))
}

// signals carries out what the recogniser says. None of it changes a setting:
// the most a press does is to open a claim.
func (c *Core) signals(all []button.Signal) {
	for _, s := range all {
		switch s := s.(type) {
		case button.Beep:
			c.speaker.acknowledge(s.Count)
		case button.Light:
			c.speaker.light(s.Pattern)
		case button.OpenClaim:
			c.openClaim(s.Hard)
		case button.HardenClaim:
			if c.claim.Handle(access.PressHard, c.cfg.Clock.Monotonic()) {
				c.cfg.Log.Info("the claim is for a hard reset now", "claim", c.claimID)
				c.sayCode()
			}
		case button.FreshCode:
			c.freshCode()
		case button.GrantTries:
			if c.claim.GrantTries() {
				c.cfg.Log.Info("a press grants more tries", "claim", c.claimID)
			}
		case button.CloseClaim:
			c.endClaim(access.HoldOn, "the button was held")
		case button.Act: // profiles that act at once are refused by New
			c.cfg.Log.Error("a gesture that acts at once was ignored")
		case button.Ignored:
			c.ignored = s.Reason.String()
			c.cfg.Log.Info("a press of the reset button selected nothing", "reason", c.ignored, "held", s.Held.String())
		}
		c.tellRecogniser()
	}
	if len(all) > 0 {
		c.publish()
	}
}

// tellRecogniser keeps the recogniser's idea of the claim up to date.
func (c *Core) tellRecogniser() {
	switch s := c.claim.State(); {
	case s == access.Closed:
		c.recogniser.SetClaim(button.ClaimClosed)
	case s.Hard():
		c.recogniser.SetClaim(button.ClaimHard)
	default:
		c.recogniser.SetClaim(button.ClaimSoft)
	}
}

func (c *Core) openClaim(hard bool) {
	if c.halfState {
		c.ignored = "a reset could be neither finished nor undone"
		c.cfg.Log.Error("a press was ignored: settings may be half changed")
		return
	}
	if c.busy() {
		c.ignored = "a reset is under way"
		c.cfg.Log.Info("a press was ignored: a reset is under way")
		return
	}
	id, err := randomID(c.cfg.Rand)
	if err != nil {
		c.ignored = "no claim was opened: there is no randomness for a code"
		c.cfg.Log.Error("no claim was opened", "error", err)
		return
	}
	now := c.cfg.Clock.Monotonic()
	if !c.claim.Handle(access.PressSoft, now) {
		return
	}
	if hard {
		c.claim.Handle(access.PressHard, now)
	}
	c.claimID, c.visits, c.current = id, map[string]*visit{}, nil
	if err := c.attempts.open(id); err != nil {
		c.ignored = "no claim was opened: attempts cannot be counted: " + err.Error()
		c.cfg.Log.Error("no claim was opened: attempts cannot be counted", "error", err)
		c.endClaim(access.Lapse, "attempts cannot be counted")
		return
	}
	c.cfg.Log.Info("a claim is open", "claim", id, "hard", hard, "for", c.cfg.Rules.Window.String())
	c.network.want(true)
	c.lookAhead()
	c.sayCode() // last: without randomness it closes the claim again, and its network
}

// freshCode is a short press while a claim is open.
func (c *Core) freshCode() {
	if s := c.claim.State(); s == access.Closed || s.Proved() {
		return
	}
	for _, v := range c.visits {
		v.pake = nil // an exchange begun with the old code cannot end
	}
	c.sayCode()
}

// sayCode draws a new code and has it said until presence is proved.
func (c *Core) sayCode() {
	code, err := access.NewCode(c.cfg.Rand)
	if err != nil {
		c.endClaim(access.Lapse, "there is no randomness for a code")
		return
	}
	c.code = code
	c.speaker.say(code)
}

// endClaim closes the claim, if the event does so in its state, and takes
// everything away that it brought.
func (c *Core) endClaim(e access.ClaimEvent, why string) {
	if !c.claim.Handle(e, c.cfg.Clock.Monotonic()) || c.claim.State() != access.Closed {
		return
	}
	c.cfg.Log.Info("the claim is closed", "claim", c.claimID, "why", why)
	c.claimID, c.code, c.visits, c.ahead, c.lingerEnds = "", access.Code{}, map[string]*visit{}, nil, 0
	c.speaker.hush()
	c.network.want(false)
	c.tellRecogniser()
	c.publish()
}

func randomID(r io.Reader) (string, error) {
	b := make([]byte, 16)
	if _, err := io.ReadFull(r, b); err != nil {
		return "", err
	}
	return hex.EncodeToString(b), nil
}
