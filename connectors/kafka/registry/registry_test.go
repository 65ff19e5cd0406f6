package registry

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/rdd/task"
)

type orderV1 struct {
	ID    string `avro:"id"`
	Count int32  `avro:"count"`
	Note  string `avro:"note"`
}

type orderV2 struct {
	ID       string `avro:"id"`
	Count    int64  `avro:"count"`
	Currency string `avro:"currency,default=EUR"`
}

const (
	v1 = `{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},{"name":"count","type":"int"},{"name":"note","type":"string"}]}`
	v2 = `{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},{"name":"count","type":"long"},{"name":"currency","type":"string","default":"EUR"}]}`
)

// counted counts requests.
type counted struct{ n atomic.Int32 }

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return transport(nil).RoundTrip(r)
}

func must[V any](t testing.TB) func(V, error) V {
	return func(v V, err error) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func value(b []byte) *kafka.Record { return &kafka.Record{Value: b} }

// What was written with one schema is read with another, and the registry is asked once.
func TestAvroResolves(t *testing.T) {
	fake := srfake.New(srfake.WithAuth("Basic YTpi"))
	defer fake.Close()
	asked := &counted{}
	r := must[*Registry](t)(open(fake.URL(), asked, []Option{BasicAuth("a", "b")}))
	encode := must[kafka.Encoder[orderV1]](t)(AvroEncoder[orderV1](r, "orders-value", v1))
	decode := must[kafka.Decoder[orderV2]](t)(Avro[orderV2](r, v2))
	for range 3 {
		b := must[[]byte](t)(encode(orderV1{"a", 7, "left out"}))
		if got := must[orderV2](t)(decode(value(b))); got != (orderV2{"a", 7, "EUR"}) {
			t.Errorf("got %+v", got)
		}
	}
	if n := asked.n.Load(); n != 2 {
		t.Errorf("%d requests, want one to register and one to fetch", n)
	}
	pointers := must[kafka.Encoder[*orderV1]](t)(AvroEncoder[*orderV1](r, "orders-value", v1))
	b := must[[]byte](t)(pointers(&orderV1{"p", 1, ""}))
	if got := must[orderV2](t)(decode(value(b))); got.ID != "p" {
		t.Errorf("of a pointer: %+v", got)
	}
	own := must[*Registry](t)(New(fake.URL(), BasicAuth("a", "wrong")))
	refused := must[kafka.Decoder[orderV2]](t)(Avro[orderV2](own, v2))
	_, err := refused(value(b))
	if _, is := errors.AsType[*kafka.UnavailableError](err); !is || !task.IsPermanent(err) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("wrong password: %v", err)
	}
}

