package core

import (
	"context"
	"log/slog"
	"sync"

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
	if err := s.panel.Light.Set(s.panel.Status, on); err != nil {
		s.log.Warn("the status light does not answer", "error", err)
	}
}

func (s *speaker) run(ctx context.Context) {
	defer close(s.ended)
	for ctx.Err() == nil {
		n, code := s.next()
		switch {
		case n > 0:
			s.play(ctx, button.AckPattern(n))
		case code != nil:
			s.playUntilNews(ctx, code)
		default:
			select {
			case <-ctx.Done():
			case <-s.news:
			}
		}
	}
}

// next is what to play now. An acknowledgement is taken with it.
func (s *speaker) next() (acknowledge int, code *access.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	acknowledge, s.now.acknowledge = s.now.acknowledge, 0
	return acknowledge, s.now.code
}

// playUntilNews says the code once, or until there is something else to say.
func (s *speaker) playUntilNews(ctx context.Context, code *access.Code) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.play(ctx, button.CodePattern(*code))
	}()
	for {
		select {
		case <-ended:
			return
		case <-s.news:
			s.mu.Lock()
			other := s.now.acknowledge > 0 || s.now.code != code
			s.mu.Unlock()
			if other {
				stop()
				<-ended
				return
			}
		}
	}
}

func (s *speaker) play(ctx context.Context, pattern []button.Pulse) {
	pulses := make([]panel.Pulse, len(pattern))
	for i, p := range pattern {
		pulses[i] = panel.Pulse{On: p.On, For: p.For, Hz: p.Hz}
	}
	if err := s.panel.Play(ctx, pulses); err != nil && ctx.Err() == nil {
		s.log.Warn("the beeper or light does not answer", "error", err)
	}
}
