package app

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/owner/seen"
	"github.com/paperclip-nas/paperclip/internal/owner/terminal"
)

func isTerminal(f *os.File) bool { return terminal.Is(f) }

// watchFind searches again and again and tells of each change, until ctx ends:
// with --json one document a line, on a terminal in place.
func (a *app) watchFind(ctx context.Context, l *lan, o findOptions, s search, opts discover.Options, memory *seen.Memory) error {
	var watch discover.Watch
	screen := a.table(o.json)
	network := discover.Around().Network()
	tell := func(changes []discover.Change) {
		if screen.inPlace {
			screen.show(watch.Devices())
			return
		}
		for _, c := range changes {
			a.tellChange(o.json, c)
		}
	}
	opts.Changed = func(devices []discover.Device) {
		memory.Recall(network, devices)
		tell(watch.See(devices))
	}
	for ctx.Err() == nil {
		begun := a.clock.Monotonic()
		res, err := discover.Find(ctx, l.sources(s.via, s.targets, s.leases), opts)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if ctx.Err() == nil {
			memory.Recall(network, res.Devices)
			tell(watch.Over(res.Devices))
			memory.Note(network, a.clock.Now(), res.Devices)
			_ = memory.Save() // a convenience: what is watched counts
		}
		select { // a search that ends early is not begun again at once
		case <-ctx.Done():
		case <-a.clock.After(time.Second - min(time.Second, a.clock.Monotonic()-begun)):
		}
	}
	return nil
}

func (a *app) tellChange(asJSON bool, c discover.Change) {
	if asJSON {
		if line, err := json.Marshal(c); err == nil {
			fmt.Fprintln(a.env.Stdout, string(line))
		}
		return
	}
	line := append([]string{c.Kind}, columns(c.Device)...)
	if what := c.Change(); what != "" {
		line = append(line, what)
	}
	fmt.Fprintln(a.env.Stdout, strings.Join(line, "  "))
}

// identify says whether the device that is meant by its name or address is the
// one with a certain label (row F7).
func (a *app) identify(ctx context.Context, o findOptions, sources []discover.Source, opts discover.Options) error {
	typed := o.label
	if typed == "" {
		tty, ok := a.tty()
		if !ok || o.json {
			return catalog.New("no_terminal", "Give the MAC address or serial number from the label with --label.")
		}
		fmt.Fprint(a.env.Stderr, "MAC address or serial number, as on the label of the NAS: ")
		line, err := bufio.NewReader(tty).ReadString('\n')
		if typed = strings.TrimSpace(line); typed == "" {
			return catalog.New("usage", "Nothing was typed.").Because(err)
		}
	}
	opts.Enough = func(devices []discover.Device) bool {
		d, err := discover.Match(devices, o.identify)
		return err == nil && (d.Serial != "" || len(d.MACs) > 0)
	}
	res, err := discover.Find(ctx, sources, opts)
	if err != nil {
		return err
	}
	d, err := discover.Match(res.Devices, o.identify)
	if err != nil {
		return err
	}
	by, differs := d.Identify(typed)
	if o.json {
		if err := a.print(struct {
			Device discover.Device `json:"device"`
			Is     bool            `json:"is"`
			By     string          `json:"by"`
		}{d, differs == nil, by}); err != nil {
			return err
		}
	}
	if differs != nil {
		fmt.Fprintln(a.people(o.json), d.Label())
		if o.json {
			return a.told(differs)
		}
		return differs
	}
	fmt.Fprintln(a.people(o.json), "Yes, it is that one: "+d.Label())
	return nil
}
