package shadow

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-crypt/crypt"
	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/md5crypt"
	"github.com/go-crypt/crypt/algorithm/scrypt"
	"github.com/go-crypt/crypt/algorithm/shacrypt"
	xcrypt "github.com/go-crypt/x/crypt"
	"github.com/go-crypt/x/yescrypt"
)

// style is a crypt(3) setting without its salt: "$y$j9T$" or "$6$" or
// "$6$rounds=100000$".
type style string

const (
	// yescryptDefault is what Debian's passwd writes: 16 MiB, about 60 ms.
	yescryptDefault style = "$y$j9T$"
	// sha512Default is the one that every crypt(3) of a NAS knows. Its 5000
	// rounds are crypt(3)'s own.
	sha512Default style = "$6$"
)

const (
	defaultRounds = 5000
	maxRounds     = 1_000_000 // beyond it, a sign-in takes seconds on a small NAS
)

// pickStyle is the style for a new hash: that of the account's own hash, else
// one that another account has, else SHA-512. Only styles seen in the file are
// minted, and SHA-512.
func pickStyle(own string, others []string) style {
	for _, hash := range append([]string{own}, others...) {
		hash = strings.TrimLeft(hash, "!") // a locked account still shows its style
		switch {
		case strings.HasPrefix(hash, "$y$"):
			return yescryptDefault
		case strings.HasPrefix(hash, "$6$rounds="):
			return sha512Rounds(hash)
		case strings.HasPrefix(hash, "$6$"):
			return sha512Default
		}
	}
	return sha512Default
}

// sha512Rounds keeps a higher cost that the owner chose, within bounds.
func sha512Rounds(hash string) style {
	text, _, _ := strings.Cut(strings.TrimPrefix(hash, "$6$rounds="), "$")
	rounds, err := strconv.Atoi(text)
	if err != nil || rounds <= defaultRounds {
		return sha512Default
	}
	return style(fmt.Sprintf("$6$rounds=%d$", min(rounds, maxRounds)))
}

func (s style) rounds() int {
	if text, ok := strings.CutPrefix(string(s), "$6$rounds="); ok {
		if n, err := strconv.Atoi(strings.TrimSuffix(text, "$")); err == nil {
			return n
		}
	}
	return defaultRounds
}

// mint hashes a password with a fresh salt.
func mint(rand io.Reader, password string, s style) (string, error) {
	salt := make([]byte, 16)
	if _, err := io.ReadFull(rand, salt); err != nil {
		return "", fmt.Errorf("no randomness for a salt: %w", err)
	}
	if strings.HasPrefix(string(s), "$y$") {
		hash, err := yescrypt.Hash([]byte(password), append([]byte(s), yescrypt.Encode64(salt)...))
		return string(hash), err
	}
	text := yescrypt.Encode64(salt)[:16] // crypt(3) takes 16 characters: 96 bits
	key := xcrypt.KeySHACrypt(sha512.New, []byte(password), text, s.rounds())
	return fmt.Sprintf("%s%s$%s", s, text, key), nil
}

// decode reads a hash that crypt(3) made. Its error never quotes the hash.
func decode(hash string) (algorithm.Digest, error) {
	d := crypt.NewDecoder()
	for _, register := range []func(algorithm.DecoderRegister) error{
		scrypt.RegisterDecoder, // yescrypt too
		shacrypt.RegisterDecoder,
		bcrypt.RegisterDecoder,
		md5crypt.RegisterDecoder,
	} {
		if err := register(d); err != nil {
			return nil, err
		}
	}
	digest, err := d.Decode(hash)
	if err != nil {
		return nil, errors.New("a password hash of a style that is not known here")
	}
	return digest, nil
}

// known reports whether match can work with the hash.
func known(hash string) bool {
	_, err := decode(hash)
	return err == nil
}

// match reports whether a password fits a hash.
func match(hash, password string) (bool, error) {
	digest, err := decode(hash)
	if err != nil {
		return false, err
	}
	return digest.MatchAdvanced(password)
}
