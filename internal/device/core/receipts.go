package core

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/paperclip-nas/paperclip/internal/device/journal"
	"github.com/paperclip-nas/paperclip/internal/domain/catalog"
	"github.com/paperclip-nas/paperclip/internal/domain/reset"
	"github.com/paperclip-nas/paperclip/internal/protocol/receipt"
	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
)

// Receipts are kept in a folder of their own, one file each, named so that
// they sort by age: 000001-<transaction>.json.

func (c *Core) receiptsDir() string { return path.Join(c.cfg.Dir, "receipts") }

// receiptNames lists the files, the oldest first.
func (c *Core) receiptNames() ([]string, error) {
	return namesIn(c.cfg.FS, c.receiptsDir(), ".json")
}

// ReceiptList is what ReadReceipts answers.
type ReceiptList struct {
	Receipts []ReceiptFile `json:"receipts"`
}

// ReceiptFile is one receipt as it lies on the device.
type ReceiptFile struct {
	Name      string            `json:"name"`
	Statement receipt.Statement `json:"statement"`
	Valid     bool              `json:"valid"`
}

// Receipts lists the receipts on the device and whether each is intact and
// names the one before it.
func (c *Core) Receipts() (ReceiptList, error) {
	list := ReceiptList{Receipts: []ReceiptFile{}}
	names, err := c.receiptNames()
	if err != nil {
		return list, err
	}
	previous := ""
	for _, n := range names {
		raw, err := c.cfg.FS.ReadFile(path.Join(c.receiptsDir(), n))
		if err != nil {
			return list, err
		}
		key, s, err := receipt.Verify(raw)
		list.Receipts = append(list.Receipts, ReceiptFile{n, s, err == nil && key == c.KeyID() && s.Previous == previous})
		previous = receipt.Hash(raw)
	}
	return list, nil
}

// receiptOf is the file of a transaction's receipt.
func (c *Core) receiptOf(transaction string) ([]byte, error) {
	names, err := c.receiptNames()
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		if transaction != "" && strings.HasSuffix(n, "-"+transaction+".json") {
			return c.cfg.FS.ReadFile(path.Join(c.receiptsDir(), n))
		}
	}
	return nil, catalog.New("no_receipt")
}

// writeReceipt says on disk, signed, how a transaction ended. Doing it again
// returns the same receipt: a power cut between commit and receipt loses
// nothing.
func (c *Core) writeReceipt(r *journal.Record) ([]byte, error) {
	names, err := c.receiptNames()
	if err != nil {
		return nil, err
	}
	previous := ""
	for _, n := range names {
		raw, err := c.cfg.FS.ReadFile(path.Join(c.receiptsDir(), n))
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(n, "-"+r.ID+".json") {
			// The process that wrote it may have been killed before it was durable.
			return raw, atomicfile.Settle(c.cfg.FS, "receipt.settle", path.Join(c.receiptsDir(), n))
		}
		previous = receipt.Hash(raw)
	}
	s, err := c.statement(r, previous)
	if err != nil {
		return nil, err
	}
	raw, err := receipt.Sign(c.identity, s)
	if err != nil {
		return nil, err
	}
	if err := atomicfile.MakeDir(c.cfg.FS, "receipt", c.receiptsDir(), 0o700); err != nil {
		return nil, err
	}
	file := path.Join(c.receiptsDir(), fmt.Sprintf("%06d-%s.json", len(names)+1, r.ID))
	if err := atomicfile.Replace(c.cfg.FS, "receipt.write", file, raw, atomicfile.Options{Mode: 0o600}); err != nil {
		return nil, err // nobody is told a receipt that may be another one after a restart
	}
	return raw, nil
}

func (c *Core) statement(r *journal.Record, previous string) (receipt.Statement, error) {
	var plan reset.Plan
	if err := json.Unmarshal(r.Plan, &plan); err != nil {
		return receipt.Statement{}, fmt.Errorf("the plan in the journal cannot be read: %w", err)
	}
	s := receipt.Statement{
		Device: receipt.Device{Name: plan.Device}, Transaction: r.ID, Claim: r.Claim,
		Mode: string(r.Mode), Scope: string(r.Scope), Administrator: r.Administrator, PlanHash: r.PlanHash,
		NotCovered: plan.NotCovered, AcceptedAt: r.AcceptedAt, CommittedAt: c.cfg.Clock.Now(),
		Result: receipt.Undone, Previous: previous,
	}
	if s.CommittedAt.Before(s.AcceptedAt) { // the wall clock was set back meanwhile
		s.CommittedAt = s.AcceptedAt.Add(time.Second)
	}
	if r.State == journal.Committed {
		s.Result = receipt.Committed
		for _, ch := range plan.Changes {
			s.Changes = append(s.Changes, receipt.Change{ID: string(ch.ID), Setting: ch.Setting, From: ch.From, To: ch.To})
		}
	}
	return s, nil
}
