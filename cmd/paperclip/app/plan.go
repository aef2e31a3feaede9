package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

type planOptions struct {
	lab           labFlags
	owner         ownerFlags
	json          bool
	mode, scope   string
	administrator string
}

// plan says what a reset would do.
func (a *app) plan() *cobra.Command {
	var o planOptions
	c := &cobra.Command{
		Use:   "plan TARGET",
		Short: "Say what a reset would change, keep and cost, without doing it",
		Long: `Plan shows what a reset of a NAS would change, keep and cost, made from its
real settings, and changes nothing. A NAS shows them only to its owner: to this
computer's owner key, which a rescue has enrolled, or to an administrator's name
(--as) and password.`,
		Args: arguments(1, 1),
		RunE: run(func(ctx context.Context, args []string) error { return a.runPlan(ctx, o, args[0]) }),
	}
	o.owner.add(c.Flags())
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON document")
	c.Flags().StringVar(&o.mode, "mode", string(reset.Soft), "the `MODE`: soft, or hard (everything but the files)")
	c.Flags().StringVar(&o.scope, "scope", "", "what a soft reset sets back, the `SCOPE`: credentials, network or all")
	c.Flags().StringVar(&o.administrator, "administrator", "", "the `NAME` of the administrator whose password would be replaced")
	o.lab.add(c.Flags())
	return c
}

func (a *app) runPlan(ctx context.Context, o planOptions, target string) error {
	mode, err := reset.ParseMode(o.mode)
	if err != nil {
		return catalog.New("usage", "The "+err.Error()+".")
	}
	scope, err := reset.ParseScope(o.scope)
	if err != nil {
		return catalog.New("usage", "The "+err.Error()+".")
	}
	if err := o.owner.check(); err != nil {
		return err
	}
	l, err := a.open(ctx, o.lab, 0)
	if err != nil {
		return err
	}
	defer l.close()
	label, p, err := a.planOf(ctx, l, o, target, deviceapi.PlanCall{Mode: mode, Scope: scope, Administrator: o.administrator})
	if err != nil {
		return err
	}
	fmt.Fprintln(a.people(o.json), "This is the plan for "+label+".")
	if o.json {
		return a.print(p)
	}
	for _, line := range rescue.PlanLines(p) {
		fmt.Fprintln(a.env.Stdout, line)
	}
	return nil
}

// planOf asks the NAS, as its owner. The lab is the owner of its NAS, and asks
// them so only where it is told as whom.
func (a *app) planOf(ctx context.Context, l *lan, o planOptions, target string, q deviceapi.PlanCall) (label string, p reset.Plan, err error) {
	if l.rack != nil && o.owner.as == "" {
		found, err := finder{lan: l, wait: o.owner.wait}.Find(ctx, target)
		if err != nil {
			return "", p, err
		}
		virtual, ok := l.rack.Named(found[0].Name)
		if !ok {
			return "", p, catalog.New("target_unknown", found[0].Name)
		}
		p, err = virtual.Plan(ctx, q.Mode, q.Scope, q.Administrator)
		return virtual.Identity().Label(), p, err
	}
	who, err := a.asOwner(ctx, l, target, o.owner, o.json)
	if errors.Is(err, catalog.New("identity_unknown")) || errors.Is(err, catalog.New("owner_unknown")) {
		err = catalog.New("plan_needs_proof").Because(err)
	}
	if err != nil {
		return "", p, err
	}
	if q.Mode == reset.Hard {
		q.Wizard = &reset.Wizard{} // the plain one: rescue asks
	}
	var r deviceapi.PlanReply
	if err := who.Call(ctx, deviceapi.OwnerPlan, q, &r); err != nil {
		return "", p, err
	}
	if r.Check() != nil {
		return "", p, catalog.New("bad_message", "the plan is not the one that its hash names")
	}
	return who.name(), r.Plan, nil
}
