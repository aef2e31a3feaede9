package app

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
)

// wizardFlags are answers of a hard reset's set-up wizard that are given
// beforehand.
type wizardFlags struct {
	name    string
	network []string
	restore string
	// newAdministrator is the name of an account that the reset makes.
	newAdministrator string
}

func (w *wizardFlags) add(f *pflag.FlagSet) {
	f.StringVar(&w.name, "name", "", "with --mode hard: the `NAME` that the NAS has then (default: as it is)")
	f.StringArrayVar(&w.network, "network", nil, "with --mode hard: `NETWORK` is dhcp (the default), or CARD=ADDRESS/SIZE[,gateway=ADDRESS][,dns=ADDRESS]; may be repeated")
	f.StringVar(&w.newAdministrator, "new-administrator", "", "with --mode hard: the first administrator is a new account with this `NAME`")
	f.StringVar(&w.restore, "restore", "", "with --mode hard: `WHAT` is to be put back afterwards: none (the default), bundle or snapshot")
}

// check refuses what could not be an answer on any NAS.
func (w wizardFlags) check(m reset.Mode) error {
	given := w.answers()
	if len(given) > 0 && m != reset.Hard {
		return catalog.New("usage", "--name, --new-administrator, --network and --restore go with --mode hard.")
	}
	if w.newAdministrator != "" {
		if err := reset.CheckNewAccount(w.newAdministrator, nas.Settings{}); err != nil {
			return catalog.New("usage", "--new-administrator: "+err.Error()+".")
		}
	}
	for _, text := range w.network {
		if text == "dhcp" {
			continue
		}
		if _, err := reset.ParseAddress(text); err != nil {
			return catalog.New("usage", err.Error()+".")
		}
	}
	switch reset.Restore(w.restore) {
	case reset.RestoreNone, "none", reset.RestoreBundle, reset.RestoreSnapshot:
		return nil
	}
	return catalog.New("usage", "--restore is none, bundle or snapshot.")
}

// answers are those that were given, by the question that they answer.
func (w wizardFlags) answers() map[rescue.QuestionID]string {
	all := map[rescue.QuestionID]string{}
	if w.newAdministrator != "" {
		all[rescue.AskAdministrator] = rescue.SomebodyNew
	}
	for id, text := range map[rescue.QuestionID]string{rescue.AskNewAdministrator: w.newAdministrator, rescue.AskName: w.name, rescue.AskNetwork: strings.Join(w.network, " "), rescue.AskRestore: w.restore} {
		if text != "" {
			all[id] = text
		}
	}
	return all
}
