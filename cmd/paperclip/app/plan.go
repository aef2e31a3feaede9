package app

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
)

type planOptions struct {
	lab           labFlags
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
		Args:  cobra.ExactArgs(1),
		RunE:  run(func(ctx context.Context, args []string) error { return a.runPlan(ctx, o, args[0]) }),
	}
	o.lab.add(c.Flags())
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON document")
	c.Flags().StringVar(&o.mode, "mode", string(reset.Soft), "soft or hard")
	c.Flags().StringVar(&o.scope, "scope", "", "what a soft reset is for: credentials, network or all")
	c.Flags().StringVar(&o.administrator, "administrator", "", "whose password would be replaced")
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
	l, err := a.open(ctx, o.lab, 0)
	if err != nil {
		return err
	}
	defer l.close()
	found, err := finder{lan: l}.Find(ctx, target)
	if err != nil {
		return err
	}
	if l.rack == nil {
		return catalog.New("plan_needs_proof")
	}
	virtual, ok := l.rack.Named(found[0].Name)
	if !ok {
		return catalog.New("target_unknown", found[0].Name)
	}
	p, err := virtual.Plan(ctx, mode, scope, o.administrator)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.people(o.json), "This is the plan for "+virtual.Identity().Label()+".")
	if o.json {
		return a.print(p)
	}
	for _, line := range rescue.PlanLines(p) {
		fmt.Fprintln(a.env.Stdout, line)
	}
	return nil
}
