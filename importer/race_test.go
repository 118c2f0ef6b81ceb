//go:build race

package importer_test

func init() { slow = true }
