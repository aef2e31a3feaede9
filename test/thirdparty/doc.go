// Package thirdparty tries the lab's faces with clients that others wrote for
// real devices: what our own client and our own face agree on could be our own
// mistake.
//
// Had, with its exact version in clients/package.json: syno, a Node client of
// Synology's API made from the definitions of real devices. Not had from the Go
// proxy or npm: any Go client of either vendor, any client of QTS's sign-in, and
// the Python clients. So QNAP's face is tried with none yet.
package thirdparty
