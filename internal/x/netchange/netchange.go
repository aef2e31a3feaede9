// Package netchange tells when the machine's network interfaces or their
// addresses change, as the kernel says it (rtnetlink), so that nobody has to
// look every few seconds.
//
// It does not say what changed, and it needs no privilege: whoever is told looks.
package netchange
