package deviceapi

import "github.com/paperclip-nas/paperclip/internal/domain/check"

// CheckReply is what the device knows of how ready it is; the judgement is the
// owner's program's. The call is Empty.
type CheckReply struct {
	Facts check.Facts `json:"facts"`
}