// Values that no schema fits are bad records: the errors are permanent and name id and registry.
func TestAvroRefuses(t *testing.T) {
	fake := srfake.New()
	defer fake.Close()
	fake.SeedSchema("orders-value", 1, 1, sr.Schema{Schema: v1})
	fake.SeedSchema("other-value", 1, 2, sr.Schema{Schema: `{"type":"record","name":"Other","fields":[]}`})
	asked := &counted{}
	r := must[*Registry](t)(open(fake.URL(), asked, nil))
	decode := must[kafka.Decoder[orderV2]](t)(Avro[orderV2](r, v2))
	for name, c := range map[string]struct {
		value []byte
		want  string
	}{
		"null":       {nil, "no value"},
		"short":      {[]byte{0, 0, 0, 1}, "4 bytes"},
		"plain":      {[]byte(`{"id":"a"}`), "begins with byte 0x7b"},
		"unknown":    {[]byte{0, 0, 0, 0, 9}, fake.URL() + " has no schema with id 9"},
		"other":      {[]byte{0, 0, 0, 0, 2}, "id 2 at " + fake.URL() + " can't be read with the program's"},
		"cut":        {[]byte{0, 0, 0, 0, 1, 2}, "decoding Avro with the schema with id 1"},
		"left over":  {[]byte{0, 0, 0, 0, 1, 0, 0, 0, 0}, "1 bytes are left"},
		"huge count": {[]byte{0, 0, 0, 0, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f}, "decoding Avro"},
	} {
		_, err := decode(value(c.value))
		if _, is := errors.AsType[*kafka.UnavailableError](err); is || err == nil || !task.IsPermanent(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	before := asked.n.Load()
	for range 5 {
		if _, err := decode(value([]byte{0, 0, 0, 0, 9})); err == nil {
			t.Error("id 9 is known")
		}
	}
	if asked.n.Load() != before {
		t.Error("an unknown id is asked for again at once")
	}
	encode := must[kafka.Encoder[orderV2]](t)(AvroEncoder[orderV2](must[*Registry](t)(New(fake.URL(), LookUpOnly())), "new-value", v2))
	if _, err := encode(orderV2{}); err == nil || !strings.Contains(err.Error(), "register it there") {
		t.Errorf("looked up only: %v", err)
	}
}

// A schema that the registry didn't know is asked for again after a while, and not for each record:
// from then on no record is bad for what the registry said before.
func TestUnknownSchemaIsRegistered(t *testing.T) {
	fake := srfake.New() // outside of the bubble, in which it would keep time from passing
	defer fake.Close()
	synctest.Test(t, func(t *testing.T) {
		asked := &counted{}
		r := must[*Registry](t)(open(fake.URL(), asked, nil))
		avro := must[kafka.Decoder[string]](t)(Avro[string](r, `"string"`))
		json := must[kafka.Decoder[string]](t)(JSON[string](r))
		for range 3 {
			if _, err := avro(value([]byte{0, 0, 0, 0, 9, 2, 'a'})); err == nil {
				t.Error("id 9 is known")
			}
			if _, err := json(value(append(frame(8), `"a"`...))); err == nil {
				t.Error("id 8 is known")
			}
		}
		if n := asked.n.Load(); n != 2 {
			t.Errorf("%d requests, want one for each id", n)
		}
		fake.SeedSchema("names-value", 1, 9, sr.Schema{Schema: `"string"`})
		fake.SeedSchema("other-value", 1, 8, sr.Schema{Schema: `{"type":"string"}`, Type: sr.TypeJSON})
		time.Sleep(badTime + time.Second)
		if got, err := avro(value([]byte{0, 0, 0, 0, 9, 2, 'a'})); got != "a" || err != nil {
			t.Errorf("Avro, when the schema is there: %q, %v", got, err)
		}
		if got, err := json(value(append(frame(8), `"a"`...))); got != "a" || err != nil {
			t.Errorf("JSON, when the schema is there: %q, %v", got, err)
		}
		if n := asked.n.Load(); n != 4 {
			t.Errorf("%d requests in all, want two for each id", n)
		}
	})
}

// down fails until it is up.
type down struct {
	up    time.Time
	asked atomic.Int32
}

func (d *down) RoundTrip(r *http.Request) (*http.Response, error) {
	if d.asked.Add(1); time.Now().Before(d.up) {
		return nil, errors.New("connection refused")
	}
	return transport(nil).RoundTrip(r)
}

// A registry that is down is asked again until the deadline, by one for all, and that is no bad record.
func TestRegistryIsDown(t *testing.T) {
	fake := srfake.New() // outside of the bubble, in which it would keep time from passing
	defer fake.Close()
	fake.SeedSchema("names-value", 1, 1, sr.Schema{Schema: `"string"`})
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		d := &down{up: start.Add(20 * time.Second)}
		var log bytes.Buffer
		r := must[*Registry](t)(open(fake.URL(), d, []Option{Logger(slog.New(slog.NewTextHandler(&log, nil)))}))
		decode := must[kafka.Decoder[string]](t)(Avro[string](r, `"string"`))
		record := value([]byte{0, 0, 0, 0, 1, 2, 'a'})
		failed := make(chan error)
		for range 4 {
			go func() { _, err := decode(record); failed <- err }()
		}
		for range 4 {
			err := <-failed
			if _, is := errors.AsType[*kafka.UnavailableError](err); !is || task.IsPermanent(err) || !strings.Contains(err.Error(), fake.URL()) || !strings.Contains(err.Error(), "has not answered for 15s") {
				t.Errorf("down: %v", err)
			}
		}
		if took := time.Since(start); took != defaultDeadline {
			t.Errorf("it took %s", took)
		}
		if n := d.asked.Load(); n > 15 {
			t.Errorf("%d requests", n)
		}
		if got := must[string](t)(decode(record)); got != "a" {
			t.Errorf("got %q", got)
		}
		if said := log.String(); strings.Count(said, "waiting for the schema registry, nothing is skipped") != 2 || strings.Count(said, "the schema registry answers") != 1 {
			t.Errorf("for an outage of two deadlines the log says %s", said)
		}
	})
}

