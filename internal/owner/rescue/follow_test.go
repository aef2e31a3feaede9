package rescue

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

// A NAS that answers and takes longer than there is patience for is not said to be
// away; and one whose core starts anew meanwhile is waited for.
func TestFollowingTakesLong(t *testing.T) {
	sc := newScene(t)
	sc.box.away = 5
	if res, err := Start(t.Context(), sc.cfg, Request{}); err != nil || !res.SignedIn {
		t.Errorf("core was away for a moment: %v", err)
	}
	sc = newScene(t)
	sc.box.stuck, sc.cfg.Patience = true, 300*time.Millisecond
	res, err := Start(t.Context(), sc.cfg, Request{})
	if !errors.Is(err, catalog.New("busy")) || catalog.ExitOf(err) != catalog.InPart || !strings.Contains(err.Error(), res.ID) {
		t.Errorf("it is still at it: %v", err)
	}
}
