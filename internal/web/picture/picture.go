// Package picture has the drawings of the back of a NAS that show where to look
// for the hole of the reset button: as SVG for a page, as plain letters for a
// terminal. They are Paperclip's own, and of no model in particular.
//
// It only draws. It does not know which device is meant, and a drawing never
// stands for a documented place: the text beside it says what is known.
package picture

import (
	"embed"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

//go:embed *.svg *.txt
var files embed.FS

// SVG is the drawing of a shape, ready to be put in a page.
func SVG(s catalog.Shape) []byte { return read(s, ".svg") }

// Text is the same for a terminal, in ASCII, at most 60 columns wide.
func Text(s catalog.Shape) string { return strings.TrimRight(string(read(s, ".txt")), "\n") }

// read falls back to the box with four bays, the commonest.
func read(s catalog.Shape, ext string) []byte {
	b, err := files.ReadFile(string(s) + ext)
	if err != nil {
		b, _ = files.ReadFile(string(catalog.FourBay) + ext)
	}
	return b
}
