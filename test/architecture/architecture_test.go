// Package architecture holds the arrows of ARCHITECTURE.md and the rules of
// CONTRIBUTING.md that a machine can check: which package may import which,
// what the domain may not reach, and how a package introduces itself. It has
// no code of its own to offer.
package architecture

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	module = "github.com/paperclip-nas/paperclip/"
	root   = "../.."

	maxLines = 600
)

// file is one parsed Go file of the module.
type file struct {
	name    string // from the module's root, with slashes
	dir     string
	test    bool
	ast     *ast.File
	fset    *token.FileSet
	imports []string
	lines   int
}

// load is every file of the module, parsed once for all tests: none may change it.
func load(t *testing.T) []file {
	t.Helper()
	files, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 100 {
		t.Fatalf("only %d files were found: this test looks in the wrong place", len(files))
	}
	return files
}

var parsed = sync.OnceValues(parse)

func parse() ([]file, error) {
	var files []file
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata" || d.Name() == "tools") {
			if name != root {
				return filepath.SkipDir
			}
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		f := file{name: filepath.ToSlash(rel), fset: token.NewFileSet(), test: strings.HasSuffix(name, "_test.go"), lines: bytes.Count(raw, []byte("\n"))}
		f.dir = path.Dir(f.name)
		if f.ast, err = parser.ParseFile(f.fset, name, raw, parser.ParseComments|parser.SkipObjectResolution); err != nil {
			return err
		}
		for _, i := range f.ast.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, p)
		}
		files = append(files, f)
		return nil
	})
	return files, err
}

// wing is the part of the house that a folder of the module belongs to.
func wing(dir string) string {
	for _, w := range []string{"internal/domain", "internal/protocol", "internal/device", "internal/owner", "internal/hub", "internal/web", "internal/lab", "internal/x", "cmd", "test", "packaging"} {
		if dir == w || strings.HasPrefix(dir, w+"/") {
			return w
		}
	}
	return "?"
}

// mayImport is the arrows: cmd → wing → protocol → domain, and x and web for
// whoever needs them. Only lab, cmd and test know several wings.
func mayImport() map[string][]string {
	return map[string][]string{
		"internal/x":        {"internal/x"},
		"internal/domain":   {"internal/domain"},
		"internal/protocol": {"internal/protocol", "internal/domain", "internal/x"},
		"internal/web":      {"internal/web", "internal/domain", "internal/x"},
		"internal/device":   {"internal/device", "internal/protocol", "internal/domain", "internal/x", "internal/web"},
		"internal/owner":    {"internal/owner", "internal/protocol", "internal/domain", "internal/x", "internal/web"},
		"internal/hub":      {"internal/hub", "internal/protocol", "internal/domain", "internal/x", "internal/web"},
		"internal/lab":      {"internal/lab", "internal/device", "internal/owner", "internal/protocol", "internal/domain", "internal/x", "internal/web"},
		"cmd":               {"cmd", "internal/lab", "internal/device", "internal/owner", "internal/hub", "internal/protocol", "internal/domain", "internal/x", "internal/web"},
		"test":              {"test", "cmd", "internal/lab", "internal/device", "internal/owner", "internal/hub", "internal/protocol", "internal/domain", "internal/x", "internal/web"},
		"packaging":         {},
	}
}

func TestArrows(t *testing.T) {
	allowed := mayImport()
	for _, f := range load(t) {
		from := wing(f.dir)
		if _, known := allowed[from]; !known {
			t.Errorf("%s lies in no part of the house", f.name)
			continue
		}
		for _, p := range f.imports {
			dir, ours := strings.CutPrefix(p, module)
			if ours && !slices.Contains(allowed[from], wing(dir)) {
				t.Errorf("%s imports %s: %s may not know %s", f.name, dir, from, wing(dir))
			}
		}
	}
}

// The domain knows no clock, no socket, no file and no randomness of its own.
func TestDomainIsPure(t *testing.T) {
	forbidden := []string{"os", "os/exec", "os/signal", "net", "net/http", "log", "log/slog", "database/sql", "syscall", "crypto/rand", "math/rand", "math/rand/v2", "io/ioutil", "testing"}
	for _, f := range load(t) {
		if wing(f.dir) != "internal/domain" || f.test {
			continue
		}
		for _, p := range f.imports {
			if slices.Contains(forbidden, p) {
				t.Errorf("%s imports %s", f.name, p)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Sleep", "After", "Since", "NewTimer", "NewTicker", "AfterFunc", "Tick"}, s.Sel.Name) {
					t.Errorf("%s uses time.%s: times come in as values", f.fset.Position(s.Pos()), s.Sel.Name)
				}
			}
			return true
		})
	}
}

// X3: no secret is drawn from a source that can be foretold. Whoever spreads
// packets in time, or makes up a test's disk, may use one; nobody else.
func TestNoSecretFromMathRand(t *testing.T) {
	may := []string{"internal/device/announcer", "internal/owner/discover", "internal/lab", "internal/x/opfs/crashfs"}
	for _, f := range load(t) {
		guessable := slices.Contains(f.imports, "math/rand") || slices.Contains(f.imports, "math/rand/v2")
		if guessable && !f.test && !slices.Contains(may, f.dir) && !strings.HasPrefix(f.dir, "test/") {
			t.Errorf("%s imports math/rand: what is secret comes from the reader that is injected", f.name)
		}
	}
}

