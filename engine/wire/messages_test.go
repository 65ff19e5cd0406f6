package wire_test

import (
	"reflect"
	"testing"

	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/engine/wire/wiretest"
)

// services lists the server interfaces.
func services() []reflect.Type {
	return []reflect.Type{
		reflect.TypeFor[wire.ControlServer](), reflect.TypeFor[wire.LogsServer](), reflect.TypeFor[wire.BinariesServer](),
		reflect.TypeFor[wire.ExecutorsServer](), reflect.TypeFor[wire.JobLogServer](), reflect.TypeFor[wire.WorkerServer](),
		reflect.TypeFor[wire.DriversServer](),
	}
}

func TestEveryMessage(t *testing.T) { wiretest.Check(t, 30, services()...) }

func FuzzDecode(f *testing.F) { wiretest.Fuzz(f, services()...) }
