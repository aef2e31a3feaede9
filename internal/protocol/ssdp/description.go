package ssdp

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/x/printable"
)

// Bounds on a description.
const (
	MaxDescription = 64 << 10 // bytes
	maxDepth       = 16
	maxElements    = 2048
	maxText        = 256 // bytes of one element
)

// ErrDescription is a description that cannot be read; test with errors.Is.
var ErrDescription = errors.New("ssdp: malformed device description")

// Description is what the outermost device of a description says of itself,
// safe to print. What it does not say is empty.
type Description struct {
	DeviceType      string // "urn:schemas-upnp-org:device:Basic:1"
	FriendlyName    string // "attic (DS920+)"
	Manufacturer    string
	ModelName       string
	ModelNumber     string // "DS920+ 7.2-64570"
	SerialNumber    string // with Synology the MAC, without colons
	UDN             string
	PresentationURL string
}

// ParseDescription reads a device description. Devices inside the device, and
// elements that it has no name for, are passed over. The document has no say in
// what is loaded: a document type is an error.
func ParseDescription(b []byte) (Description, error) {
	if len(b) > MaxDescription {
		return Description{}, fmt.Errorf("%w: more than %d bytes", ErrDescription, MaxDescription)
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = func(charset string, r io.Reader) (io.Reader, error) {
		if !strings.EqualFold(charset, "iso-8859-1") {
			return nil, fmt.Errorf("the character set %q", printable.Clean(charset))
		}
		return latin1{r}, nil
	}
	var out Description
	var path []string
	var text strings.Builder
	for elements := 0; ; {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Description{}, fmt.Errorf("%w: %w", ErrDescription, err)
		}
		switch t := t.(type) {
		case xml.Directive:
			return Description{}, fmt.Errorf("%w: it has a document type", ErrDescription)
		case xml.StartElement:
			if elements++; elements > maxElements || len(path) == maxDepth {
				return Description{}, fmt.Errorf("%w: more elements than this program reads", ErrDescription)
			}
			path = append(path, t.Name.Local)
			text.Reset()
		case xml.CharData:
			if room := maxText - text.Len(); room > 0 {
				text.Write(t[:min(len(t), room)])
			}
		case xml.EndElement:
			if len(path) == 3 && path[0] == "root" && path[1] == "device" {
				out.take(path[2], printable.Clean(strings.TrimSpace(text.String())))
			}
			path = path[:len(path)-1]
			text.Reset()
		}
	}
	if out == (Description{}) {
		return Description{}, fmt.Errorf("%w: no device in it", ErrDescription)
	}
	return out, nil
}

func (d *Description) take(element, value string) {
	into := map[string]*string{
		"deviceType": &d.DeviceType, "friendlyName": &d.FriendlyName, "manufacturer": &d.Manufacturer, "modelName": &d.ModelName,
		"modelNumber": &d.ModelNumber, "serialNumber": &d.SerialNumber, "UDN": &d.UDN, "presentationURL": &d.PresentationURL,
	}[element]
	if into != nil && *into == "" {
		*into = value
	}
}

// Name is the device's own name: the friendly name without the model that
// stands behind it in brackets.
func (d Description) Name() string {
	return strings.TrimSuffix(d.FriendlyName, " ("+d.ModelName+")")
}

// MAC is the serial number where that is a MAC address, as with Synology.
func (d Description) MAC() string {
	if len(d.SerialNumber) != 12 {
		return ""
	}
	mac, ok := nas.NormalMAC(d.SerialNumber)
	if !ok {
		return ""
	}
	return mac
}

// Version is the version and the build behind the model's name in the model
// number: "DS920+ 7.2-64570".
func (d Description) Version() (version, build string) {
	rest, ok := strings.CutPrefix(d.ModelNumber, d.ModelName+" ")
	if !ok || strings.Trim(rest, "0123456789.-") != "" {
		return "", ""
	}
	version, build, _ = strings.Cut(rest, "-")
	return version, build
}

// XML is d as a document. It is for the lab's virtual devices and for tests.
func (d Description) XML() ([]byte, error) {
	type device struct {
		DeviceType      string `xml:"deviceType,omitempty"`
		FriendlyName    string `xml:"friendlyName,omitempty"`
		Manufacturer    string `xml:"manufacturer,omitempty"`
		ModelName       string `xml:"modelName,omitempty"`
		ModelNumber     string `xml:"modelNumber,omitempty"`
		SerialNumber    string `xml:"serialNumber,omitempty"`
		UDN             string `xml:"UDN,omitempty"`
		PresentationURL string `xml:"presentationURL,omitempty"`
	}
	body, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"urn:schemas-upnp-org:device-1-0 root"`
		Device  device   `xml:"device"`
	}{Device: device(d)})
	return append([]byte(xml.Header), body...), err
}

// latin1 reads ISO 8859-1 as UTF-8.
type latin1 struct{ from io.Reader }

func (l latin1) Read(p []byte) (int, error) {
	if len(p) < 2 {
		return 0, io.ErrShortBuffer
	}
	raw := make([]byte, len(p)/2)
	n, err := l.from.Read(raw)
	out := p[:0]
	for _, c := range raw[:n] {
		out = append(out, string(rune(c))...)
	}
	return len(out), err
}
