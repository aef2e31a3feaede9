package app

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/web/picture"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/wordwrap"
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
	sources  bool
}

// model says what is known about a vendor's devices.
func (a *app) model() *cobra.Command {
	var o modelOptions
	c := &cobra.Command{
		Use:   "model [NAME]",
		Short: "Say where the button is, how long to hold it and what it does",
		Long: `Model says what is known of a NAS: where its reset button is, how long to hold
it, what each reset changes and keeps, and what the password is afterwards.
NAME is a model, such as DS920+ or TS-453D, or a maker; without it all is
listed. Every sentence says how sure it is, and with --sources where it is from.`,
		Args: cobra.ArbitraryArgs,
		RunE: run(func(_ context.Context, args []string) error {
			return a.runModel(strings.Join(args, " "), o)
		}),
	}
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON document")
	c.Flags().StringVar(&o.firmware, "firmware", "", "list only what holds for that `VERSION`, such as 7.2 or 5.1.9")
	c.Flags().BoolVar(&o.sources, "sources", false, "say of each sentence where it is from")
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
	a.describeModel(m, f.Facts, o.sources)
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

// chapters are the headings under which facts are told, by the word of their ids
// that follows the maker's. What no other chapter has is in the last.
func chapters() []chapter {
	return []chapter{
		{"Where the button is", []string{"ds", "rs", "fs", "ts", "place"}},
		{"The button", []string{"button", "press"}},
		{"What the short press does", []string{"mode1", "basic"}},
		{"What the longer one does", []string{"mode2", "advanced", "status", "factory_default"}},
		{"The password afterwards", []string{"default", "keep_password", "window"}},
		{"Lights and beeps", []string{"led", "beep", "findme"}},
		{"Ways in without a reset", []string{"signin", "autoblock", "block", "secure_ip", "twostep", "other_admin", "forgot_mail", "approval", "emergency_code", "quickconnect", "remote", "console", "ssh", "safe_mode"}},
		{"Advice that is wrong", []string{"wrong", "erase_all"}},
		{"Besides", nil},
	}
}

type chapter struct {
	heading string
	words   []string
}

// chapterOf is the index of a fact's chapter.
func chapterOf(f catalog.Fact) int {
	parts := strings.Split(string(f.ID), ".")
	word := parts[min(1, len(parts)-1)]
	if parts[0] == "model" || parts[0] == "family" {
		word = "place"
	}
	all := chapters()
	if i := slices.IndexFunc(all, func(c chapter) bool { return slices.Contains(c.words, word) }); i >= 0 {
		return i
	}
	return len(all) - 1
}

const factWidth = 76 // of a line, without what it is set in by

func (a *app) describeModel(m catalog.Model, known []catalog.Fact, sources bool) {
	say := func(format string, args ...any) { fmt.Fprintf(a.env.Stdout, format+"\n", args...) }
	if m.Shape != "" {
		say("%s %s\n\n%s", m.Vendor, m.Name, picture.Text(m.Shape))
	}
	known = slices.Clone(known)
	slices.SortStableFunc(known, func(x, y catalog.Fact) int {
		return cmp.Or(strings.Compare(x.Vendor, y.Vendor), chapterOf(x)-chapterOf(y))
	})
	under := ""
	for _, fact := range known {
		if here := fact.Vendor + ": " + chapters()[chapterOf(fact)].heading; here != under {
			under = here
			say("\n%s", here)
		}
		text := fact.Text + " [" + string(fact.Confidence) + "]"
		if fact.Firmware != "all" {
			text = "Firmware " + fact.Firmware + ": " + text
		}
		for i, line := range wordwrap.Lines(text, factWidth) {
			say("%s%s", []string{"- ", "  "}[min(i, 1)], line)
		}
		if sources {
			say("  (%s, from: %s)", fact.ID, fact.Source)
		}
	}
	say("\nHow sure that is: A two sources or the maker's own, B one good source, C a weak one,\nI concluded, ? looked for and not found. Nothing of it was tried on a maker's hardware.")
	if !sources {
		say("Where each sentence is from: --sources.")
		return
	}
	say("The project's notes on a maker, by paragraph, are kept beside the program and name the manual, article or\nprogram behind each; ask for a paragraph by its number, with an issue.")
}
