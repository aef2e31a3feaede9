package native

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/protocol/sealed"
)

// line is a sealed conversation with core, in a claim or as an owner. Its calls
// come one at a time.
type line struct {
	path    string
	session string
	channel *sealed.Channel

	// pending is a call that was sent and not answered. It is sent again
	// before anything else: the NAS answers a repeated box without doing it
	// twice, and its order has no gap.
	pending *pendingCall
}

type pendingCall struct {
	kind deviceapi.Kind
	box  []byte
}

// call makes one call. After the problem unreachable it may be made again, with
// the same body: it is carried out once.
func (l *line) call(ctx context.Context, d *Device, kind deviceapi.Kind, body, out any) error {
	if p := l.pending; p != nil {
		plain, err := l.send(ctx, d)
		if err != nil {
			return err
		}
		if p.kind == kind {
			return answer(plain, out)
		}
	}
	message, err := deviceapi.EncodeCall(kind, body)
	if err != nil {
		return err
	}
	box, err := l.channel.Seal(message)
	if err != nil {
		return err
	}
	l.pending = &pendingCall{kind, box}
	plain, err := l.send(ctx, d)
	if err != nil {
		return err
	}
	return answer(plain, out)
}

// A slow NAS may take longer for a call than its front waits for core. The same
// box is sent again then: core answers it once it is done, and does it once.
const (
	sendTries = 5
	sendAgain = 500 * time.Millisecond
)

// send sends the pending box and opens its answer.
func (l *line) send(ctx context.Context, d *Device) ([]byte, error) {
	var reply deviceapi.SealedReply
	for n := 1; ; n++ {
		_, err := d.call(ctx, http.MethodPost, l.path, deviceapi.SealedRequest{Session: l.session, Box: l.pending.box}, &reply)
		if err == nil {
			break
		}
		if n == sendTries || !errors.Is(err, catalog.New("core_unreachable")) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(sendAgain):
		}
	}
	plain, err := l.channel.Open(reply.Box)
	if err != nil {
		return nil, catalog.New("bad_message", "the sealed answer of the NAS").Because(err)
	}
	l.pending = nil
	return plain, nil
}

func answer(plain []byte, out any) error {
	err := deviceapi.ParseReply(plain, out)
	if p, ok := errors.AsType[catalog.Problem](err); ok {
		return inOurWords(p)
	}
	if err != nil {
		return catalog.New("bad_message", "the answer of the NAS").Because(err)
	}
	return nil
}
