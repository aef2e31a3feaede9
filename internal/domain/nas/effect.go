package nas

// Effect is one thing that a reset may change: a row of requirements.md §1,
// "What Mode 1 sets back", or one of those that Mode 2 (D5) adds to them.
type Effect string

// The effects, named as the rows are.
const (
	E1  Effect = "E1"  // administrator's account and password
	E2  Effect = "E2"  // guest account
	E3  Effect = "E3"  // management ports
	E4  Effect = "E4"  // addresses
	E5  Effect = "E5"  // jumbo frames
	E6  Effect = "E6"  // PPPoE
	E7  Effect = "E7"  // link aggregation
	E8  Effect = "E8"  // auto block
	E9  Effect = "E9"  // firewall
	E10 Effect = "E10" // high availability
	E11 Effect = "E11" // virtual machine cluster
	E12 Effect = "E12" // encrypted folders
	E13 Effect = "E13" // administrator's second factor
)

// What a hard reset (D5) sets back beyond those; the names are ours.
const (
	H1 Effect = "H1" // the NAS's name: the set-up wizard's answer
	H2 Effect = "H2" // share definitions: as they were at install; never a file in a share
	H3 Effect = "H3" // every other person's account: locked, not deleted, so that files keep their owners
)

// Effects lists all rows in order.
func Effects() []Effect {
	return []Effect{E1, E2, E3, E4, E5, E6, E7, E8, E9, E10, E11, E12, E13, H1, H2, H3}
}

// Setting is what the row is about, in words for people.
func (e Effect) Setting() string {
	return map[Effect]string{
		E1:  "administrator's password",
		E2:  "guest account",
		E3:  "management ports",
		E4:  "network addresses",
		E5:  "jumbo frames",
		E6:  "PPPoE",
		E7:  "link aggregation",
		E8:  "auto block",
		E9:  "firewall",
		E10: "high-availability cluster",
		E11: "virtual machine cluster",
		E12: "encrypted folders",
		E13: "administrator's second factor",
		H1:  "name of the NAS",
		H2:  "share definitions",
		H3:  "other accounts",
	}[e]
}
