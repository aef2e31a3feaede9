package core

import (
	"context"
	"log/slog"
	"sync"

	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/device/panel"
	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/button"
)

// speaker plays what the device has to say in its own goroutine, so that a
// beep never waits for a disk and nobody waits for a beep. An acknowledgement
// is always played to its end: cut short it could be taken for a count.
type speaker struct {
	panel panel.Panel
	log   *slog.Logger
	news  chan struct{} // something was told since it was last looked at
	ended chan struct{}

	mu  sync.Mutex
	now speech
}

// speech is what there is to play.
type speech struct {
	acknowledge int          // beeps owed for a hold
	code        *access.Code // said over and over
	once        button.Show  // owed, if it has pulses
	mood        button.Mood  // shown by the light while there is nothing else
	felt        bool         // the light shows that the button is held
}

func startSpeaker(ctx context.Context, p panel.Panel, log *slog.Logger) *speaker {
	s := &speaker{panel: p, log: log, news: make(chan struct{}, 1), ended: make(chan struct{})}
	go s.run(ctx)
	return s
}

func (s *speaker) acknowledge(n int) { s.tell(func(sp *speech) { sp.acknowledge = n }) }
func (s *speaker) say(c access.Code) { s.tell(func(sp *speech) { sp.code = &c }) }
func (s *speaker) hush()             { s.tell(func(sp *speech) { sp.code = nil }) }
func (s *speaker) wait()             { <-s.ended }

// owe has a show played once; mood is what the light shows from now on.
func (s *speaker) owe(show button.Show) { s.tell(func(sp *speech) { sp.once = show }) }

func (s *speaker) mood(m button.Mood) {
	s.mu.Lock()
	same := s.now.mood == m
	s.mu.Unlock()
	if !same {
		s.tell(func(sp *speech) { sp.mood = m })
	}
}

func (s *speaker) tell(f func(*speech)) {
	s.mu.Lock()
	f(&s.now)
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// light shows on the status light that the button is felt.
func (s *speaker) light(p button.Pattern) {
	if s.panel.Light == nil || s.panel.Status == "" {
		return
	}
	on := p == button.PatternHeld || p == button.PatternLetGo || p == button.PatternAgain
	s.tell(func(sp *speech) { sp.felt = p != button.PatternRest })
	if err := s.panel.Light.Set(s.panel.Status, on); err != nil {
		s.log.Warn("the status light does not answer", "error", err)
	}
}

func (s *speaker) run(ctx context.Context) {
	defer close(s.ended)
	for ctx.Err() == nil {
		now := s.next()
		switch {
		case now.acknowledge > 0:
			s.play(ctx, button.AckPattern(now.acknowledge))
		case now.code != nil:
			s.playUntil(ctx, button.CodePattern(*now.code), func(sp speech) bool { return sp.acknowledge > 0 || sp.code != now.code })
		case len(now.once.Pulses) > 0:
			s.play(ctx, now.once.Pulses)
		case now.mood != button.MoodRest && !now.felt:
			s.playUntil(ctx, now.mood.Show().Pulses, func(sp speech) bool {
				return sp.acknowledge > 0 || sp.code != nil || len(sp.once.Pulses) > 0 || sp.mood != now.mood || sp.felt
			})
		default:
			select {
			case <-ctx.Done():
			case <-s.news:
			}
		}
	}
}

// next is what there is to play. What is played once is taken with it.
func (s *speaker) next() speech {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now
	s.now.acknowledge = 0
	if now.acknowledge == 0 && now.code == nil {
		s.now.once = button.Show{}
	}
	return now
}

// playUntil plays the pulses once, or until there is something else to say.
func (s *speaker) playUntil(ctx context.Context, pulses []button.Pulse, other func(speech) bool) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.play(ctx, pulses)
	}()
	for {
		select {
		case <-ended:
			return
		case <-s.news:
			s.mu.Lock()
			leave := other(s.now)
			s.mu.Unlock()
			if leave {
				stop()
				<-ended
				return
			}
		}
	}
}

func (s *speaker) play(ctx context.Context, pulses []button.Pulse) {
	if err := s.panel.Play(ctx, panel.Pulses(pulses)); err != nil && ctx.Err() == nil {
		s.log.Warn("the beeper or light does not answer", "error", err)
	}
}

// sayEnd says for whoever stands at the device how a reset ended.
func (c *Core) sayEnd(state journal.State) {
	switch {
	case c.speaker == nil: // one that was interrupted ends before anything sounds
	case state == journal.Committed:
		c.speaker.owe(button.ReadyAgain())
	case state == journal.Undone:
		c.speaker.owe(button.PutBack())
	}
}
