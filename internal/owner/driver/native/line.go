package native

import (
	"context"
	"errors"
	"net/http"

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

// send sends the pending box and opens its answer.
func (l *line) send(ctx context.Context, d *Device) ([]byte, error) {
	var reply deviceapi.SealedReply
	if _, err := d.call(ctx, http.MethodPost, l.path, deviceapi.SealedRequest{Session: l.session, Box: l.pending.box}, &reply); err != nil {
		return nil, err
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
