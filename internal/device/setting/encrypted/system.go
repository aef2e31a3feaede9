package encrypted

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// folder is one encrypted volume or folder.
type folder struct {
	name    string   // where it is mounted, or else what it is called
	mapping string   // of LUKS; "" for gocryptfs
	crypt   *row     // its line of crypttab
	tabs    []row    // its lines of fstab
	mounted []string // where it is mounted now
	open    bool     // LUKS: the mapping is there
	keys    []string // files with its key, which can be removed
	kept    string   // where its key is besides, which is not touched
}

func (f folder) starts() bool {
	if f.crypt != nil {
		return f.crypt.starts()
	}
	return slices.ContainsFunc(f.tabs, row.starts)
}

// mount is a line of mountinfo.
type mount struct{ device, point, kind, source string }

// state is what the system says.
type state struct {
	crypttab, fstab string
	folders         []folder
	left            []string // why others are left alone
}

func (a *Adapter) read(file string) (string, error) {
	data, err := a.system.FS.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(data), err
}

// load reads both tables and what is open.
func (a *Adapter) load() (state, error) {
	var st state
	var err1, err2 error
	st.crypttab, err1 = a.read(crypttab)
	st.fstab, err2 = a.read(fstab)
	mounts, err3 := a.mounts()
	mappings, err4 := a.mappings()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return st, err
	}
	swaps, _ := a.read("/proc/swaps")
	var needed []string // keys of what is left alone
	for _, r := range rows(st.crypttab) {
		f, why := a.volume(r, rows(st.fstab), mounts, mappings[r.field(cryptName)], swaps)
		if why != "" {
			st.left = append(st.left, r.field(cryptName)+": "+why)
			needed = append(needed, r.field(cryptKey))
			continue
		}
		st.folders = append(st.folders, f)
	}
	st.folders = append(st.folders, a.gocryptfs(rows(st.fstab), mounts)...)
	for i := range st.folders {
		f := &st.folders[i]
		f.keys = slices.DeleteFunc(f.keys, func(file string) bool {
			if slices.Contains(needed, file) {
				f.kept = file
			}
			return slices.Contains(needed, file)
		})
	}
	return st, nil
}

// mounts are those of mountinfo (proc(5)).
func (a *Adapter) mounts() ([]mount, error) {
	text, err := a.read("/proc/1/mountinfo") // the system's, not those of a sandbox
	var all []mount
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		dash := slices.Index(f, "-")
		if dash < 5 || dash+2 >= len(f) {
			continue
		}
		all = append(all, mount{f[2], unescape(f[4]), f[dash+1], unescape(f[dash+2])})
	}
	return all, err
}

// mapping is a device of the kernel's device mapper.
type mapping struct {
	device string // "253:0"
	block  string // "dm-0"
	built  bool   // something else is built on it
}

func (a *Adapter) mappings() (map[string]mapping, error) {
	entries, err := a.system.FS.ReadDir("/sys/block")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	all := make(map[string]mapping)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "dm-") {
			continue
		}
		dir := path.Join("/sys/block", e.Name())
		name, err1 := a.read(path.Join(dir, "dm/name"))
		device, err2 := a.read(path.Join(dir, "dev"))
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		holders, _ := a.system.FS.ReadDir(path.Join(dir, "holders"))
		all[strings.TrimSpace(name)] = mapping{strings.TrimSpace(device), e.Name(), len(holders) > 0}
	}
	return all, nil
}

// systems reports whether a mount point is the system's and no data's.
func systems(point string) bool {
	if point == "/" || point == "none" || point == "swap" {
		return true
	}
	for _, dir := range []string{"/usr", "/var", "/boot", "/efi", "/etc", "/opt", "/root", "/tmp", "/run", "/nix", "/dev", "/proc", "/sys"} {
		if point == dir || strings.HasPrefix(point, dir+"/") {
			return true
		}
	}
	return false
}

