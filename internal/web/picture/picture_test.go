package picture_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/web/picture"
)

// C4: each shape has a drawing that points at the hole, and that loads nothing
// from anywhere and runs nothing.
func TestPicturesPointAtTheHole(t *testing.T) {
	seen := map[string]catalog.Shape{}
	for _, s := range []catalog.Shape{catalog.TwoBay, catalog.FourBay, catalog.Rack} {
		svg := picture.SVG(s)
		if other, twice := seen[string(svg)]; twice {
			t.Errorf("%s and %s are the same drawing", s, other)
		}
		seen[string(svg)] = s
		d, elements := xml.NewDecoder(strings.NewReader(string(svg))), map[string]int{}
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", s, err)
			}
			if e, ok := token.(xml.StartElement); ok {
				elements[e.Name.Local]++
				for _, a := range e.Attr {
					if a.Name.Local == "href" || strings.HasPrefix(a.Name.Local, "on") || strings.Contains(a.Value, "url(") {
						t.Errorf("%s: %s in %s", s, a.Name.Local, e.Name.Local)
					}
				}
			}
		}
		if elements["title"] != 1 || elements["script"]+elements["image"]+elements["style"] != 0 || !strings.Contains(string(svg), ">RESET<") {
			t.Errorf("%s: %v", s, elements)
		}
		text := picture.Text(s)
		if !strings.Contains(text, "RESET") || !strings.Contains(text, "(o)") {
			t.Errorf("%s does not show the hole:\n%s", s, text)
		}
		for line := range strings.Lines(text) {
			if len(strings.TrimRight(line, "\n")) > 60 {
				t.Errorf("%s: too wide: %q", s, line)
			}
		}
	}
}

func TestAnUnknownShapeHasAPicture(t *testing.T) {
	if picture.Text("") == "" || len(picture.SVG("tower")) == 0 {
		t.Error("nothing is drawn")
	}
}
