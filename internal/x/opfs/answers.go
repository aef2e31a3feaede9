package opfs

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
)

// KeepAnswers returns a context in which the Runner of [Exec] starts each
// program once: the same path, arguments, input and environment get the answer
// of before. It is for a stretch in which programs are only asked, and together
// answer one question about the system as it is: starting them is what takes
// long on a small NAS. What failed to run is tried again. In a context that
// keeps answers already, it is that one.
func KeepAnswers(ctx context.Context) context.Context {
	if AnswersKept(ctx) {
		return ctx
	}
	return context.WithValue(ctx, answersKey{}, &answers{kept: make(map[question]Output)})
}

// AnswersKept reports whether [KeepAnswers] holds in a context: asking a program
// for more at once than is wanted now pays off there.
func AnswersKept(ctx context.Context) bool {
	_, kept := ctx.Value(answersKey{}).(*answers)
	return kept
}

type answersKey struct{}

type answers struct {
	mu   sync.Mutex // held while a program runs: who asks the same meanwhile waits
	kept map[question]Output
}

// question is a hash of all that a program is given: what goes in by Stdin may be
// a secret, and is not kept.
type question [sha256.Size]byte

// once gives the kept answer, else that of run.
func (a *answers) once(path string, c Command, run func() (Output, error)) (Output, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := question(sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", path, c.Args, c.Env, c.Stdin)))
	out, known := a.kept[key]
	if known {
		return out, nil
	}
	out, err := run()
	if err == nil {
		a.kept[key] = out
	}
	return out, err
}
