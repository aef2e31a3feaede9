// Package leases reads what a router remembers of the addresses that it gave
// out: the lease files of dnsmasq, ISC dhcpd, Kea (CSV) and odhcpd (OpenWrt).
// Where a search does not reach, that list does (row F5).
//
// It reads text and gives values; it opens no file and writes none. A name in a
// lease is what the device called itself, and a MAC is what it showed: hints,
// as all that a LAN says.
package leases

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// Bounds on what is read.
const (
	MaxSize   = 16 << 20 // bytes
	MaxLeases = 1 << 17
	maxLine   = 4096
)

// Format is a kind of lease file.
type Format string

// The formats that are read.
const (
	Dnsmasq Format = "dnsmasq"
	ISC     Format = "ISC dhcpd"
	Kea     Format = "Kea"
	Odhcpd  Format = "odhcpd"
)

// Errors of Parse; test with errors.Is. Their text names the line.
var (
	ErrUnknown   = errors.New("no lease file of dnsmasq, ISC dhcpd, Kea or odhcpd")
	ErrMalformed = errors.New("malformed lease")
	ErrTooLarge  = errors.New("more leases than this program reads")
)

// Lease is one address that was given out.
type Lease struct {
	Address netip.Addr
	MAC     string    // lower case with colons; empty where the file has none (IPv6)
	Name    string    // as the device called itself, safe to print; may be empty
	Expires time.Time // zero where it never does or the file does not say
}

// Parse reads a lease file of whichever format it is. An address that stands
// twice has its last lease, as these files are logs; leases that are marked as
// given back are left out. An empty file is one of dnsmasq without leases.
func Parse(b []byte) ([]Lease, Format, error) {
	if len(b) > MaxSize {
		return nil, "", ErrTooLarge
	}
	l := &list{at: map[netip.Addr]int{}}
	format := detect(b)
	read := map[Format]func([]byte, *list) error{Dnsmasq: dnsmasq, ISC: isc, Kea: kea, Odhcpd: odhcpd}[format]
	if read == nil {
		return nil, "", ErrUnknown
	}
	if err := read(b, l); err != nil {
		return nil, format, err
	}
	return l.leases(), format, nil
}

// detect looks at the first line that says something.
func detect(b []byte) Format {
	for line := range strings.Lines(string(b[:min(len(b), 64<<10)])) {
		line = strings.TrimSpace(line)
		fields := strings.Fields(line)
		switch {
		case line == "":
		case len(fields) >= 9 && fields[0] == "#" && isAddressList(fields[8:]):
			return Odhcpd
		case line[0] == '#':
		case strings.HasPrefix(line, "address,"):
			return Kea
		case fields[0] == "duid" && len(fields) == 2, len(fields) >= 4 && isNumber(fields[0]) && isAddress(fields[2]):
			return Dnsmasq
		case len(fields) >= 2 && isAddress(fields[0]): // a hosts line of odhcpd
			return Odhcpd
		case strings.HasPrefix(line, "lease ") || strings.HasPrefix(line, "authoring-byte-order") || strings.HasPrefix(line, "server-duid") ||
			strings.HasPrefix(line, "failover ") || strings.HasPrefix(line, "host ") || strings.HasPrefix(line, "ia-"):
			return ISC
		default:
			return ""
		}
	}
	if strings.Contains(string(b[:min(len(b), 64<<10)]), "dhcpd") { // ISC's heading, and no lease yet
		return ISC
	}
	if len(strings.TrimSpace(string(b))) == 0 {
		return Dnsmasq
	}
	return ""
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 63)
	return err == nil
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

func isAddressList(s []string) bool {
	for _, p := range s {
		if _, err := netip.ParsePrefix(p); err != nil {
			return false
		}
	}
	return true
}

// list holds one lease an address, in the order in which addresses came.
type list struct {
	all  []Lease
	gone []bool
	at   map[netip.Addr]int
}

