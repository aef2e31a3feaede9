// Package net tests finding on real networks: Linux network namespaces with
// hundreds of devices that answer as captures show, late, lossy and forged, and
// with programs that nobody here wrote: avahi, minissdpd, dnsmasq.
//
// It needs root and the Debian packages listed in the file packages, and runs
// with PAPERCLIP_NET=1 (make test-net, make bench-find). It never sends a packet
// on the machine's own networks.
package net
