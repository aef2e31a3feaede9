package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Line is a GPIO line: by its chip and offset, or by the board's own name of it.
type Line struct {
	Chip   string
	Offset int
	Name   string
	Low    bool // it is pressed or lit when low
}

const gpioPrefix = "gpio:"

// checkLine says what is wrong with "gpio:gpiochip0:3", "gpio:RESET_BUTTON", or
// either with ":low" behind it.
func checkLine(s string) error {
	form := regexp.MustCompile(`^gpio:(gpiochip[0-9]{1,3}:[0-9]{1,4}|[A-Za-z0-9_.-]{1,31})(:low)?$`)
	if !form.MatchString(s) || strings.HasPrefix(s, gpioPrefix+"gpiochip") && strings.Count(strings.TrimSuffix(s, ":low"), ":") != 2 {
		return fmt.Errorf(`%q is not a GPIO line: "gpio:", then chip and number as "gpiochip0:3" or the name of the line, then ":low" where low means pressed or lit`, s)
	}
	return nil
}

// gpioLine reads what checkLine lets pass.
func gpioLine(s string) (Line, bool) {
	rest, ok := strings.CutPrefix(s, gpioPrefix)
	if !ok {
		return Line{}, false
	}
	rest, low := strings.CutSuffix(rest, ":low")
	chip, number, numbered := strings.Cut(rest, ":")
	if !numbered {
		return Line{Name: rest, Low: low}, true
	}
	offset, err := strconv.Atoi(number)
	return Line{Chip: chip, Offset: offset, Low: low}, err == nil
}
