package remote

import (
	"reflect"
	"testing"

	"google.golang.org/grpc/mem"

	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/engine/wire/wiretest"
)

// services lists the server interfaces.
func services() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[TasksServer](), reflect.TypeFor[ShuffleServer]()}
}

func TestEveryMessage(t *testing.T) { wiretest.Check(t, 5, services()...) }

func FuzzDecode(f *testing.F) { wiretest.Fuzz(f, services()...) }

func BenchmarkCodec(b *testing.B) {
	m := &ToExecutor{Launch: &Launch{Inputs: []uint32{1}}}
	b.ReportAllocs()
	for b.Loop() {
		buf, err := wire.Codec{}.Marshal(m)
		if err != nil {
			b.Fatal(err)
		}
		var got ToExecutor
		if err := (wire.Codec{}).Unmarshal(mem.BufferSlice(buf), &got); err != nil {
			b.Fatal(err)
		}
	}
}
