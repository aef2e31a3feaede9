package journal

// Seal is for tests of other formats.
func Seal(version int, generation uint64, body []byte) []byte {
	return seal(version, generation, body)
}
