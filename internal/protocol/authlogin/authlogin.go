// Package authlogin reads what a QNAP device says of itself on its sign-in page
// before anybody signs in: authLogin.cgi without a parameter (vendors/qnap.md
// §3.1).
//
// It reads one answer. It has no name and no password in it, and builds no
// sign-in: asking without them is no attempt.
package authlogin

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// Path is where the answer is.
const Path = "/cgi-bin/authLogin.cgi"

// MaxSize bounds an answer in bytes.
const MaxSize = 64 << 10

// ErrNotQNAP is an answer that is none of a QNAP device; test with errors.Is.
var ErrNotQNAP = errors.New("authlogin: not the answer of a QNAP device")

// Info is what the device says, safe to print. Newer firmware may leave out
// model and firmware.
type Info struct {
	Name          string
	Model         string // as it is sold
	InternalModel string
	Version       string // "4.4.1"
	Build         string // "20200214"
	NotSetUp      bool   // its first set-up is not done (confidence I)
	Booting       bool
	HTTPPort      uint16
	HTTPSPort     uint16
}

// Parse reads an answer.
func Parse(b []byte) (Info, error) {
	if len(b) > MaxSize {
		return Info{}, fmt.Errorf("%w: more than %d bytes", ErrNotQNAP, MaxSize)
	}
	var raw struct {
		XMLName xml.Name `xml:"QDocRoot"`
		Name    string   `xml:"hostname"`
		Quick   string   `xml:"doQuick"`
		Booting string   `xml:"is_booting"`
		Model   struct {
			Name     string `xml:"modelName"`
			Internal string `xml:"internalModelName"`
			Display  string `xml:"displayModelName"`
		} `xml:"model"`
		Firmware struct {
			Version string `xml:"version"`
			Build   string `xml:"build"`
		} `xml:"firmware"`
		Port string `xml:"webAccessPort"`
		TLS  string `xml:"stunnelEnabled"`
		SSL  string `xml:"stunnelPort"`
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&raw); err != nil {
		return Info{}, fmt.Errorf("%w: %w", ErrNotQNAP, err)
	}
	i := Info{
		Name: text(raw.Name), Model: text(raw.Model.Display), InternalModel: text(raw.Model.Name),
		Version: text(raw.Firmware.Version), Build: text(raw.Firmware.Build),
		NotSetUp: text(raw.Quick) != "", Booting: text(raw.Booting) == "1", HTTPPort: port(raw.Port),
	}
	if i.Model == "" {
		i.Model = i.InternalModel
	}
	if text(raw.TLS) == "1" {
		i.HTTPSPort = port(raw.SSL)
	}
	return i, nil
}

// Status is what that means; guessed says that the device did not say so in as
// many words.
func (i Info) Status() (s nas.Status, guessed bool) {
	switch {
	case i.Booting:
		return nas.Booting, false
	case i.NotSetUp:
		return nas.NotConfigured, true
	}
	return nas.Ready, true
}

func text(s string) string { return printable.Clean(strings.TrimSpace(s)) }

func port(s string) uint16 {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}
