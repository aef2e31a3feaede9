package buildversion_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/x/buildversion"
)

func TestString(t *testing.T) {
	if got := buildversion.String(); !strings.HasSuffix(got, " "+runtime.Version()) {
		t.Errorf("%q does not name %s", got, runtime.Version())
	}
}
