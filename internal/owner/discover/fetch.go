package discover

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

const (
	dialTime  = time.Second
	fetchTime = 4 * time.Second
)

// plainClient reads pages of one address: no proxy, no redirect, no other
// place, no cookie. Whose certificate a device shows does not matter here:
// nothing secret is sent, and what is read is a hint.
func plainClient(only netip.Addr) *http.Client {
	dialer := &net.Dialer{Timeout: dialTime}
	return &http.Client{
		Timeout: fetchTime,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				at, err := netip.ParseAddrPort(address)
				if err != nil || at.Addr().Unmap() != only.Unmap() {
					return nil, errElsewhere
				}
				return dialer.DialContext(ctx, network, address)
			},
			TLSClientConfig:        &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, //nolint:gosec // see above
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 16 << 10,
		},
	}
}

// fetch reads a page of at most size bytes.
func fetch(ctx context.Context, c *http.Client, url string, size int) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", answer.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, int64(size)+1))
	if err == nil && len(b) > size {
		err = fmt.Errorf("more than %d bytes", size)
	}
	return b, err
}
