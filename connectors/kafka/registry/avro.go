package registry

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/rdd"
)

var (
	errNoRegistry = errors.New("the registry is nil: make one with registry.New")
	errNoSubject  = errors.New(`the subject is empty: that of a topic's values is usually the topic's name and "-value"`)
)

// Avro returns a decoder of values that were written with Avro. schema is the one to read
// with, as JSON: fields that a writer's schema doesn't have take its defaults, those that it
// has besides are left out, numbers are widened, and aliases go for names. For "" it is made
// of T, a struct whose fields are tagged `avro:"name"` or `avro:"name,default=value"`; else
// T may also be a map[string]any or any.
//
// A record is bad if its schema isn't known, doesn't resolve to the one that is read with,
// or doesn't fit the value, and if it has none (a nil value).
func Avro[T any](r *Registry, schema string) (kafka.Decoder[T], error) {
	reader, err := readerSchema[T](schema)
	if err == nil && r == nil {
		err = errNoRegistry
	}
	if err != nil {
		return nil, fmt.Errorf("registry.Avro: %w", err)
	}
	resolved := new(cache[int, *avro.Schema])
	return func(rec *kafka.Record) (v T, err error) {
		id, encoded, err := unframe(rec.Value)
		if err != nil {
			return v, err
		}
		s, err := resolved.get(id, func() (*avro.Schema, error) { return r.resolve(id, reader) })
		if err != nil {
			return v, err
		}
		rest, err := s.Decode(encoded, &v)
		if err == nil && len(rest) > 0 {
			err = fmt.Errorf("%d bytes are left behind it", len(rest))
		}
		if err != nil {
			return v, rdd.Permanent(fmt.Errorf("decoding Avro with the schema with id %d into a %T: %w", id, v, err))
		}
		return v, nil
	}, nil
}

// readerSchema parses a schema, or makes that of T.
func readerSchema[T any](text string) (*avro.Schema, error) {
	if text != "" {
		s, err := avro.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("the schema isn't an Avro schema: %w", err)
		}
		return s, nil
	}
	s, err := avro.SchemaFor[T]()
	if err != nil {
		return nil, fmt.Errorf("no Avro schema can be made of %s, give one: %w", reflect.TypeFor[T](), err)
	}
	return s, nil
}

// resolve returns what decodes values of the schema with an id as a reader wants them.
func (r *Registry) resolve(id int, reader *avro.Schema) (*avro.Schema, error) {
	src, err := r.typed(id, sr.TypeAvro)
	if err != nil {
		return nil, err
	}
	writer, err := parse(src)
	if err != nil {
		return nil, rdd.Permanent(fmt.Errorf("the schema with id %d at %s can't be read: %w", id, r.url, err))
	}
	s, err := avro.Resolve(writer, reader)
	if err != nil {
		return nil, rdd.Permanent(fmt.Errorf("records written with the schema with id %d at %s can't be read with the program's: give new fields defaults, renamed ones aliases: %w", id, r.url, err))
	}
	return s, nil
}

// parse parses a schema behind those that it refers to.
func parse(src source) (*avro.Schema, error) {
	known := new(avro.SchemaCache)
	for _, text := range src.references {
		if _, err := known.Parse(text); err != nil {
			return nil, fmt.Errorf("what it refers to: %w", err)
		}
	}
	return known.Parse(src.text)
}

// AvroEncoder returns an encoder that writes values with Avro. schema is the one to write
// with, as JSON, or "" for that of T (see [Avro]). Its id comes of the registry when the
// first element is written: the schema is registered under the subject if it isn't there,
// or only looked up ([LookUpOnly]). It may not refer to other schemas.
func AvroEncoder[T any](r *Registry, subject, schema string) (kafka.Encoder[T], error) {
	s, err := readerSchema[T](schema)
	if err == nil {
		err = r.writes(subject)
	}
	if err != nil {
		return nil, fmt.Errorf("registry.AvroEncoder: %w", err)
	}
	key := registered{subject, s.String(), sr.TypeAvro}
	return func(v T) ([]byte, error) {
		id, err := r.id(key)
		if err != nil {
			return nil, err
		}
		b, err := s.AppendEncode(frame(id), &v)
		if err != nil {
			return nil, rdd.Permanent(fmt.Errorf("encoding a %T as Avro for subject %s: %w", v, subject, err))
		}
		return b, nil
	}, nil
}
