// Package rescue is the way from locked out to back in: one flow of named
// steps, each with what must be so before it, what it does, and how it is
// shown to have worked. The steps are a table; a terminal, a program and the
// lab's robot go through the same one.
//
// A rescue can be interrupted and resumed: its state is written to a folder
// after every step, without any secret. What the NAS has accepted it finishes
// by itself; a rescue never repeats it.
//
// The package opens no connection, reads no password from anywhere but its
// Person, and sends none to a device whose identity was not proved. It never
// decides what a reset changes: the NAS says so in its plan, and the person
// accepts exactly that.
package rescue
