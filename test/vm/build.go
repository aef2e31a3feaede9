//go:build linux

package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Built is what a test of the machine needs, all made from the tree it stands in.
type Built struct {
	Image     string // folder of image.sh
	Guest     string // the program inside the guest
	Paperclip string // the owner's program
	Payload   string // what is installed on the NAS: paperclipd and the packaging, as a tar file
}

// Build makes the programs, static as they ship, and the image unless it is cached. dir takes the
// programs, root is the module's folder.
func Build(ctx context.Context, root, dir string) (Built, error) {
	b := Built{Guest: filepath.Join(dir, "guest"), Payload: filepath.Join(dir, "payload.tar")}
	payload := filepath.Join(dir, "payload")
	b.Paperclip = filepath.Join(payload, "paperclip") // an owner's computer may be inside the NAS: see the soak
	for _, args := range [][]string{
		{"build", "-o", b.Guest, "./test/vm/guest"},
		{"build", "-o", filepath.Join(payload, "paperclipd"), "./cmd/paperclipd"},
		{"build", "-o", b.Paperclip, "./cmd/paperclip"},
		{"build", "-o", filepath.Join(payload, "trespass"), "./test/vm/trespass"},
		{"test", "-c", "-o", filepath.Join(payload, "gpio.test"), "./internal/device/panel/gpio"},
	} {
		c := exec.CommandContext(ctx, "go", args...)
		c.Dir, c.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath "+os.Getenv("GOFLAGS"))
		if out, err := c.CombinedOutput(); err != nil {
			return b, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	if err := errors.Join(
		run(ctx, "cp", "-r", filepath.Join(root, "packaging"), payload),
		run(ctx, "tar", "-C", payload, "-cf", b.Payload, "."),
	); err != nil {
		return b, err
	}
	image := exec.CommandContext(ctx, filepath.Join(root, "test/vm/image.sh"), b.Guest)
	image.Stderr = os.Stderr
	out, err := image.Output()
	if err != nil {
		return b, fmt.Errorf("image.sh: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	b.Image = lines[len(lines)-1] // before it, a tool may have had something to say
	return b, nil
}
