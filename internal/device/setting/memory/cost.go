//go:build !race

package memory

const hashMemory = 8 << 10
