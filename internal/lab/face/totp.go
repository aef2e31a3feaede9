package face

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238 as the vendors use it
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"time"
)

// totpStep is how long one code of a second factor lasts (RFC 6238 §4.1).
const totpStep = 30 * time.Second

// code is the six digits of a TOTP secret at a step (RFC 4226 §5.3).
func code(secret string, step int64) (string, error) {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		return "", err
	}
	h := hmac.New(sha1.New, key)
	_ = binary.Write(h, binary.BigEndian, step)
	sum := h.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[len(sum)-1]&15:]) & 0x7fffffff
	return fmt.Sprintf("%06d", n%1_000_000), nil
}

// Phone is what the authenticator on an account's phone shows now. Without a
// second factor, and where the phone is lost, it is false.
func (b *Box) Phone(account string) (string, bool) {
	secret := b.Memory().Secrets[account]
	if secret == "" || b.cfg.Scenario.Has(LostPhone) {
		return "", false
	}
	c, err := code(secret, b.cfg.Clock.Now().Unix()/int64(totpStep/time.Second))
	return c, err == nil
}

// secondFactor says whether typed is the account's code: one step early or late,
// each once.
func (b *Box) secondFactor(account, typed string) bool {
	m := b.Memory()
	now := b.cfg.Clock.Now().Unix() / int64(totpStep/time.Second)
	for step := now - 1; step <= now+1; step++ {
		if c, err := code(m.Secrets[account], step); err == nil && c == typed && step > m.Steps[account] {
			return b.Remember(func(m *Memory) { m.Steps[account] = step }) == nil
		}
	}
	return false
}