const protos = `syntax = "proto3"; package google.protobuf; // message Not {
option x = 'it{s'; message Timestamp { int64 seconds = 1; int32 nanos = 2; message Inner { string message = 1; } }
message Duration { oneof o { int64 seconds = 1; } int32 nanos = 2; }`

// A message is found by its place in the schema, and another one is refused.
func TestProtobuf(t *testing.T) {
	fake := srfake.New()
	defer fake.Close()
	r := must[*Registry](t)(New(fake.URL()))
	encode := must[kafka.Encoder[*durationpb.Duration]](t)(ProtobufEncoder[*durationpb.Duration](r, "d-value", protos))
	first := must[kafka.Encoder[*timestamppb.Timestamp]](t)(ProtobufEncoder[*timestamppb.Timestamp](r, "d-value", protos))
	decode := must[kafka.Decoder[*durationpb.Duration]](t)(Protobuf[*durationpb.Duration](r))
	want := &durationpb.Duration{Seconds: 3, Nanos: 4}
	b := must[[]byte](t)(encode(want))
	if string(b[5:7]) != "\x02\x02" { // one place, 1
		t.Errorf("the message's place is written as %x", b[5:])
	}
	if got := must[*durationpb.Duration](t)(decode(value(b))); !proto.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	for name, c := range map[string]struct {
		value []byte
		want  string
	}{
		"another": {must[[]byte](t)(first(timestamppb.Now())), "is a message Timestamp"},
		"no such": {append(b[:5:5], 2, 8), "no message at [4]"},
		"no path": {b[:5], "place of the message"},
		"cut":     {b[:8], "decoding Protobuf into Duration"},
		"unknown": {[]byte{0, 0, 0, 1, 0, 0}, "no schema with id 256"},
	} {
		if _, err := decode(value(c.value)); err == nil || !task.IsPermanent(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A URL or options that can't be right are refused without telling secrets.
func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		url  string
		opts []Option
	}{
		{"registry:8081", nil}, {"http://u:secret@registry", nil}, {"http://u:secret@regi stry", nil}, {"", nil},
		{"http://r", []Option{nil}}, {"http://r", []Option{TLS(nil)}}, {"http://r", []Option{Deadline(0)}}, {"http://r", []Option{Logger(nil)}},
		{"http://r", []Option{BasicAuth("u", "secret"), Bearer("secret")}},
	} {
		if _, err := New(c.url, c.opts...); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", c.url, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	fake := srfake.New()
	f.Cleanup(fake.Close)
	fake.SeedSchema("a", 1, 1, sr.Schema{Schema: v1})
	fake.SeedSchema("p", 1, 2, sr.Schema{Schema: protos, Type: sr.TypeProtobuf})
	r := must[*Registry](f)(New(fake.URL()))
	avros := must[kafka.Decoder[orderV2]](f)(Avro[orderV2](r, v2))
	protobufs := must[kafka.Decoder[*durationpb.Duration]](f)(Protobuf[*durationpb.Duration](r))
	f.Add([]byte{2, 'a', 4, 2, 'b'})
	f.Add([]byte{2, 2, 8, 3})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := avros(value(append(frame(1), b...))); err != nil && !task.IsPermanent(err) {
			t.Error(err)
		}
		if _, err := protobufs(value(append(frame(2), b...))); err != nil && !task.IsPermanent(err) {
			t.Error(err)
		}
	})
}
