package app

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/web/picture"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
)

// facts is what `model --json` prints.
type facts struct {
	Vendor string         `json:"vendor"`
	Model  string         `json:"model"`
	Facts  []catalog.Fact `json:"facts"`
}

type modelOptions struct {
	json     bool
	firmware string
	picture  string
}

// model says what is known about a vendor's devices.
func (a *app) model() *cobra.Command {
	var o modelOptions
	c := &cobra.Command{
		Use:   "model [NAME]",
		Short: "Say where the button is, how long to hold it and what it does, with sources",
		Long: `Model says what is known of a NAS: where its reset button is, how long to hold
it, what each reset changes and keeps, and what the password is afterwards.
NAME is a model, such as DS920+ or TS-453D, or a maker; without it all is
listed. Every sentence has a source and a confidence: A two sources or the
maker's own, B one good source, C weak, I concluded, ? looked for and not found.`,
		Args: cobra.ArbitraryArgs,
		RunE: run(func(_ context.Context, args []string) error {
			return a.runModel(strings.Join(args, " "), o)
		}),
	}
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON document")
	c.Flags().StringVar(&o.firmware, "firmware", "", "list only what holds for that `VERSION`, such as 7.2 or 5.1.9")
	c.Flags().StringVar(&o.picture, "picture", "", "write the drawing of its back to an SVG `FILE`")
	return c
}

func (a *app) runModel(name string, o modelOptions) error {
	if !catalog.IsVersion(o.firmware) {
		return catalog.New("usage", fmt.Sprintf("--firmware takes a version, such as 7.2; %q is none.", o.firmware))
	}
	f := facts{Model: name, Facts: []catalog.Fact{}}
	var m catalog.Model
	if name == "" {
		for _, fact := range catalog.Facts() {
			if fact.Applies(o.firmware) {
				f.Facts = append(f.Facts, fact)
			}
		}
	} else {
		var ok bool
		if m, ok = catalog.ModelNamed(name); !ok {
			return catalog.New("model_unknown", name)
		}
		f = facts{Vendor: m.Vendor, Model: m.Name, Facts: catalog.FactsForModel(m, o.firmware)}
	}
	if o.picture != "" {
		if err := a.writePicture(o.picture, m.Shape); err != nil {
			return err
		}
	}
	if o.json {
		return a.print(f)
	}
	a.describeModel(m, f.Facts)
	return nil
}

func (a *app) writePicture(name string, shape catalog.Shape) error {
	path, err := filepath.Abs(name)
	if err == nil {
		err = atomicfile.Replace(a.fsys, "picture.write", path, picture.SVG(shape), atomicfile.Options{Mode: 0o644})
	}
	if err != nil {
		return catalog.New("file_unusable", reason(err)).Because(err)
	}
	return nil
}

func (a *app) describeModel(m catalog.Model, known []catalog.Fact) {
	say := func(format string, args ...any) { fmt.Fprintf(a.env.Stdout, format+"\n", args...) }
	if m.Shape != "" {
		say("%s %s\n\n%s\n", m.Vendor, m.Name, picture.Text(m.Shape))
	}
	for _, fact := range known {
		where := fact.Vendor
		if fact.Models != "all" {
			where += ", " + fact.Models
		}
		if fact.Firmware != "all" {
			where += ", firmware " + fact.Firmware
		}
		say("%s: %s\n  [%s] from %s, confidence %s", where, fact.Text, fact.ID, fact.Source, fact.Confidence)
	}
	say("\nNothing of this was tested on vendors' hardware yet; it rests on documents.")
}
