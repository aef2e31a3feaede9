package core

import (
	"context"
	"slices"

	"github.com/paperclip-nas/paperclip/internal/domain/access"
	"github.com/paperclip-nas/paperclip/internal/domain/check"
	"github.com/paperclip-nas/paperclip/internal/protocol/deviceapi"
)

// ownerCheck tells an administrator what there is to be judged. It changes
// nothing.
func (c *Core) ownerCheck(ctx context.Context, _ *conversation, _ deviceapi.Empty) (deviceapi.CheckReply, error) {
	s, err := surveyed(ctx, c.cfg.Adapters)
	if err != nil {
		return deviceapi.CheckReply{}, err
	}
	proved, err := c.provedToSignIn(ctx, s.settings)
	if err != nil {
		return deviceapi.CheckReply{}, err
	}
	policy := c.cfg.Policy
	if policy == "" {
		policy = access.ButtonFull
	}
	seen := shown(s.settings)
	f := check.Facts{
		Administrators: []check.Administrator{}, Policy: &policy,
		Guest: seen.Guest, AutoBlock: seen.AutoBlock, Firewall: seen.Firewall, EncryptedFolders: seen.EncryptedFolders,
	}
	if c.cfg.Findings != nil {
		f.Findings = c.cfg.Findings(ctx)
	}
	return in(ctx, c, func() (deviceapi.CheckReply, error) {
		for _, a := range seen.Accounts {
			f.Administrators = append(f.Administrators, check.Administrator{
				Name: a.Name, BuiltIn: a.BuiltIn, Enabled: a.Enabled, SecondFactor: a.SecondFactor,
				SignedIn: slices.Contains(proved, a.Name), Codes: c.codes.left(a.Name),
			})
		}
		keys, waiting := len(c.owners.kept), c.requests.pending()
		f.OwnerKeys, f.Requests = &keys, &waiting
		recovery := c.recovery.kept.Recipient != ""
		f.RecoveryKey = &recovery
		if at := c.recovery.kept.TakenAt; at != nil {
			age := max(0, c.cfg.Clock.Now().Sub(*at))
			f.SnapshotAge = &age
		}
		for _, n := range c.notices.current(c.cfg.Clock.Now()) {
			f.Notices = append(f.Notices, n.ID)
		}
		return deviceapi.CheckReply{Facts: f}, nil
	})
}
