//go:build unix && !linux

package pgtest

import "syscall"

// attributes makes a child process run as the account, if any.
func attributes(as *account) *syscall.SysProcAttr {
	if as == nil {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: as.uid, Gid: as.gid}}
}
