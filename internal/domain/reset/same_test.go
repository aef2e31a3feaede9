package reset_test

import (
	"reflect"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
)

// D11: what is carried out after a wait does the same, to the same account, as
// what was shown before it. What merely stays, and what the plan says of time,
// may have changed meanwhile.
func TestSameChangesLooksAtAllThatIsDone(t *testing.T) {
	whole := reset.Plan{
		Device: "cellar", Mode: reset.Soft, Scope: reset.All, Administrator: "anna", Wizard: &reset.Wizard{}, SecondFactor: true, Saved: "00",
		Changes: []reset.Change{{ID: nas.E1}}, Keeps: []string{"k"}, Losses: []string{"l"}, Interrupts: []string{"i"},
		NotCovered: []string{"n"}, Takes: "seconds", Needs: []string{"w"},
	}
	mayDiffer := map[string]bool{"Keeps": true, "Interrupts": true, "Takes": true, "Needs": true}
	for i := range reflect.TypeFor[reset.Plan]().NumField() {
		other, name := whole, reflect.TypeFor[reset.Plan]().Field(i).Name
		reflect.ValueOf(&other).Elem().Field(i).SetZero()
		if same := whole.SameChanges(other); same != mayDiffer[name] {
			t.Errorf("two plans that differ in %s: the same %v", name, same)
		}
	}
}
