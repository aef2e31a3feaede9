//go:build !linux

package netchange

import (
	"context"
	"errors"
)

// Watch fails: only Linux is asked.
func Watch(context.Context) (<-chan struct{}, error) {
	return nil, errors.ErrUnsupported
}
