//go:build !race && !cheaphash

package memory

const hashMemory = 8 << 10
