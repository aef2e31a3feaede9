// Package lab gets somebody back into each of the lab's NAS of other makers, for
// each thing that can be wrong, unattended, by the program as a person starts
// it, and prints what came of it (make test-lab).
//
// It shows that no rescue claims more than it did. That a real device behaves so
// it does not show.
package lab
