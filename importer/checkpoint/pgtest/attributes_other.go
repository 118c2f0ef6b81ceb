//go:build !unix

package pgtest

import "syscall"

// attributes changes nothing: this system has no root user.
func attributes(*account) *syscall.SysProcAttr { return nil }
