package authlogin_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/protocol/authlogin"
)

const ready = `<?xml version="1.0" encoding="UTF-8" ?><QDocRoot version="1.0"><doQuick><![CDATA[]]></doQuick><is_booting>0</is_booting>
<model><modelName><![CDATA[TS-X53D]]></modelName><displayModelName><![CDATA[TS-453D]]></displayModelName></model>
<firmware><version>5.1.9</version><build><![CDATA[20260214]]></build></firmware><hostname><![CDATA[studio]]></hostname>
<webAccessPort>8080</webAccessPort><stunnelEnabled>1</stunnelEnabled><stunnelPort>443</stunnelPort></QDocRoot>`

func TestParse(t *testing.T) {
	i, err := authlogin.Parse([]byte(ready))
	want := authlogin.Info{Name: "studio", Model: "TS-453D", InternalModel: "TS-X53D", Version: "5.1.9", Build: "20260214", HTTPPort: 8080, HTTPSPort: 443}
	if err != nil || i != want {
		t.Errorf("%+v, %v", i, err)
	}
	for change, want := range map[string]nas.Status{"<is_booting>1": nas.Booting, "<is_booting>0": nas.Ready} {
		i, _ := authlogin.Parse([]byte(strings.Replace(ready, "<is_booting>0", change, 1)))
		if got, _ := i.Status(); got != want {
			t.Errorf("%s: %v", change, got)
		}
	}
	i, _ = authlogin.Parse([]byte(strings.Replace(ready, "<![CDATA[]]>", "<![CDATA[quick.html]]>", 1)))
	if got, guessed := i.Status(); got != nas.NotConfigured || !guessed {
		t.Error(got)
	}
	for _, s := range []string{"", "<html></html>", "{}", "<QDocRoot>", strings.Repeat(" ", 65<<10)} {
		if _, err := authlogin.Parse([]byte(s)); !errors.Is(err, authlogin.ErrNotQNAP) {
			t.Errorf("%.20q: %v", s, err)
		}
	}
}

func TestCapture(t *testing.T) {
	b, err := os.ReadFile("../../../../shared/samples/qnap/http/unauth_QTS4.4.1.xml")
	if err != nil {
		t.Skip("no captures beside the checkout")
	}
	if i, err := authlogin.Parse(b); err != nil || i.Name != "QNAP-NAS" || i.Model != "TS-873U-RP" || i.Version != "4.4.1" || i.Build != "20200214" {
		t.Errorf("%+v, %v", i, err)
	}
}

// Whatever arrives: no panic, and nothing that moves a cursor.
func FuzzParse(f *testing.F) {
	f.Add([]byte(ready))
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := authlogin.Parse(b)
		if err == nil && strings.ContainsAny(i.Name+i.Model+i.Version+i.Build, "\x1b\r\n\x07") {
			t.Fatalf("%+v", i)
		}
	})
}