// The lab builds without any Linux adapter.
func TestLabNeedsNoLinux(t *testing.T) {
	for _, f := range load(t) {
		if wing(f.dir) != "internal/lab" {
			continue
		}
		for _, p := range f.imports {
			part, ours := strings.CutPrefix(p, module+"internal/device/")
			if !ours || part == "setting" || part == "setting/memory" || part == "panel" || part == "panel/memory" {
				continue
			}
			// What is of a real machine: every setting's adapter, every panel's, and
			// the parts that work on its network, its kernel or its systemd.
			for _, real := range []string{"setting/", "panel/", "claimnet", "addressprobe", "sandbox", "service", "sessions", "doctor", "notice"} {
				if strings.HasPrefix(part, real) {
					t.Errorf("%s imports %s", f.name, p)
				}
			}
		}
	}
}

// Each package has exactly one package comment, and it says what the package
// never does: whoever opens it knows what may live there and what may not.
func TestEveryPackageIntroducesItself(t *testing.T) {
	comments := map[string][]string{}
	for _, f := range load(t) {
		dir := f.dir
		if strings.HasSuffix(f.ast.Name.Name, "_test") {
			continue
		}
		comments[dir] = append(comments[dir], "")
		if f.ast.Doc != nil {
			comments[dir] = append(comments[dir], f.ast.Doc.Text())
		}
	}
	for dir, all := range comments {
		all = slices.DeleteFunc(all, func(s string) bool { return s == "" })
		switch {
		case len(all) != 1:
			t.Errorf("%s has %d package comments, not one", dir, len(all))
		case len(strings.Fields(all[0])) < 20:
			t.Errorf("%s: its comment teaches nothing: %q", dir, all[0])
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, f := range load(t) {
		if f.lines > maxLines {
			t.Errorf("%s has %d lines, more than %d", f.name, f.lines, maxLines)
		}
	}
}

// No package-level state and no work before main: what a package-level
// variable may be is an error, an assertion of a type, an embedded file, a
// compiled pattern, or a value that nothing in its package writes to.
func TestNoPackageState(t *testing.T) {
	files := load(t)
	written := map[string]bool{} // "dir name" of whatever is assigned to
	for _, f := range files {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			var targets []ast.Expr
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					targets = n.Lhs
				}
			case *ast.IncDecStmt:
				targets = []ast.Expr{n.X}
			}
			for _, e := range targets {
				written[f.dir+" "+base(e)] = true
			}
			return true
		})
	}
	for _, f := range files {
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil {
					t.Errorf("%s: init does work before main", f.fset.Position(d.Pos()))
				}
			case *ast.GenDecl:
				if d.Tok == token.VAR && !f.test {
					for _, s := range d.Specs {
						checkVariable(t, f, d, s.(*ast.ValueSpec), written)
					}
				}
			}
		}
	}
}

// base is the variable that an expression such as x.f[i] is a part of.
func base(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x.Name
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return ""
		}
	}
}

func checkVariable(t *testing.T, f file, d *ast.GenDecl, v *ast.ValueSpec, written map[string]bool) {
	t.Helper()
	for _, doc := range []*ast.CommentGroup{d.Doc, v.Doc} {
		if doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed") }) {
			return
		}
	}
	for i, name := range v.Names {
		if name.Name == "_" {
			continue
		}
		call := ""
		if i < len(v.Values) {
			switch v.Values[i].(type) {
			case *ast.CompositeLit, *ast.CallExpr:
				if !written[f.dir+" "+name.Name] {
					continue
				}
			}
			if c, ok := v.Values[i].(*ast.CallExpr); ok {
				if s, ok := c.Fun.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok {
						call = x.Name + "." + s.Sel.Name
					}
				}
			}
		}
		if !slices.Contains([]string{"errors.New", "fmt.Errorf", "regexp.MustCompile", "netip.MustParseAddr", "netip.MustParsePrefix"}, call) {
			t.Errorf("%s: %s is package-level state", f.fset.Position(name.Pos()), name.Name)
		}
	}
}

// Tests wait for the thing, not for time to pass. Under fake time (synctest)
// sleeping is waiting for the thing.
func TestTestsDoNotSleep(t *testing.T) {
	files := load(t)
	fakeTime := map[string]bool{} // by folder: helpers run inside synctest as well
	for _, f := range files {
		fakeTime[f.dir] = fakeTime[f.dir] || slices.Contains(f.imports, "testing/synctest")
	}
	for _, f := range files {
		if !f.test || fakeTime[f.dir] {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Sleep" {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" {
					t.Errorf("%s sleeps: wait for the thing instead", f.fset.Position(s.Pos()))
				}
			}
			return true
		})
	}
}

// Nothing of the machine this was written on goes into the repository.
func TestNoMachinePaths(t *testing.T) {
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "bin", "dist", "node_modules"}, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".go", ".md", ".sh", ".txtar", ".toml", ".service", ".yml", ".html", ""}, filepath.Ext(name)) || strings.HasSuffix(name, "architecture_test.go") {
			return nil
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, p := range []string{"/wo" + "rk/", "/tmp" + "/pc", "/ro" + "ot/go/", "/fa" + "rm/"} {
			if bytes.Contains(raw, []byte(p)) {
				t.Errorf("%s names %s", name, p)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
