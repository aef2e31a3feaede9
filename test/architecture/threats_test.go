package architecture

import (
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// THREATS.md is worth what its tests are: each that it names is there, in the
// package that it names, and no attack of the twenty-six is without one.
func TestThreatsNameTestsThatExist(t *testing.T) {
	there := map[string]bool{} // "dir name"
	dirs := map[string]bool{}
	for _, f := range load(t) {
		dirs[f.dir] = true
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test && fn.Recv == nil {
				there[f.dir+" "+fn.Name.Name] = true
			}
		}
	}
	raw, err := os.ReadFile(filepath.Join(root, "THREATS.md"))
	if err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile("`([a-z0-9/]+)`|\\b((?:[Tt]est|Fuzz|Benchmark)[A-Z]\\w+)")
	attacks := map[string]int{}
	for line := range strings.Lines(string(raw)) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		tests, dir := 0, ""
		for _, m := range word.FindAllStringSubmatch(line, -1) {
			switch {
			case m[2] != "":
				tests++
				if !there[dir+" "+m[2]] {
					t.Errorf("%s is not in %q", m[2], dir)
				}
			case dirs["internal/"+m[1]]:
				dir = "internal/" + m[1]
			case dirs[m[1]]:
				dir = m[1]
			}
		}
		if id := regexp.MustCompile(`^\| (X\d+) \|`).FindStringSubmatch(line); id != nil {
			if attacks[id[1]]++; tests == 0 {
				t.Errorf("%s: no test shows that it is withstood", id[1])
			}
		}
	}
	for i := range 26 {
		if id := fmt.Sprintf("X%d", i+1); attacks[id] != 1 {
			t.Errorf("%s has %d rows, not one", id, attacks[id])
		}
	}
}

// X5: what a page shows is in the program, and no file that somebody could
// exchange. (The lab's faces are other vendors' pages, and of the lab.)
func TestPagesAreInTheProgram(t *testing.T) {
	files := 0
	for _, f := range load(t) {
		if f.test || f.dir != "internal/device/front" && f.dir != "internal/web" && f.dir != "internal/web/picture" {
			continue
		}
		files++
		for _, p := range f.imports {
			if slices.Contains([]string{"os", "io/fs", "io/ioutil", "path/filepath", "html/template", "text/template"}, p) || strings.HasSuffix(p, "/x/opfs") {
				t.Errorf("%s imports %s", f.name, p)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains([]string{"ServeFile", "ServeFileFS", "FileServer", "FileServerFS", "Dir"}, s.Sel.Name) {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "http" {
					t.Errorf("%s: http.%s", f.fset.Position(s.Pos()), s.Sel.Name)
				}
			}
			return true
		})
	}
	if files < 5 {
		t.Fatalf("only %d files were looked at", files)
	}
}
