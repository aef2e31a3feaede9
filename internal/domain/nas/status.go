package nas

// Status is how a NAS is doing. Its numbers are the findhost field a7 of
// vendors/synology.md §3.1, so that one word means one thing for every vendor;
// those that findhost does not number start at 100.
type Status int

// The statuses, in the numbering of vendors/synology.md §3.1.
const (
	NotConfigured     Status = 0 // confidence C: sources differ; open it and look
	Ready             Status = 1
	NotInstalled      Status = 2
	Upgrading         Status = 3
	ConfigurationLost Status = 4 // confidence B
	Booting           Status = 5
	CheckingQuota     Status = 6
	StartingServices  Status = 7
	ConnectionFailed  Status = 8
	TestingMemory     Status = 9
	TestingNetwork    Status = 10
	Recoverable       Status = 11
	Offline           Status = 12
	Installing        Status = 13
	Migratable        Status = 14

	CheckingFileSystem Status = 100 // shown by the vendor's assistant, no a7 known
	Unknown            Status = 101 // nothing said so
	Other              Status = 102 // a number that no source names
	SafeMode           Status = 103 // ours: a boot in which only recovery runs (A7)
)

// statusFact is one row of vendors/synology.md §3.1.
type statusFact struct {
	id, text, meaning string
}

func statusFacts() map[Status]statusFact {
	return map[Status]statusFact{
		NotConfigured:      {"not_configured", "Not configured", "Its first set-up may not be finished. Sources differ about this state: open it and look."},
		Ready:              {"ready", "Ready", "Up and usable."},
		NotInstalled:       {"not_installed", "Not installed", "It sees no drive, or no operating system on its drives. If these drives were in use, do not install anything: check the drives first."},
		Upgrading:          {"upgrading", "Upgrading", "It is installing an update. Wait."},
		ConfigurationLost:  {"configuration_lost", "Configuration lost", "Its settings are gone, normally after a hard reset. Reinstalling the operating system does not touch the files."},
		Booting:            {"booting", "Booting", "It is starting. Wait."},
		CheckingQuota:      {"checking_quota", "Checking quota", "It was not shut down properly and checks itself. Wait."},
		StartingServices:   {"starting_services", "Starting services", "Almost ready; this can take 10 minutes."},
		ConnectionFailed:   {"connection_failed", "Connection failed", "Its network settings could not be applied."},
		TestingMemory:      {"testing_memory", "Performing memory test", "It tests its memory. Wait."},
		TestingNetwork:     {"testing_network", "Getting connection status", "It is looking at its network. Wait."},
		Recoverable:        {"recoverable", "Recoverable", "The system in the box is older than the one on the drives."},
		Offline:            {"offline", "Offline", "It is switched off or asleep."},
		Installing:         {"installing", "Check progress", "It is being installed or configured. Wait."},
		Migratable:         {"migratable", "Migratable", "The system in the box is newer than the one on the drives: the drives were moved here."},
		CheckingFileSystem: {"checking_file_system", "Checking file system", "It checks its file systems. Wait."},
		Unknown:            {"unknown", "Unknown", "It did not say how it is."},
		SafeMode:           {"safe_mode", "Safe mode", "Only recovery runs: no SSH, no file sharing. Hold its button to get back in; an ordinary restart brings everything back as it was."},
		Other:              {"other", "Other", "It gave a state that no source names."},
	}
}

// Statuses lists every status there is.
func Statuses() []Status {
	all := make([]Status, 0, 18)
	for s := NotConfigured; s <= Migratable; s++ {
		all = append(all, s)
	}
	return append(all, CheckingFileSystem, SafeMode, Unknown, Other)
}

// StatusFromFindhost reads field a7. A number that no source names is Other.
func StatusFromFindhost(a7 uint32) Status {
	if a7 <= uint32(Migratable) {
		return Status(a7)
	}
	return Other
}

// StatusOf reads a status's id; one that is not known is Other.
func StatusOf(id string) Status {
	for _, s := range Statuses() {
		if s.ID() == id {
			return s
		}
	}
	return Other
}

func (s Status) fact() statusFact {
	facts := statusFacts()
	if f, ok := facts[s]; ok {
		return f
	}
	return facts[Other]
}

// ID is the stable name that programs read, as in `find --json`.
func (s Status) ID() string { return s.fact().id }

// String is the label that the vendor's assistant shows.
func (s Status) String() string { return s.fact().text }

// Meaning is what the status means for the person who reads it.
func (s Status) Meaning() string { return s.fact().meaning }
