//go:build !linux && !darwin

package opfs

import (
	"context"
	"errors"
	"fmt"
)

func lock(_ context.Context, path string) (func(), error) {
	return nil, fmt.Errorf("lock %s: %w", path, errors.ErrUnsupported)
}
