package connect

import (
	"testing"

	"go.uber.org/goleak"

	"dixa-import/importer/checkpoint/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.M{M: m}) }
