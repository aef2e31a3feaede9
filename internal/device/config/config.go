// Package config is paperclipd's configuration file,
// /etc/paperclip/paperclip.toml: what an owner may set, and nothing that a
// reset changes.
//
// It is strict. A key that is not known, a value out of its range or of the
// wrong kind is the problem config_invalid with the line and column where it
// stands, and paperclipd does not start: a misspelt key must not leave a door
// open that its owner believes shut. The package reads the file and changes
// nothing. packaging/paperclip.toml shows every key with its default.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pelletier/go-toml/v2"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/button"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
)

// Path is where the file is. It may be missing: then everything is as Default
// says.
const Path = "/etc/paperclip/paperclip.toml"

// maxSize is the largest file, in bytes.
const maxSize = 64 << 10

// Config is the file. packaging/paperclip.toml says for people what each key
// means.
type Config struct {
	Device    Device    `toml:"device"`
	Claim     Claim     `toml:"claim"`
	Panel     Panel     `toml:"panel"`
	Network   Network   `toml:"network"`
	Encrypted Encrypted `toml:"encrypted"`
}

// Device is who the device is.
type Device struct {
	Name       Name     `toml:"name"`        // empty: the host name
	AdminGroup Group    `toml:"admin_group"` // whose human members are administrators
	Volumes    []Folder `toml:"volumes"`     // where the data is; doctor looks at them, nothing writes there
}

// Claim is how a claim goes.
type Claim struct {
	Window Window `toml:"window"`
	Allows Policy `toml:"allows"` // what a claim may do: the owner's choice (D9, D11)
}

// Panel is which parts of the machine are the front panel.
type Panel struct {
	Profile   Profile    `toml:"profile"`
	Button    Part       `toml:"button"`
	ButtonKey Key        `toml:"button_key"`
	Remap     []ScanCode `toml:"remap"` // scan codes that Button shall report as ButtonKey
	Beeper    Part       `toml:"beeper"`
	Light     Light      `toml:"light"`
}

// Network is how the device can be reached.
type Network struct {
	ClaimNetwork bool `toml:"claim_network"` // a network interface of the claim's own
	VirtualCards bool `toml:"virtual_cards"` // veth pairs count as cards: containers and tests
}

// Encrypted is what a reset does with encrypted folders beside closing them.
type Encrypted struct {
	KeepKey bool `toml:"keep_key"` // keys that are kept on the device stay there (E12)
}

// shape is Config with the kinds of its values alone. The library hands a
// number or a date to a type that wants text; here that is a mistake, told with
// its place.
type shape struct {
	Device struct {
		Name       string   `toml:"name"`
		AdminGroup string   `toml:"admin_group"`
		Volumes    []string `toml:"volumes"`
	} `toml:"device"`
	Claim struct {
		Window string `toml:"window"`
		Allows string `toml:"allows"`
	} `toml:"claim"`
	Panel struct {
		Profile   string   `toml:"profile"`
		Button    string   `toml:"button"`
		ButtonKey string   `toml:"button_key"`
		Remap     []uint32 `toml:"remap"`
		Beeper    string   `toml:"beeper"`
		Light     string   `toml:"light"`
	} `toml:"panel"`
	Network struct {
		ClaimNetwork bool `toml:"claim_network"`
		VirtualCards bool `toml:"virtual_cards"`
	} `toml:"network"`
	Encrypted struct {
		KeepKey bool `toml:"keep_key"`
	} `toml:"encrypted"`
}

// Default is an empty file.
func Default() Config {
	return Config{
		Device:  Device{AdminGroup: Group{"sudo"}},
		Claim:   Claim{Window: Window{access.DefaultRules().Window}, Allows: Policy{access.ButtonFull}},
		Panel:   Panel{Profile: Profile{button.Paperclip().Name}, Button: Part{auto}, ButtonKey: Key{"KEY_RESTART"}, Beeper: Part{auto}},
		Network: Network{ClaimNetwork: true},
	}
}

// Reader reads files; opfs.FS is one.
type Reader interface {
	ReadFile(path string) ([]byte, error)
}

// Load reads the file at path. A missing one is Default.
func Load(files Reader, path string) (Config, error) {
	data, err := files.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Default(), nil
	case err != nil:
		return Config{}, invalid(path+" cannot be read", err)
	}
	return Parse(path, data)
}

// Parse reads the text of a file. path is for what it says.
func Parse(path string, data []byte) (Config, error) {
	if len(data) > maxSize {
		return Config{}, invalid(fmt.Sprintf("%s has more than %d bytes", path, maxSize), nil)
	}
	c := Default()
	for _, v := range []any{&shape{}, &c} {
		d := toml.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		if err := d.Decode(v); err != nil {
			return Config{}, invalid(where(path, err), err)
		}
	}
	if p := c.Panel.Profile.Profile(); p.ActsAtOnce {
		return Config{}, catalog.New("vendor_profile", p.Name)
	}
	if len(c.Panel.Remap) > 0 && c.Panel.Button.Path() == "" {
		return Config{}, invalid(path+": [panel] remap needs the path of the device in button: no device is remapped on a guess", nil)
	}
	return c, nil
}

func invalid(what string, cause error) error {
	return catalog.New("config_invalid", what).Because(cause)
}

// where says what is wrong, and at which line and column.
func where(path string, err error) string {
	if unknown, ok := errors.AsType[*toml.StrictMissingError](err); ok && len(unknown.Errors) > 0 {
		first := unknown.Errors[0]
		line, column := first.Position()
		return fmt.Sprintf("%s, line %d, column %d: there is no setting %q", path, line, column, dotted(first.Key()))
	}
	if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := wrong.Position()
		return fmt.Sprintf("%s, line %d, column %d: %s", path, line, column, plain(wrong.Error()))
	}
	return path + ": " + plain(err.Error())
}
