package deviceapi

import (
	"encoding/json"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/x/strictjson"
)

// AccountInfo is an administrator's account, as another is shown it.
type AccountInfo struct {
	Name         string `json:"name"`
	BuiltIn      bool   `json:"built_in"`
	Enabled      bool   `json:"enabled"`
	SecondFactor bool   `json:"second_factor"`
	SignedIn     bool   `json:"signed_in"` // really, here, with the password of now
	Codes        int    `json:"recovery_codes"`
	You          bool   `json:"you"` // as whom the caller is taken
}

// AccountsReply lists the administrators. The call is Empty.
type AccountsReply struct {
	Accounts []AccountInfo `json:"accounts"`
}

// AccountCall changes an administrator's account (R3 R4).
type AccountCall struct {
	Account     string
	Action      reset.Scope   // one of reset.AccountActions
	NewPassword access.Secret // for reset.SetPassword alone
}

type accountWire struct {
	Account     string      `json:"account"`
	Action      reset.Scope `json:"action"`
	NewPassword string      `json:"new_password,omitempty"`
}

func (c AccountCall) wire() any { return accountWire{c.Account, c.Action, c.NewPassword.Reveal()} }

// MarshalJSON writes [redacted] for the password: see Encode.
func (c AccountCall) MarshalJSON() ([]byte, error) {
	w := accountWire{c.Account, c.Action, ""}
	if !c.NewPassword.Empty() {
		w.NewPassword = c.NewPassword.String()
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what Encode writes.
func (c *AccountCall) UnmarshalJSON(data []byte) error {
	var w accountWire
	if err := strictjson.Unmarshal(data, &w); err != nil {
		return err
	}
	password, err := readSecret(w.NewPassword)
	*c = AccountCall{w.Account, w.Action, password}
	return err
}

// AccountReply says that it is accepted and durable: OwnerProgress follows it,
// OwnerReceipt gives its receipt.
type AccountReply struct {
	Transaction string     `json:"transaction"`
	Plan        reset.Plan `json:"plan"`
}
