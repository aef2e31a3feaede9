package ownfile

import (
	"errors"
	"io/fs"
	"path"

	"github.com/paperclip-nas/paperclip/internal/x/atomicfile"
	"github.com/paperclip-nas/paperclip/internal/x/opfs"
)

// Make makes a file that was removed, with the owner and mode that it had; until
// it has them, only root can read it. Its operations are op + ".clean",
// ".create", ".write", ".owner", ".mode", ".sync", ".rename" and ".syncdir".
func Make(fsys opfs.FS, op, file string, data []byte, mode fs.FileMode, uid, gid int) error {
	if err := atomicfile.Settle(fsys, op, file); err != nil {
		return err
	}
	tmp := atomicfile.Temporary(file)
	f, err := fsys.CreateExclusive(op+".create", tmp, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(op+".write", data)
	if err == nil && uid >= 0 {
		err = f.Chown(op+".owner", uid, gid)
	}
	if err == nil {
		err = f.Chmod(op+".mode", mode)
	}
	if err == nil {
		err = f.Sync(op + ".sync")
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, fsys.Remove(op+".discard", tmp))
	}
	if err := fsys.Rename(op+".rename", tmp, file); err != nil {
		return errors.Join(err, fsys.Remove(op+".discard", tmp))
	}
	return fsys.SyncDir(op+".syncdir", path.Dir(file))
}
