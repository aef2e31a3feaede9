package reset

import (
	"errors"
	"fmt"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// maxAccount is the longest name of an account, in bytes (useradd(8)).
const maxAccount = 32

// CheckNewAccount judges the name of an administrator's account that a hard
// reset is to make on a NAS with these settings: what Debian's adduser takes,
// and no name that an account shown here has. Whether a service or a group has
// it, the NAS's adapters know. Its error is an [ErrWizard].
func CheckNewAccount(name string, s nas.Settings) error {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	_, taken := s.Account(name)
	var why error
	switch {
	case name == "":
		why = errors.New("a new administrator needs a name")
	case len(name) > maxAccount:
		why = fmt.Errorf("the name of an account has at most %d characters", maxAccount)
	case strings.Trim(name, letters+"0123456789-_") != "":
		why = errors.New("the name of an account has small letters a to z, digits, hyphens and underscores only")
	case !strings.Contains(letters, name[:1]):
		why = errors.New("the name of an account begins with a letter")
	case taken:
		why = fmt.Errorf("there is an account %s already", name)
	case name == "root" || name == "guest":
		why = fmt.Errorf("%s is the name of an account of the system", name)
	}
	if why == nil {
		return nil
	}
	return unusable{why}
}