// volume is the LUKS volume of a line of crypttab, or why it is left alone.
func (a *Adapter) volume(r row, tab []row, mounts []mount, m mapping, swaps string) (f folder, why string) {
	f = folder{name: r.field(cryptName), mapping: r.field(cryptName), crypt: &r, open: m.device != ""}
	if !plain(f.mapping) {
		return f, "its name is not a usual one"
	}
	for _, o := range r.options() {
		switch o, _, _ := strings.Cut(o, "="); o {
		case "swap", "tmp", "plain", "tcrypt", "bitlk":
			return f, "it is no LUKS volume for data (" + o + ")"
		case "x-initrd.attach", "initramfs":
			return f, "the system starts from it (" + o + ")"
		}
	}
	if m.built {
		return f, "something else is built on it, as LVM or RAID"
	}
	if m.block != "" && strings.Contains(swaps, "/dev/"+m.block+" ") {
		return f, "it is swap"
	}
	for _, x := range mounts {
		if x.device == m.device && m.device != "" || x.source == "/dev/mapper/"+f.mapping {
			f.mounted = append(f.mounted, x.point)
		}
	}
	for _, t := range tab {
		point := unescape(t.field(fsPoint))
		if t.field(fsSpec) != "/dev/mapper/"+f.mapping && !slices.Contains(f.mounted, point) {
			continue
		}
		if systems(point) || t.field(fsType) == "swap" {
			return f, "the system itself is on it"
		}
		f.tabs = append(f.tabs, t)
		f.name = point
	}
	if slices.ContainsFunc(f.mounted, systems) {
		return f, "the system itself is on it"
	}
	if len(f.mounted) > 0 {
		f.name = f.mounted[0]
	}
	a.keys(&f, r)
	return f, ""
}

// plain keeps a name from meaning anything else in a unit or a path.
func plain(name string) bool {
	return name != "" && name[0] != '.' && name[0] != '-' && !strings.ContainsAny(name, "/\x00\n")
}

// keys finds where the key of a volume is kept.
func (a *Adapter) keys(f *folder, r row) {
	file := r.field(cryptKey)
	if file == "" || file == "none" || file == "-" {
		file = "/etc/cryptsetup-keys.d/" + f.mapping + ".key"
	}
	a.key(f, file)
	for _, o := range []string{"tpm2-device", "pkcs11-uri", "fido2-device"} {
		if _, ok := r.option(o); ok {
			f.kept = o
		}
	}
}

func (a *Adapter) key(f *folder, file string) {
	info, err := a.system.FS.Lstat(file)
	switch {
	case !path.IsAbs(file) || strings.HasPrefix(file, "/dev/"):
	case err != nil: // no key is there, or it is on a disk that is not
	case !info.Mode().IsRegular() || path.Clean(file) != file || !strings.HasPrefix(file, "/etc/") || info.Size() > maxKey:
		f.kept = file
	default:
		f.keys = append(f.keys, file)
	}
}

// gocryptfs are the folders of that program: by fstab, and mounted by hand.
func (a *Adapter) gocryptfs(tab []row, mounts []mount) []folder {
	var all []folder
	for _, t := range tab {
		if !strings.HasPrefix(t.field(fsType), "fuse.") || !strings.HasSuffix(t.field(fsType), "gocryptfs") {
			continue
		}
		f := folder{name: unescape(t.field(fsPoint)), tabs: []row{t}}
		for _, o := range []string{"passfile", "extpass"} {
			if file, ok := t.option(o); ok {
				a.key(&f, file)
			}
		}
		all = append(all, f)
	}
	for _, m := range mounts {
		if m.kind != "fuse.gocryptfs" {
			continue
		}
		i := slices.IndexFunc(all, func(f folder) bool { return f.name == m.point })
		if i < 0 {
			i, all = len(all), append(all, folder{name: m.point})
		}
		all[i].mounted, all[i].open = []string{m.point}, true
	}
	return slices.DeleteFunc(all, func(f folder) bool { return systems(f.name) || !path.IsAbs(f.name) })
}

func (f folder) String() string {
	if f.mapping == "" || f.mapping == f.name {
		return f.name
	}
	return fmt.Sprintf("%s (%s)", f.name, f.mapping)
}
