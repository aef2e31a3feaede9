package app

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/owner/seen"
	"github.com/paperclip-nas/paperclip/internal/protocol/leases"
)

type findOptions struct {
	lab      labFlags
	json     bool
	watch    bool
	wait     time.Duration
	via      []string
	leases   string
	identify string
	label    string
}

// search is what a checked command line asks for.
type search struct {
	via     []string
	wait    time.Duration // 0: as long as it takes
	targets []netip.Prefix
	leases  *discover.Leases
}

// find lists every NAS on the LAN.
func (a *app) find() *cobra.Command {
	var o findOptions
	c := &cobra.Command{
		Use:   "find [ADDRESS|SUBNET…]",
		Short: "List every NAS on the network, with its status",
		Long: `Find asks the whole network in several ways at once, and changes nothing.
Addresses and subnets (at most a /16) are asked where no broadcast reaches.

What a NAS says of itself is a hint, which --json gives with who said so.
VERIFIED says more: match, it showed the key that this computer remembers of
it; mismatch, it showed another; unknown, there is none to compare.`,
		RunE: run(func(ctx context.Context, args []string) error { return a.runFind(ctx, o, args) }),
	}
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON document")
	c.Flags().BoolVar(&o.watch, "watch", false, "go on, and tell of each change")
	c.Flags().DurationVar(&o.wait, "wait", 0, "how much `TIME` to wait for answers, as in 30s (12s, or what asking every typed address takes)")
	c.Flags().StringSliceVar(&o.via, "via", nil, "only these `WAYS`, with commas between: "+strings.Join(ways(), ", "))
	c.Flags().StringVar(&o.leases, "leases", "", "read a router's DHCP leases from a `FILE` (dnsmasq, ISC dhcpd, Kea, odhcpd)")
	c.Flags().StringVar(&o.identify, "identify", "", "say whether `NAME` is the box before you: it asks for the MAC or serial number on the label")
	c.Flags().StringVar(&o.label, "label", "", "with --identify: the `MAC` or serial number from the label, instead of being asked")
	o.lab.add(c.Flags())
	return c
}

func (a *app) runFind(ctx context.Context, o findOptions, args []string) error {
	s, err := a.checkFind(o, args)
	if err != nil {
		return err
	}
	l, err := a.open(ctx, o.lab, 0)
	if err != nil {
		return err
	}
	defer l.close()
	memory, err := seen.Open(a.fsys, l.home)
	if err != nil {
		return catalog.New("file_unusable", reason(err)).Because(err)
	}
	sources := l.sources(s.via, s.targets, s.leases)
	opts := discover.Options{Wait: s.wait, Verify: l.verify, Around: l.around()}
	if opts.Wait == 0 {
		opts.Wait = takes(sources)
	}
	switch {
	case o.identify != "":
		return a.identify(ctx, o, sources, opts)
	case o.watch:
		return a.watchFind(ctx, l, o, s, opts, memory)
	}
	table := a.table(o.json)
	network := discover.Around().Network()
	if table.inPlace {
		opts.Changed = table.show
	}
	res, err := discover.Find(ctx, sources, opts)
	if err != nil {
		return err
	}
	memory.Recall(network, res.Devices)
	memory.Note(network, a.clock.Now(), res.Devices)
	if err := memory.Save(); err != nil { // a convenience: the list is what counts
		fmt.Fprintln(a.env.Stderr, catalog.New("file_unusable", reason(err)).Text)
	}
	if !o.json {
		table.show(res.Devices)
	} else if err := a.print(res); err != nil {
		return err
	}
	a.remark(o.json, res)
	if !o.json && len(res.Devices) > 0 {
		fmt.Fprintf(a.env.Stdout, "\nLocked out of one of these? %s NAME\n", o.lab.command())
	}
	if res.Err() != nil {
		return alreadyTold{catalog.ExitOf(res.Err())}
	}
	return nil
}

// remark tells people what changed and what was found out.
func (a *app) remark(asJSON bool, res discover.Result) {
	for _, d := range res.Devices {
		if c := d.Change(); c != "" {
			fmt.Fprintln(a.people(asJSON), d.Label()+": "+c)
		}
	}
	for _, f := range res.Findings {
		fmt.Fprintln(a.people(asJSON), strings.TrimSpace(f.Text+" "+f.WhatToDo))
	}
}

// around explains what is missing on a real network; the lab has none.
func (l *lan) around() func() discover.Surroundings {
	if l.rack != nil {
		return nil
	}
	return discover.Around
}

func (a *app) checkFind(o findOptions, args []string) (search, error) {
	s := search{via: o.via, wait: o.wait}
	switch {
	case o.wait < 0 || o.wait > time.Hour || o.wait == 0 && slices.ContainsFunc(a.env.Args, func(s string) bool { return strings.HasPrefix(s, "--wait") }):
		return s, catalog.New("usage", "--wait is from a moment to an hour, as in 12s.")
	case o.label != "" && o.identify == "":
		return s, catalog.New("usage", "--label goes with --identify TARGET.")
	case o.identify != "" && o.watch:
		return s, catalog.New("usage", "--identify and --watch do not go together.")
	}
	for _, v := range o.via {
		if !slices.Contains(ways(), v) {
			return s, catalog.New("usage", fmt.Sprintf("--via %q is not known; there are %s.", v, strings.Join(ways(), ", ")))
		}
	}
	for _, arg := range args {
		p, err := subnet(arg)
		if err != nil {
			return s, err
		}
		s.targets = append(s.targets, p)
	}
	if o.leases == "" {
		return s, nil
	}
	file, err := readBounded(o.leases, leases.MaxSize)
	if err != nil {
		return s, catalog.New("leases_unusable", reason(err)).Because(err)
	}
	s.leases, err = discover.NewLeases(file)
	return s, err
}

// table prints a calm table, on a terminal always in the same place.
type table struct {
	out     io.Writer
	inPlace bool
	lines   int // of the table that stands there
}

func (a *app) table(asJSON bool) *table {
	t := &table{out: a.env.Stdout}
	if f, ok := a.env.Stdout.(*os.File); ok && !asJSON {
		t.inPlace = isTerminal(f) && a.env.Getenv("TERM") != "dumb"
	}
	return t
}

func (t *table) show(devices []discover.Device) {
	var b strings.Builder
	if t.inPlace && t.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", t.lines)
	}
	if len(devices) > 0 {
		w := tabwriter.NewWriter(&b, 0, 4, 3, ' ', 0)
		fmt.Fprintln(w, "NAME\tMODEL\tSTATUS\tADDRESS\tMAC\tVERIFIED")
		for _, d := range devices {
			fmt.Fprintln(w, strings.Join(columns(d), "\t"))
		}
		_ = w.Flush()
	}
	t.lines = 0
	if len(devices) > 0 {
		t.lines = len(devices) + 1
	}
	fmt.Fprint(t.out, b.String())
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
