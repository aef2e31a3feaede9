//go:build race || cheaphash

package memory

// The race detector watches each byte of memory, at many times the price of the
// byte: a test hashes with less, and test/script's programs without the detector
// do (cheaphash). What such a program makes, only such a program can check.
const hashMemory = 256
