package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/owner/keys"
	"github.com/paperclip-nas/paperclip/internal/protocol/receipt"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// receipt is about what a NAS signed that it did.
func (a *app) receipt() *cobra.Command {
	c := &cobra.Command{
		Use:   "receipt",
		Short: "Check a receipt that a NAS gave",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.receiptVerify())
	return c
}

// checked is what `receipt verify --json` prints.
type checked struct {
	Valid     bool              `json:"valid"`
	KeyID     string            `json:"key_id"`
	Known     keys.Verdict      `json:"known"` // whether this computer remembers that key
	MACs      []string          `json:"macs"`  // of the label, as this computer remembers them; empty where it does not
	Statement receipt.Statement `json:"statement"`
}

func (a *app) receiptVerify() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check that a receipt was signed by a NAS and not changed since",
		Args:  arguments(1, 1),
		RunE:  run(func(_ context.Context, args []string) error { return a.runVerify(args[0], asJSON) }),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return c
}

func (a *app) runVerify(file string, asJSON bool) error {
	data, err := readBounded(file, receipt.MaxSize)
	if err != nil {
		return catalog.New("receipt_unreadable", reason(err)).Because(err)
	}
	keyID, s, err := receipt.Verify(data)
	if err != nil {
		return catalog.New("receipt_invalid", err.Error()).Because(err)
	}
	c := checked{Valid: true, KeyID: keyID, MACs: []string{}, Statement: s}
	var met keys.Device
	if met, c.Known = a.known(s); len(met.MACs) > 0 {
		c.MACs = met.MACs
	}
	if asJSON {
		return a.print(c)
	}
	a.showReceipt(c)
	return nil
}

// known compares the receipt's key with what this computer remembers, of real
// NAS and of the lab's. Not being able to is no reason to call a valid receipt
// invalid.
func (a *app) known(s receipt.Statement) (keys.Device, keys.Verdict) {
	verdict := keys.Unknown
	homes := []string{filepath.Join(a.labHome(""), "owner")}
	if home, err := a.home(); err == nil {
		homes = append(homes, home)
	}
	for _, home := range homes {
		k, err := a.openKeys(home)
		if err != nil {
			continue
		}
		if d, ok := k.Lookup(s.Device.PublicKey); ok {
			return d, keys.Match
		}
		if v := k.Judge(s.Device.PublicKey, keys.Hints{Name: s.Device.Name}); v != keys.Unknown {
			verdict = v
		}
	}
	return keys.Device{}, verdict
}

const secondsUTC = "2006-01-02 15:04:05 UTC"

func (a *app) showReceipt(c checked) {
	s := c.Statement
	say := func(format string, args ...any) {
		fmt.Fprintln(a.env.Stdout, printable.Clean(fmt.Sprintf(format, args...)))
	}
	say("This receipt is valid: it is as the NAS signed it.")
	say("NAS            %s, key %s (%s)", nas.Identity{Name: s.Device.Name, MACs: c.MACs}.Label(), c.KeyID, map[keys.Verdict]string{
		keys.Match: "remembered here", keys.Mismatch: "NOT the key remembered for this name", keys.Unknown: "not remembered here",
	}[c.Known])
	say("What           %s reset, %s, of %s: %s", s.Mode, s.Scope, s.Administrator, s.Result)
	say("Accepted       %s", s.AcceptedAt.UTC().Format(secondsUTC))
	say("Done           %s", s.CommittedAt.UTC().Format(secondsUTC))
	for _, ch := range s.Changes {
		say("Changed        %s: from %s to %s", ch.Setting, ch.From, ch.To)
	}
	for _, n := range s.NotCovered {
		say("Not covered    %s", n)
	}
}

var errTooLarge = errors.New("it is too large")

// readBounded reads a file of at most max bytes.
func readBounded(name string, max int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(data)) > max {
		err = errTooLarge
	}
	return data, err
}

// reason is why a file could not be read, in a few words.
func reason(err error) string {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return fmt.Sprintf("%s: %v", pe.Path, pe.Err)
	}
	return err.Error()
}
