// Package netstack says which program configures which wired interface, so
// that exactly one setting adapter answers for it: by the files of each program
// and by what the running ones say.
//
// [Decide] is a table over five facts; [Survey] gathers them. Where two
// programs both say that an interface is theirs, nobody gets it: the second
// would undo what a reset does to the first, and the reason is given. The
// package changes nothing, starts nothing, and knows no file's content beyond
// the names of interfaces.
package netstack

import "fmt"

// Stack is a program that configures interfaces. Its value is its usual name.
type Stack string

// The stacks. Netplan configures nothing itself, it writes files for the
// others, which are no use to change.
const (
	None           Stack = ""
	Ifupdown       Stack = "ifupdown"
	Networkd       Stack = "systemd-networkd"
	NetworkManager Stack = "NetworkManager"
	Netplan        Stack = "netplan"
)

// Facts are what is known of one interface.
type Facts struct {
	Stanza         bool // /etc/network/interfaces has a stanza for it, or for what it is a member of
	Up             bool // ifup has brought it up
	Networkd       bool // systemd-networkd runs and configures it by a file
	NetworkManager bool // NetworkManager runs and manages it
	Netplan        bool // that file, or that profile, is one that netplan wrote
}

// Decision is whose an interface is; for None, Why says why.
type Decision struct {
	Stack Stack
	Why   string
}

// Decide is the table: the first row that fits.
//
//	both running programs manage it, or one of them and ifup → nobody
//	a running program manages it by netplan's file           → netplan
//	a running program manages it                             → that program
//	ifup brought it up, or has a stanza for it               → ifupdown
//	none                                                     → nobody
//
// A stanza alone is the weakest fact: installers leave one behind when another
// program takes over.
func Decide(f Facts) Decision {
	both := func(a, b Stack) Decision {
		return Decision{Why: fmt.Sprintf("both %s and %s configure it", a, b)}
	}
	switch {
	case f.Networkd && f.NetworkManager:
		return both(Networkd, NetworkManager)
	case f.Networkd && f.Up:
		return both(Networkd, Ifupdown)
	case f.NetworkManager && f.Up:
		return both(NetworkManager, Ifupdown)
	case f.Netplan && (f.Networkd || f.NetworkManager):
		return Decision{Stack: Netplan}
	case f.Networkd:
		return Decision{Stack: Networkd}
	case f.NetworkManager:
		return Decision{Stack: NetworkManager}
	case f.Up || f.Stanza:
		return Decision{Stack: Ifupdown}
	}
	return Decision{Why: "no program known here configures it"}
}
