//go:build !linux

package pgtest_test

const endsWithParent = false
