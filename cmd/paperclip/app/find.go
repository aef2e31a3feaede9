package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
)

type findOptions struct {
	lab    labFlags
	json   bool
	watch  bool
	wait   time.Duration
	via    []string
	leases string
}

// find lists every NAS on the LAN.
func (a *app) find() *cobra.Command {
	var o findOptions
	c := &cobra.Command{
		Use:   "find [ADDRESS|SUBNET…]",
		Short: "List every NAS on the network, with its status",
		Long: `Find asks in several ways at once, and says for each value who said so. What
devices say of themselves is a hint; "verified" says whether a device showed
the key that this computer remembers of it.`,
		RunE: run(func(ctx context.Context, args []string) error { return a.runFind(ctx, o, args) }),
	}
	o.lab.add(c.Flags())
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON document")
	c.Flags().BoolVar(&o.watch, "watch", false, "go on, and print a line for each change")
	c.Flags().DurationVar(&o.wait, "wait", discover.DefaultWait, "how long to wait for answers")
	c.Flags().StringSliceVar(&o.via, "via", nil, "only these ways: findhost, mdns, native")
	c.Flags().StringVar(&o.leases, "leases", "", "read a router's DHCP leases from a file")
	return c
}

func (a *app) runFind(ctx context.Context, o findOptions, args []string) error {
	targets, err := a.checkFind(o, args)
	if err != nil {
		return err
	}
	l, err := a.open(ctx, o.lab, 0)
	if err != nil {
		return err
	}
	defer l.close()
	opts := discover.Options{Wait: o.wait, Verify: l.verify}
	if o.watch {
		return a.watchFind(ctx, l, o, targets, opts)
	}
	res, err := discover.Find(ctx, l.sources(o.via, targets), opts)
	if err != nil {
		return err
	}
	if !o.json {
		a.tabulate(res.Devices)
	} else if err := a.print(res); err != nil {
		return err
	}
	for _, f := range res.Findings {
		fmt.Fprintln(a.people(o.json), strings.TrimSpace(f.Text+" "+f.WhatToDo))
	}
	if res.Err() != nil {
		return alreadyTold{catalog.ExitOf(res.Err())}
	}
	return nil
}

func (a *app) checkFind(o findOptions, args []string) ([]netip.Addr, error) {
	switch {
	case o.leases != "":
		return nil, catalog.New("not_yet", "reading a lease list")
	case o.wait <= 0 || o.wait > time.Hour:
		return nil, catalog.New("usage", "--wait is from a moment to an hour, as in 12s.")
	}
	for _, v := range o.via {
		switch {
		case slices.Contains([]string{"qfinder", "ssdp"}, v):
			return nil, catalog.New("not_yet", "finding by "+v)
		case !slices.Contains([]string{"findhost", "mdns", "native"}, v):
			return nil, catalog.New("usage", fmt.Sprintf("--via %q is not known.", v))
		}
	}
	var out []netip.Addr
	for _, arg := range args {
		addrs, err := expand(arg)
		if err != nil {
			return nil, err
		}
		out = append(out, addrs...)
	}
	return out, nil
}

// expand reads an address, or a subnet of at most 256 addresses.
func expand(s string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return []netip.Addr{a}, nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().BitLen()-p.Bits() > 8 {
		return nil, catalog.New("usage", fmt.Sprintf("%q is no address and no subnet of at most 256 addresses.", s))
	}
	var out []netip.Addr
	for a := p.Masked().Addr(); p.Contains(a); a = a.Next() {
		out = append(out, a)
	}
	return out, nil
}

// watchFind prints a line for each change until ctx ends.
func (a *app) watchFind(ctx context.Context, l *lan, o findOptions, targets []netip.Addr, opts discover.Options) error {
	last := map[string]string{}
	opts.Verify = nil
	opts.Changed = func(devices []discover.Device) {
		for _, d := range devices {
			line, err := json.Marshal(d)
			if err != nil || last[key(d)] == string(line) {
				continue
			}
			last[key(d)] = string(line)
			if o.json {
				fmt.Fprintln(a.env.Stdout, string(line))
			} else {
				fmt.Fprintln(a.env.Stdout, strings.Join(columns(d), "  "))
			}
		}
	}
	for ctx.Err() == nil {
		begun := a.clock.Monotonic()
		if _, err := discover.Find(ctx, l.sources(o.via, targets), opts); err != nil && ctx.Err() == nil {
			return err
		}
		select { // a search that ends early is not begun again at once
		case <-ctx.Done():
		case <-a.clock.After(time.Second - min(time.Second, a.clock.Monotonic()-begun)):
		}
	}
	return nil
}

func key(d discover.Device) string { return d.KeyID + " " + d.Serial + " " + strings.Join(d.MACs, " ") }

// tabulate prints a calm table.
func (a *app) tabulate(devices []discover.Device) {
	if len(devices) == 0 {
		return
	}
	w := tabwriter.NewWriter(a.env.Stdout, 0, 4, 3, ' ', 0)
	fmt.Fprintln(w, "NAME\tMODEL\tSTATUS\tADDRESS\tMAC\tVERIFIED")
	for _, d := range devices {
		fmt.Fprintln(w, strings.Join(columns(d), "\t"))
	}
	_ = w.Flush()
}

func columns(d discover.Device) []string {
	addr, mac := "-", "-"
	if len(d.Addresses) > 0 {
		addr = d.Addresses[0].String()
	}
	if len(d.MACs) > 0 {
		mac = d.MACs[0]
	}
	return []string{d.Name, strings.TrimSpace(d.Vendor + " " + d.Model), d.StatusText, addr, mac, string(d.Verified)}
}
