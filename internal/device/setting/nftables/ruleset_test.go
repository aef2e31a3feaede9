package nftables

import (
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, text string
		tables     []string
		rules      int
	}{
		{"Debian's own", "#!/usr/sbin/nft -f\n\nflush ruleset\n\ntable inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter;\n\t}\n}\n", []string{"inet filter"}, 0},
		{"rules and sets", `
define lan = { 10.0.0.0/8, 192.168.0.0/16 }
table inet filter {
	set blocked {
		type ipv4_addr; elements = { 192.0.2.1,
			192.0.2.2 }
	}
	chain input {
		type filter hook input priority 0; policy drop;
		iif "lo" accept # { not a brace
		ct state vmap { established : accept,
			related : accept, invalid : drop }
		tcp dport { 22, 445 } \
			accept
		log prefix "in; {" drop
	}
	chain forward { type filter hook forward priority 0; policy drop; }
}
table nat { chain post { oif eth0 masquerade; } }
`, []string{"inet filter", "ip nat"}, 5},
		{"commands", "add table ip6 x\nadd chain ip6 x y { type filter hook input priority 0 ; }\nadd rule ip6 x y drop\ninsert rule ip6 x y accept", []string{"ip6 x"}, 2},
		{"twice", "table inet a\ndelete table inet a\ntable inet a { chain c { accept; drop } }", []string{"inet a"}, 2},
		{"nothing", "", nil, 0},
	} {
		if got := parse(test.text); !slices.Equal(got.tables, test.tables) || got.rules != test.rules {
			t.Errorf("%s: %+v, want %q and %d", test.name, got, test.tables, test.rules)
		}
	}
}

// A comment before it changes nothing, whatever follows.
func FuzzParse(f *testing.F) {
	f.Add("table inet filter { chain input { type filter hook input priority 0; tcp dport { 22 } accept } }")
	f.Add("}}{{ \" table \\\n")
	f.Fuzz(func(t *testing.T, text string) {
		a, b := parse(text), parse("# table x { chain y { drop } }\n"+text)
		if a.rules != b.rules || !slices.Equal(a.tables, b.tables) {
			t.Errorf("%+v, with a comment %+v", a, b)
		}
		if a.rules > len(text) || len(a.tables) > len(text) {
			t.Errorf("found %d rules in %d bytes", a.rules, len(text))
		}
	})
}
