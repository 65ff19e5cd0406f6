package registry

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/rdd"
)

// JSON returns a decoder of values that were written with a JSON Schema: they are JSON, which is
// decoded into a T as [kafka.JSONValue] does. The schema must be one that the registry knows;
// whether the value fits it isn't checked, as its writer has done that.
//
// A record is bad if its schema isn't known or is none of JSON Schema's, if it can't be
// decoded, and if it has none (a nil value).
func JSON[T any](r *Registry) (kafka.Decoder[T], error) {
	if r == nil {
		return nil, fmt.Errorf("registry.JSON: %w", errNoRegistry)
	}
	return func(rec *kafka.Record) (v T, err error) {
		id, encoded, err := unframe(rec.Value)
		if err != nil {
			return v, err
		}
		if _, err := r.typed(id, sr.TypeJSON); err != nil {
			return v, err
		}
		if err := json.Unmarshal(encoded, &v); err != nil {
			return v, rdd.Permanent(fmt.Errorf("decoding JSON with the schema with id %d into a %T: %w", id, v, err))
		}
		return v, nil
	}, nil
}

// JSONEncoder returns an encoder that writes values as JSON, as [kafka.JSON] does. schema is
// the JSON Schema that they fit, which isn't checked. Its id comes of the registry as that of
// [AvroEncoder] does.
func JSONEncoder[T any](r *Registry, subject, schema string) (kafka.Encoder[T], error) {
	err := r.writes(subject)
	if err == nil && !json.Valid([]byte(schema)) {
		err = errors.New("the schema isn't JSON: give the text of a JSON Schema")
	}
	if err != nil {
		return nil, fmt.Errorf("registry.JSONEncoder: %w", err)
	}
	key := registered{subject, schema, sr.TypeJSON}
	return func(v T) ([]byte, error) {
		id, err := r.id(key)
		if err != nil {
			return nil, err
		}
		b, err := json.Marshal(v)
		if err != nil {
			return nil, rdd.Permanent(fmt.Errorf("encoding a %T as JSON for subject %s: %w", v, subject, err))
		}
		return append(frame(id), b...), nil
	}, nil
}
