// Package script runs the whole program paperclip, as a user or a script would,
// and holds every promise of its command line: one script a promise, in
// testdata. It has no code of its own but what interrupts the program, meddles
// with a volume or makes a write fail, which no flag of the program can do.
package script
