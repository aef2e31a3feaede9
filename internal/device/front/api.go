package front

import (
	"context"
	"mime"
	"net/http"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/protocol/corewire"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// device is what anybody may know, asked of core anew: whoever has just proved
// presence must find it so.
func (f *Front) device(ctx context.Context) (d deviceapi.Device, err error) {
	client := f.view.Load().client
	if client == nil {
		return d, catalog.New("core_unreachable")
	}
	err = client.Read(ctx, corewire.ReadDevice, &d)
	return d, err
}

func (f *Front) answerDevice(w http.ResponseWriter, r *http.Request, _ visitor) error {
	d, err := f.device(r.Context())
	if err != nil {
		return err
	}
	sendJSON(w, http.StatusOK, d)
	return nil
}

func (f *Front) answerSession(w http.ResponseWriter, r *http.Request, v visitor) error {
	return pass(f, w, r, func(ctx context.Context, c *corewire.Client, _ deviceapi.SessionRequest) (deviceapi.SessionReply, error) {
		return c.ClaimSession(ctx, corewire.ClaimSessionRequest{Source: v.source, LeafSPKI: v.leaf})
	})
}

func (f *Front) answerPake(w http.ResponseWriter, r *http.Request, v visitor) error {
	return pass(f, w, r, func(ctx context.Context, c *corewire.Client, q deviceapi.PakeRequest) (deviceapi.PakeReply, error) {
		return c.ClaimPake(ctx, corewire.ClaimPakeRequest{Source: v.source, Body: q})
	})
}

func (f *Front) answerConfirm(w http.ResponseWriter, r *http.Request, v visitor) error {
	return pass(f, w, r, func(ctx context.Context, c *corewire.Client, q deviceapi.ConfirmRequest) (deviceapi.ConfirmReply, error) {
		return c.ClaimConfirm(ctx, corewire.ClaimConfirmRequest{Source: v.source, Body: q})
	})
}

func (f *Front) answerSealed(w http.ResponseWriter, r *http.Request, v visitor) error {
	return pass(f, w, r, func(ctx context.Context, c *corewire.Client, q deviceapi.SealedRequest) (deviceapi.SealedReply, error) {
		return c.ClaimSealed(ctx, corewire.ClaimSealedRequest{Source: v.source, Body: q})
	})
}

func (f *Front) answerSignIn(w http.ResponseWriter, r *http.Request, v visitor) error {
	return pass(f, w, r, func(ctx context.Context, c *corewire.Client, q deviceapi.SignInRequest) (deviceapi.SignInReply, error) {
		return c.SignIn(ctx, corewire.SignInRequest{Source: v.source, User: q.User, Password: q.Password})
	})
}

func (f *Front) answerOwnerSession(w http.ResponseWriter, r *http.Request, v visitor) error {
	return pass(f, w, r, func(ctx context.Context, c *corewire.Client, q deviceapi.OwnerSessionRequest) (deviceapi.OwnerSessionReply, error) {
		return c.OwnerSession(ctx, corewire.OwnerSessionRequest{Source: v.source, LeafSPKI: v.leaf, Body: q})
	})
}

func (f *Front) answerOwnerSealed(w http.ResponseWriter, r *http.Request, v visitor) error {
	return pass(f, w, r, func(ctx context.Context, c *corewire.Client, q deviceapi.SealedRequest) (deviceapi.SealedReply, error) {
		return c.OwnerSealed(ctx, corewire.OwnerSealedRequest{Source: v.source, Body: q})
	})
}

// pass reads a body strictly, hands it to core, and answers with what core says.
func pass[Q, R any](f *Front, w http.ResponseWriter, r *http.Request, call func(context.Context, *corewire.Client, Q) (R, error)) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != deviceapi.ContentType {
		return catalog.New("bad_message", "it is not "+deviceapi.ContentType)
	}
	var q Q
	if err := deviceapi.DecodeStrict(http.MaxBytesReader(w, r.Body, deviceapi.MaxBody), deviceapi.MaxBody, &q); err != nil {
		return catalog.New("bad_message", err.Error()).Because(err)
	}
	client := f.view.Load().client
	if client == nil {
		return catalog.New("core_unreachable")
	}
	reply, err := call(r.Context(), client, q)
	if err != nil {
		return err
	}
	sendJSON(w, http.StatusOK, reply)
	return nil
}
