// Package guided is the way back into a vendor's NAS: find out what is wrong,
// take the way that changes least, do by the device's own API what is known well
// enough, and guide a person through the rest, watching that it happens.
//
// It is one table of steps, as package rescue's is for a NAS with Paperclip, over
// the same Person. A password that somebody typed is sent in one sign-in and no
// other; a new one is sent only to a box that was proved: by the certificate of
// an earlier meeting, by its beep, or by its label. The package presses nothing
// and resets nothing: only a person at the NAS can. It is done only after a
// fresh sign-in as the chosen administrator.
package guided

import (
	"context"
	"io"
	"time"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/nas"
	"github.com/paperclip-nas/paperclip/internal/domain/triage"
	"github.com/paperclip-nas/paperclip/internal/domain/ways"
	"github.com/paperclip-nas/paperclip/internal/owner/discover"
	"github.com/paperclip-nas/paperclip/internal/owner/kept"
	"github.com/paperclip-nas/paperclip/internal/owner/pins"
	"github.com/paperclip-nas/paperclip/internal/owner/rescue"
	"github.com/paperclip-nas/paperclip/internal/x/clock"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Finder looks for NAS on the LAN.
type Finder interface {
	// Find returns every NAS that target names, after at most wait; sooner when
	// it is found. None is no error.
	Find(ctx context.Context, target string, wait time.Duration) ([]discover.Device, error)
}

// Device is one vendor's NAS by its own API. What its vendor's sources do not
// carry it does not do by program: the problem is then vendor_guided.
type Device interface {
	// Fingerprint is the certificate's; empty over plain HTTP.
	Fingerprint() string
	Plain() bool
	// Local is this computer's address as the NAS sees it; empty where unknown.
	Local() string
	// SignIn makes one attempt: one request with the password in it.
	SignIn(ctx context.Context, account string, password, code access.Secret) (triage.Answer, string, error)
	SignOut(ctx context.Context) error
	// State is how the NAS is, as it tells anybody.
	State(ctx context.Context) (nas.Status, error)

	// The calls of a session.
	Describe(ctx context.Context) (nas.Identity, string, error)
	Read(ctx context.Context) (nas.Settings, ways.Known, []string, error)
	// Shares are the shared folders' names; where no source says how they are
	// asked for, the problem no_such_api.
	Shares(ctx context.Context) ([]string, error)
	Beep(ctx context.Context) error
	EndBeep(ctx context.Context) error
	SetPassword(ctx context.Context, account string, password access.Secret) error
	SetEnabled(ctx context.Context, account string, on bool) error
	SetAutoBlock(ctx context.Context, on bool) error
	Unblock(ctx context.Context, address string) error
	SetRedirect(ctx context.Context, on bool) error
	// SignOutEverywhere ends this session and, as far as the API does it, what
	// else this account has open.
	SignOutEverywhere(ctx context.Context) error

	// Page is how a person does a task in the browser.
	Page(t Task) Page
}

// Task is something that a person does in the browser.
type Task string

// The tasks.
const (
	TaskPassword     Task = "password"          // set a new password
	TaskResetPage    Task = "reset_page"        // the vendor's page after its reset
	TaskNetwork      Task = "network"           // put the address back
	TaskFirewall     Task = "firewall"          // turn the firewall on again
	TaskProtection   Task = "protection"        // turn access protection on again
	TaskDisableAdmin Task = "disable_admin"     // disable the built-in administrator
	TaskTwoFactor    Task = "two_factor"        // set up a second step
	TaskBackup       Task = "backup"            // save the settings
	TaskInstaller    Task = "installer"         // install the system anew
	TaskByHand       Task = "by_hand"           // a way that the person goes
	TaskRestoreDSS   Task = "restore_backup"    // put a settings backup back
	TaskPorts        Task = "ports"             // put the ports back
	TaskShares       Task = "shares"            // make shared folders anew under their old names
	TaskSecondOff    Task = "second_step_off"   // turn an account's second step off
	TaskNewAdmin     Task = "new_administrator" // make the administrator anew
	TaskSignOutAll   Task = "sign_out_everywhere"
)

// Page is where in the browser, and what to press.
type Page struct {
	URL   string
	Press []string
	Fact  catalog.ID
}

// Meet connects to the vendor's NAS where it was found. pin is the certificate
// it must show; empty takes what is shown. Nothing is asked of it.
type Meet func(ctx context.Context, d discover.Device, pin string) (Device, error)

// Config is what a guided rescue works with. Witness may be nil.
type Config struct {
	Person  rescue.Person
	Finder  Finder
	Meet    Meet
	Witness rescue.Witness
	Pins    *pins.Store
	Clock   clock.Clock
	Rand    io.Reader
	Known   *kept.Store // what was read of NAS before; may be nil

	// FS, Dir and ID are where the rescue is written down so that it can be
	// resumed; a nil FS writes nothing. Again is the command that resumes, before
	// the id.
	FS    opfs.FS
	Dir   string
	ID    string
	Again string

	Wait     time.Duration // how long to look for the NAS at first; 0 is 12 s
	Poll     time.Duration // pause between looks while waiting; 0 is half a second
	Settle   time.Duration // how long after a press to see something change; 0 is 2 minutes
	Stable   time.Duration // how long it must stay as it is after a press before that counts; 0 is 45 s
	Patience time.Duration // how long to wait for it to come back; 0 is 20 minutes
}

// Request is what is asked for.
type Request struct {
	Target        string
	Administrator string  // empty: asked
	Way           ways.ID // empty: asked
	Password      bool    // whether a sign-in is tried first, with a password that is asked for
}

// The questions that only a guided rescue asks.
const (
	AskAccount  rescue.QuestionID = "account"      // a name, typed
	AskTry      rescue.QuestionID = "try"          // whether to try a password that is thought to be known
	AskTryIt    rescue.QuestionID = "try_password" // the password, for one attempt
	AskCode     rescue.QuestionID = "code"         // of the second step, typed
	AskTriage   rescue.QuestionID = "triage"       // one of triage.Questions, yes or no
	AskLabel    rescue.QuestionID = "label"        // what stands on the label, typed
	AskBeep     rescue.QuestionID = "beep"         // whether the box beeped
	AskPage     rescue.QuestionID = "page"         // a task in the browser: done or not
	AskCloudKey rescue.QuestionID = "cloud_key"    // from the label, typed
	AskDoor     rescue.QuestionID = "door"         // whether somebody can still sign in somewhere, before a press
	AskWasSet   rescue.QuestionID = "was_set"      // whether the new password had been set before an interruption
	AskBackup   rescue.QuestionID = "backup"       // whether there is a settings backup to be put back
	AskOther    rescue.QuestionID = "other_way"    // after a dead end: another way, or stop
)

// Other is the Account of a question that is about another administrator.
const Other = "another administrator"

// Start goes through a guided rescue. The Result says what was reached,
// whatever the error.
func Start(ctx context.Context, cfg Config, req Request) (rescue.Result, error) {
	return newRun(cfg, req).goThrough(ctx, find)
}
