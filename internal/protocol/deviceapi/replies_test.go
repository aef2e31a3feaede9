package deviceapi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// X10: passwords go in and are replaced; nothing that a device answers has a place
// for one.
func TestRepliesHoldNoSecret(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	answers := 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || regexp.MustCompile(`(Call|Request|Wire)$`).MatchString(spec.Name.Name) {
				return true // what an owner sends
			}
			body, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			if strings.HasSuffix(spec.Name.Name, "Reply") {
				answers++
			}
			for _, field := range body.Fields.List {
				if s, ok := field.Type.(*ast.SelectorExpr); ok && s.Sel.Name == "Secret" {
					t.Errorf("%s has a secret", spec.Name.Name)
				}
				for _, n := range field.Names {
					if regexp.MustCompile(`(?i)password|secret|privatekey`).MatchString(n.Name) {
						t.Errorf("%s.%s", spec.Name.Name, n.Name)
					}
				}
			}
			return true
		})
	}
	if answers < 20 {
		t.Fatalf("only %d answers were looked at", answers)
	}
}
