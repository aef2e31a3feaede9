package samba

import "testing"

func TestNTHash(t *testing.T) {
	for password, want := range map[string]string{
		"":         "31D6CFE0D16AE931B73C59D7E0C089C0", // the well-known hash of nothing
		"password": "8846F7EAEE8FB117AD06BDD830B7586C",
		"Password": "A4F49C406510BDCAB6824EE7C30FD852", // [MS-NLMP] §4.2.2.1.1
	} {
		if got, err := ntHash(password); err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", password, got, err, want)
		}
	}
}

func TestParseEntry(t *testing.T) {
	const x = "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"
	const h = "5c54b3ee4c8287d5a795c0a58fe8201A"
	for line, want := range map[string]value{
		"anna:1:" + x + ":" + h + ":[DU         ]:LCT-6B028451:":                        {NT: "5C54B3EE4C8287D5A795C0A58FE8201A", Disabled: true, Changed: 0x6B028451},
		"anna:1:" + h + ":NO PASSWORDXXXXXXXXXXXXXXXXXXXXX:[NU         ]:LCT-00000000:": {NoPassword: true},
	} {
		if got, err := parseEntry(line); err != nil || got != want {
			t.Errorf("%s: %+v, %v", line, got, err)
		}
	}
	for _, bad := range []string{"", "anna", "anna:1:" + x + ":" + h[1:] + ":[U]:LCT-0:", "anna:1:" + x + ":" + h + ":U:LCT-0:", "anna:1:" + x + ":" + h + ":[U]:LCT-XYZ:", "anna:1:" + x + ":zz" + h[2:] + ":[U]:LCT-0:"} {
		if got, err := parseEntry(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, got)
		}
	}
}

func FuzzParseEntry(f *testing.F) {
	f.Add("anna:1:XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX:5c54b3ee4c8287d5a795c0a58fe8201A:[DU         ]:LCT-6B028451:")
	f.Fuzz(func(t *testing.T, line string) {
		v, err := parseEntry(line)
		if err == nil && (len(v.NT) != 0 && len(v.NT) != 32 || v.Changed < 0) {
			t.Errorf("%q: %+v", line, v)
		}
	})
}
