package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

// facts is what `model --json` prints.
type facts struct {
	Vendor string         `json:"vendor"`
	Model  string         `json:"model"`
	Facts  []catalog.Fact `json:"facts"`
}

// model says what is known about a vendor's devices.
func (a *app) model() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "model [NAME]",
		Short: "Say where the button is, how long to hold it and what it does, with sources",
		Args:  cobra.MaximumNArgs(1),
		RunE: run(func(_ context.Context, args []string) error {
			return a.runModel(strings.Join(args, ""), asJSON)
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return c
}

func (a *app) runModel(name string, asJSON bool) error {
	f := facts{Vendor: vendorOf(name), Model: name, Facts: catalog.Facts()}
	if name != "" {
		f.Facts = catalog.FactsFor(f.Vendor)
	}
	if len(f.Facts) == 0 {
		return catalog.New("model_unknown", name)
	}
	if asJSON {
		return a.print(f)
	}
	for _, fact := range f.Facts {
		fmt.Fprintf(a.env.Stdout, "%s, %s, firmware %s: %s\n  from %s, confidence %s\n", fact.Vendor, fact.Models, fact.Firmware, fact.Text, fact.Source, fact.Confidence)
	}
	fmt.Fprintln(a.env.Stdout, "Nothing of this was tested on vendors' hardware yet; it rests on documents.")
	return nil
}

// vendorOf reads a vendor's name, or tells it from how its models are called.
func vendorOf(name string) string {
	upper := strings.ToUpper(name)
	for _, v := range []struct {
		vendor   string
		prefixes []string
	}{
		{"Synology", []string{"SYNOLOGY", "DISKSTATION", "DS", "RS", "FS", "RX", "DX"}},
		{"QNAP", []string{"QNAP", "TS-", "TVS-", "TBS-", "HS-"}},
		{"Paperclip", []string{"PAPERCLIP", "LINUX"}},
	} {
		for _, p := range v.prefixes {
			if strings.HasPrefix(upper, p) {
				return v.vendor
			}
		}
	}
	return ""
}
