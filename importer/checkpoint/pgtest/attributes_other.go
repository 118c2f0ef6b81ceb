//go:build !unix

package pgtest

import "syscall"

// attributes changes nothing: there is no root here.
func attributes(*account) *syscall.SysProcAttr { return nil }
