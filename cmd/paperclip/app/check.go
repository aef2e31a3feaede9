package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/check"
	"github.com/paperclip-nas/paperclip/internal/owner/driver/native"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// check says whether its owner would get back in tomorrow.
func (a *app) check() *cobra.Command {
	var lab labFlags
	var owner ownerFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "check TARGET",
		Short: "Say whether you would get back in tomorrow, and whether others would",
		Long: `Check looks at a NAS with Paperclip and says what would help you back in, what
is missing, and what stands open, with what to do about it. It changes nothing.

It speaks with this computer's owner key, which a rescue has enrolled, or with
--as NAME and that administrator's password. A Synology or QNAP is asked by its
own API, as --as NAME; that password is sent once.`,
		Args: arguments(1, 1),
		RunE: run(func(ctx context.Context, args []string) error { return a.runCheck(ctx, lab, owner, asJSON, args[0]) }),
	}
	owner.add(c.Flags())
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	lab.add(c.Flags())
	return c
}

func (a *app) runCheck(ctx context.Context, lab labFlags, owner ownerFlags, asJSON bool, target string) error {
	if err := owner.check(); err != nil {
		return err
	}
	l, err := a.open(ctx, lab, 0)
	if err != nil {
		return err
	}
	defer l.close()
	who, err := a.asOwner(ctx, l, target, owner, asJSON)
	if other, ok := errors.AsType[foreign](err); ok {
		report, err := a.checkVendor(ctx, l, other.nas, owner, asJSON)
		if err != nil {
			return err
		}
		return a.showReport(report, asJSON)
	}
	if err != nil {
		return err
	}
	var r deviceapi.CheckReply
	if err := who.Call(ctx, deviceapi.OwnerCheck, deviceapi.Empty{}, &r); err != nil {
		return err
	}
	here := a.enrolled(ctx, l, who)
	r.Facts.Here = &here
	report := check.Judge(who.name(), r.Facts, "the NAS's own settings, read now over its pinned connection", catalog.A)
	return a.showReport(report, asJSON)
}

func (a *app) showReport(report check.Report, asJSON bool) error {
	for i := range report.Checks {
		one := &report.Checks[i]
		one.Why, one.WhatToDo = printable.Clean(one.Why), printable.Clean(one.WhatToDo)
	}
	if asJSON {
		return a.print(report)
	}
	for _, one := range report.Checks {
		mark := "ok  "
		if !one.OK {
			mark = "LOOK"
		}
		fmt.Fprintf(a.env.Stdout, "%s  %s\n", mark, one.Why)
		if one.WhatToDo != "" {
			fmt.Fprintf(a.env.Stdout, "      → %s\n", strings.ReplaceAll(one.WhatToDo, " TARGET ", " "+printable.Clean(report.Device)+" "))
		}
	}
	more := ""
	if report.Score < 100 {
		more = " What is marked LOOK is what is missing."
	}
	fmt.Fprintf(a.env.Stdout, "\n%s: %d of 100.%s\n", printable.Clean(report.Device), report.Score, more)
	return nil
}

// enrolled tells whether this computer's own key is let in.
func (a *app) enrolled(ctx context.Context, l *lan, who owned) bool {
	if as := who.As(); as.By == deviceapi.ByOwnerKey {
		return as.Account != ""
	}
	key, err := l.keys.OwnerKey(rand.Reader)
	if err != nil {
		return false
	}
	o, err := who.device.Owner(ctx, native.Proof{Key: key})
	return err == nil && o.As().Account != ""
}