func (l *list) put(x Lease, gone bool) error {
	x.Name = printable.Clean(x.Name)
	if i, ok := l.at[x.Address]; ok {
		l.all[i], l.gone[i] = x, gone
		return nil
	}
	if len(l.all) == MaxLeases {
		return ErrTooLarge
	}
	l.at[x.Address] = len(l.all)
	l.all, l.gone = append(l.all, x), append(l.gone, gone)
	return nil
}

func (l *list) leases() []Lease {
	out := []Lease{}
	for i, x := range l.all {
		if !l.gone[i] {
			out = append(out, x)
		}
	}
	return out
}

// eachLine calls take with the fields of each line, and names the line in what
// it returns.
func eachLine(b []byte, take func(fields []string) error) error {
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		if len(line) > maxLine {
			return fmt.Errorf("%w: line %d is longer than %d bytes", ErrMalformed, n, maxLine)
		}
		if err := take(strings.Fields(line)); err != nil {
			return fmt.Errorf("%w, in line %d", err, n)
		}
	}
	return nil
}

// dnsmasq: expiry, MAC (with an interface type in front where it is not
// Ethernet) or IAID, address, name or *, client id or *.
func dnsmasq(b []byte, l *list) error {
	return eachLine(b, func(f []string) error {
		if len(f) == 0 || strings.HasPrefix(f[0], "#") || f[0] == "duid" && len(f) == 2 {
			return nil
		}
		if len(f) < 4 || !isNumber(f[0]) {
			return ErrMalformed
		}
		a, err := netip.ParseAddr(f[2])
		if err != nil {
			return ErrMalformed
		}
		mac, _ := nas.NormalMAC(f[1])
		return l.put(Lease{Address: a, MAC: mac, Name: unless(f[3], "*"), Expires: seconds(f[0])}, false)
	})
}

// odhcpd: "# interface duid-or-mac iaid-or-ipv4 name until id length prefix…",
// and hosts lines, which repeat them.
func odhcpd(b []byte, l *list) error {
	return eachLine(b, func(f []string) error {
		if len(f) < 9 || f[0] != "#" {
			return nil
		}
		mac := ""
		if f[3] == "ipv4" {
			mac, _ = nas.NormalMAC(f[2])
		}
		expires := time.Time{}
		if isNumber(f[5]) {
			expires = seconds(f[5])
		}
		for _, s := range f[8:] {
			p, err := netip.ParsePrefix(s)
			if err != nil {
				return ErrMalformed
			}
			if p.IsSingleIP() {
				if err := l.put(Lease{Address: p.Addr(), MAC: mac, Name: unless(f[4], "-"), Expires: expires}, false); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// kea: a heading that names the columns, then a line each time that a lease
// changes. State 0 is a lease in use (Kea ARM, "lease file").
func kea(b []byte, l *list) error {
	r := csv.NewReader(strings.NewReader(string(b)))
	r.FieldsPerRecord = -1
	r.LazyQuotes = true
	r.ReuseRecord = true
	column := map[string]int{}
	for first := true; ; first = false {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		line, _ := r.FieldPos(0)
		if err != nil {
			return fmt.Errorf("%w, in line %d", ErrMalformed, line)
		}
		if first {
			for i, name := range row {
				column[name] = i
			}
			continue
		}
		get := func(name string) string {
			if i, ok := column[name]; ok && i < len(row) {
				return strings.ReplaceAll(row[i], "&#x2c", ",")
			}
			return ""
		}
		a, err := netip.ParseAddr(get("address"))
		if err != nil {
			return fmt.Errorf("%w, in line %d", ErrMalformed, line)
		}
		mac, _ := nas.NormalMAC(get("hwaddr"))
		state := get("state")
		gone := state != "" && state != "0" || get("valid_lifetime") == "0"
		if err := l.put(Lease{Address: a, MAC: mac, Name: get("hostname"), Expires: seconds(get("expire"))}, gone); err != nil {
			return err
		}
	}
}

func seconds(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

func unless(s, empty string) string {
	if s == empty {
		return ""
	}
	return s
}
