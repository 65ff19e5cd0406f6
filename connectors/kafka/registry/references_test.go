package registry

import (
	"net/http"
	"testing"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/hibana-engine/hibana/connectors/kafka"
)

type country struct {
	Code string `avro:"code"`
}

type address struct {
	City    string  `avro:"city"`
	Country country `avro:"country"`
}

type shipment struct {
	To   address `avro:"to"`
	From country `avro:"from"`
}

// A schema may refer to others, which refer to others: each is fetched once. One that the registry
// doesn't give fails the job, as the record isn't at fault.
func TestAvroReferences(t *testing.T) {
	const whole = `{"type":"record","name":"Shipment","namespace":"shop","fields":[
		{"name":"to","type":{"type":"record","name":"Address","fields":[
			{"name":"city","type":"string"},
			{"name":"country","type":{"type":"record","name":"Country","fields":[{"name":"code","type":"string"}]}}]}},
		{"name":"from","type":"Country"}]}`
	fake := srfake.New()
	defer fake.Close()
	ofCountry := sr.SchemaReference{Name: "shop.Country", Subject: "country", Version: 1}
	ofAddress := sr.SchemaReference{Name: "shop.Address", Subject: "address", Version: 1}
	for id, s := range []struct {
		subject, schema string
		refers          []sr.SchemaReference
	}{
		{"country", `{"type":"record","name":"shop.Country","fields":[{"name":"code","type":"string"}]}`, nil},
		{"address", `{"type":"record","name":"shop.Address","fields":[{"name":"city","type":"string"},{"name":"country","type":"shop.Country"}]}`, []sr.SchemaReference{ofCountry}},
		{"shipments-value", `{"type":"record","name":"shop.Shipment","fields":[{"name":"to","type":"shop.Address"},{"name":"from","type":"shop.Country"}]}`, []sr.SchemaReference{ofAddress, ofCountry}},
	} {
		fake.SeedSchema(s.subject, 1, id+1, sr.Schema{Schema: s.schema, References: s.refers})
	}
	want := shipment{address{"Wien", country{"AT"}}, country{"DE"}}
	written := must[[]byte](t)(must[*avro.Schema](t)(avro.Parse(whole)).AppendEncode(frame(3), &want))
	read := func() (got shipment, asked int32, err error) {
		requests := &counted{}
		r := must[*Registry](t)(open(fake.URL(), requests, nil))
		got, err = must[kafka.Decoder[shipment]](t)(Avro[shipment](r, whole))(value(written))
		return got, requests.n.Load(), err
	}
	if got, asked, err := read(); err != nil || got != want || asked != 3 {
		t.Errorf("%+v, %v, after %d requests", got, err, asked)
	}
	answers(fake, "GET", "/subjects/country/versions/1", http.StatusNotFound, `{"error_code":40401,"message":"Subject 'country' not found."}`)
	_, _, err := read()
	judge(t, "one is missing", err, "for what the schema with id 3 refers to: subject country, version 1: ", "not found")
}
