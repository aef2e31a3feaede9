package samba

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"

	//lint:ignore SA1019 SMB's password hash is MD4; what guards it is who may read the file
	"golang.org/x/crypto/md4" //nolint:staticcheck // the NT hash is MD4, whatever one thinks of it

	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

var (
	errNoAccount = errors.New("no such account in Samba")
	errListing   = errors.New("pdbedit's answer is not understood")
)

// lookUp reads one account with pdbedit, without changing anything.
func (a *Adapter) lookUp(ctx context.Context, user string) (value, error) {
	out, err := a.cfg.Runner.Run(ctx, "samba.read.list", opfs.Command{
		Path: a.cfg.Pdbedit, Args: []string{"-s", a.cfg.ConfigFile, "-d", "0", "-L", "-w", "-u", user},
	})
	if err != nil {
		return value{}, err
	}
	if out.ExitCode != 0 {
		if strings.Contains(string(out.Stderr)+string(out.Stdout), "Username not found") {
			return value{}, errNoAccount
		}
		return value{}, fmt.Errorf("Samba's accounts cannot be read: pdbedit ended with status %d", out.ExitCode)
	}
	for line := range strings.Lines(string(out.Stdout)) {
		if strings.HasPrefix(line, user+":") {
			return parseEntry(strings.TrimRight(line, "\r\n"))
		}
	}
	return value{}, errNoAccount
}

// parseEntry reads a line of smbpasswd(5):
//
//	anna:1000:LMHASH:NTHASH:[UX         ]:LCT-6B028451:
func parseEntry(line string) (value, error) {
	fields := strings.Split(line, ":")
	if len(fields) < 6 {
		return value{}, errListing
	}
	flags, ok1 := strings.CutPrefix(fields[4], "[")
	flags, ok2 := strings.CutSuffix(flags, "]")
	changed, ok3 := strings.CutPrefix(fields[5], "LCT-")
	seconds, err := strconv.ParseUint(changed, 16, 32)
	nt, err1 := parseHash(fields[3])
	if !ok1 || !ok2 || !ok3 || errors.Join(err, err1) != nil {
		return value{}, errListing
	}
	return value{
		NT: nt, Changed: int64(seconds),
		Disabled: strings.Contains(flags, "D"), NoPassword: strings.Contains(flags, "N"),
	}, nil
}

// parseHash reads 32 hex digits; "NO PASSWORDXXX…" and "XXX…" are none.
func parseHash(s string) (string, error) {
	if len(s) != 32 {
		return "", errListing
	}
	if strings.HasPrefix(s, "NO PASSWORD") || s == strings.Repeat("X", 32) {
		return "", nil
	}
	if _, err := hex.DecodeString(s); err != nil {
		return "", errListing
	}
	return strings.ToUpper(s), nil
}

// ntHash is MD4 of the password in UTF-16, little endian ([MS-NLMP] §3.3.1).
func ntHash(password string) (string, error) {
	h := md4.New()
	if err := binary.Write(h, binary.LittleEndian, utf16.Encode([]rune(password))); err != nil {
		return "", err
	}
	return strings.ToUpper(hex.EncodeToString(h.Sum(nil))), nil
}
