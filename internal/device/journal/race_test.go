//go:build linux && race

package journal_test

const raceDetector = true
