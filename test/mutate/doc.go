// Package mutate sends every parser of what a LAN says some thousands of
// damaged messages, and ten million by hand. Nothing guides it, unlike the fuzz
// tests beside the parsers: it is fast instead.
//
// It judges only that no parser panics and that none answers for long: what is
// read rightly, the parsers' own tests say.
package mutate
