package shadow

import (
	"crypto/rand"
	"strings"
	"testing"
)

// X16: an account that is missing costs what one of this system costs: the same
// style of hash at the same cost, whatever else stands in the file before it.
func TestMissingAccountCostsTheSame(t *testing.T) {
	for _, s := range []style{yescryptDefault, sha512Default, "$6$rounds=7000$"} {
		real, err := mint(rand.Reader, "violet tractor 9 gulls", s)
		if err != nil {
			t.Fatal(err)
		}
		for name, others := range map[string][]string{
			"alone": nil, "after locked ones": {"*", "!", "!!", "!" + real}, "after what is not known here": {"$1$salt$hash", "$7$x$y", "nonsense", "", "$6$", "$y$"},
		} {
			if d := decoy(append(others, real)); !strings.HasPrefix(d, string(s)) || strings.HasPrefix(d, "$6$rounds=") != strings.HasPrefix(string(s), "$6$rounds=") {
				t.Errorf("%s, %s: the decoy is %.20q", s, name, d)
			} else if ok, err := match(d, "violet tractor 9 gulls"); err != nil || !ok {
				t.Errorf("%s, %s: the decoy is not a hash that is really computed: %v", s, name, err)
			}
		}
	}
	if d := decoy(nil); !known(d) {
		t.Errorf("where there is no hash at all: %q", d)
	}
}
