package app

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

type accountOptions struct {
	lab             labFlags
	owner           ownerFlags
	json            bool
	newPasswordFile string
}

// account changes administrators' accounts without a reset.
func (a *app) account() *cobra.Command {
	var o accountOptions
	c := &cobra.Command{
		Use:   "account TARGET list|password|disable|enable [USER]",
		Short: "List administrators, set their passwords, switch their accounts off and on",
		Long: `Account does without a reset what an administrator can do: list shows the
administrators of a NAS, password sets a new password for USER, disable and
enable switch USER's account off and on again. Nothing else changes, and there
is a receipt.

It speaks with this computer's owner key, which a rescue has enrolled, or with
--as NAME and that administrator's password. An account is switched off only
once another administrator has really signed in with the password of now:
somebody always has a way in.`,
		Args: arguments(2, 3),
		RunE: run(func(ctx context.Context, args []string) error { return a.runAccount(ctx, o, args) }),
	}
	o.owner.add(c.Flags())
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON document")
	c.Flags().StringVar(&o.newPasswordFile, "new-password-file", "", "take the new password from a `FILE`")
	o.lab.add(c.Flags())
	return c
}

// accountReport is what `account --json` prints.
type accountReport struct {
	Device      string                  `json:"device"`
	Accounts    []deviceapi.AccountInfo `json:"accounts,omitempty"`
	Account     string                  `json:"account,omitempty"`
	Action      reset.Scope             `json:"action,omitempty"`
	Transaction string                  `json:"transaction,omitempty"`
	State       string                  `json:"state,omitempty"`
	Receipt     string                  `json:"receipt,omitempty"` // where it is kept
}

func (a *app) runAccount(ctx context.Context, o accountOptions, args []string) error {
	target, action := args[0], args[1]
	known := slices.Contains(reset.AccountActions(), reset.Scope(action))
	switch {
	case action != "list" && !known:
		return catalog.New("usage", fmt.Sprintf("%q is not list, password, disable or enable.", action))
	case known && len(args) != 3:
		return catalog.New("usage", action+" needs the account that is meant.")
	case !known && len(args) != 2:
		return catalog.New("usage", "list takes no account.")
	case o.newPasswordFile != "" && action != string(reset.SetPassword):
		return catalog.New("usage", "--new-password-file is for password.")
	}
	if err := o.owner.check(); err != nil {
		return err
	}
	call := deviceapi.AccountCall{Action: reset.Scope(action)}
	if known {
		call.Account = args[2]
	}
	if call.Action == reset.SetPassword { // asked before anybody signs in
		var err error
		if call.NewPassword, err = a.newPassword(ctx, o, call.Account); err != nil {
			return err
		}
	}
	l, err := a.open(ctx, o.lab, 0)
	if err != nil {
		return err
	}
	defer l.close()
	who, err := a.asOwner(ctx, l, target, o.owner, o.json)
	if err != nil {
		return err
	}
	if !known {
		return a.listAccounts(ctx, o, who)
	}
	return a.changeAccount(ctx, o, l, who, call)
}

func (a *app) newPassword(ctx context.Context, o accountOptions, user string) (access.Secret, error) {
	if o.newPasswordFile != "" {
		return readPassword(o.newPasswordFile)
	}
	person, err := a.atTerminal(o.json, "Give --new-password-file FILE.")
	if err != nil {
		return access.Secret{}, err
	}
	q := rescue.Question{ID: rescue.AskNewPassword, Account: user, Names: []string{user}, Text: "A new password for " + printable.Clean(user) + "."}
	answer, err := person.Choose(ctx, q)
	return answer.Password, err
}

func (a *app) listAccounts(ctx context.Context, o accountOptions, who owned) error {
	var r deviceapi.AccountsReply
	if err := who.Call(ctx, deviceapi.OwnerAccounts, deviceapi.Empty{}, &r); err != nil {
		return err
	}
	if o.json {
		return a.print(accountReport{Device: who.name(), Accounts: r.Accounts})
	}
	for _, one := range r.Accounts {
		line := printable.Clean(one.Name)
		for _, mark := range []struct {
			so   bool
			word string
		}{
			{one.You, "you"},
			{one.BuiltIn, "built in"},
			{!one.Enabled, "switched off"},
			{one.SecondFactor, "second factor"},
			{one.Enabled && one.SignedIn, "has signed in"},
			{one.Enabled && !one.SignedIn, "has not signed in with the password of now"},
			{one.Codes > 0, fmt.Sprintf("%d recovery codes", one.Codes)},
		} {
			if mark.so {
				line += ", " + mark.word
			}
		}
		fmt.Fprintln(a.env.Stdout, line)
	}
	return nil
}

func (a *app) changeAccount(ctx context.Context, o accountOptions, l *lan, who owned, call deviceapi.AccountCall) error {
	var r deviceapi.AccountReply
	if err := who.Call(ctx, deviceapi.OwnerAccount, call, &r); err != nil {
		return err
	}
	p, err := a.follow(ctx, who, r.Transaction)
	if err != nil {
		return err
	}
	report := accountReport{Device: who.name(), Account: call.Account, Action: call.Action, Transaction: r.Transaction, State: p.State}
	if report.Receipt, err = a.keepReceipt(l, r.Transaction, p.Receipt); err != nil {
		return err
	}
	if o.json {
		return a.print(report)
	}
	done := map[reset.Scope]string{
		reset.SetPassword: "%s has a new password; what was opened with the one of before is closed.\n",
		reset.SwitchOff:   "%s is switched off; its password is kept, and opens nothing.\n",
		reset.SwitchOn:    "%s is switched on, with the password that it had.\n",
	}
	fmt.Fprintf(a.env.Stdout, done[call.Action], printable.Clean(call.Account))
	fmt.Fprintf(a.env.Stdout, "The receipt is in %s.\n", report.Receipt)
	return nil
}

// keepReceipt writes a receipt down as it came, named by its transaction.
func (a *app) keepReceipt(l *lan, transaction string, file []byte) (string, error) {
	if len(file) == 0 || !plainName(transaction) {
		return "", catalog.New("not_verified", "the NAS gave no receipt")
	}
	dir := filepath.Join(l.home, "receipts")
	name := filepath.Join(dir, transaction+".json")
	if err := a.fsys.MkdirAll("receipt.mkdir", dir, 0o700); err != nil {
		return "", catalog.New("receipt_not_kept", reason(err)).Because(err)
	}
	if err := atomicfile.Replace(a.fsys, "receipt.keep", name, file, atomicfile.Options{Mode: 0o600}); err != nil {
		return "", catalog.New("receipt_not_kept", reason(err)).Because(err)
	}
	return name, nil
}

// plainName tells whether a name that a NAS gave is fit for a file.
func plainName(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
