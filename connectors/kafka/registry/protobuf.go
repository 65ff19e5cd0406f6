package registry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hibana-engine/hibana/connectors/kafka"
	"github.com/hibana-engine/hibana/rdd"
)

// maxNesting is how deep in others a message may be declared.
const maxNesting = 32

// errPath says that a record doesn't tell which message it is.
var errPath = errors.New("the place of the message in its schema can't be read behind the schema's id: the value wasn't written as Protobuf with a schema registry")

// Protobuf returns a decoder of values that were written with Protobuf, into the type M that
// protoc generated, as *shop.Order. Fields go by their numbers, as always with Protobuf; of
// the writer's schema the message that a record is must have M's name (without the package).
//
// A record is bad if its schema isn't known or is none of Protobuf's, if it is another
// message or can't be decoded, and if it has none (a nil value). Before a shuffle or a
// state map messages to a type of the program's.
func Protobuf[M proto.Message](r *Registry) (kafka.Decoder[M], error) {
	want, err := namesOf[M]()
	if err == nil && r == nil {
		err = errNoRegistry
	}
	if err != nil {
		return nil, fmt.Errorf("registry.Protobuf: %w", err)
	}
	var none M
	kind := none.ProtoReflect().Type()
	files := new(cache[int, *message])
	return func(rec *kafka.Record) (M, error) {
		id, encoded, err := unframe(rec.Value)
		if err != nil {
			return none, err
		}
		file, err := files.get(id, func() (*message, error) { return r.messages(id) })
		if err != nil {
			return none, err
		}
		path, encoded, err := readPath(encoded)
		if err != nil {
			return none, rdd.Permanent(err)
		}
		if !file.leads(path, want) {
			return none, rdd.Permanent(other(file, path, want, id))
		}
		m := kind.New().Interface().(M)
		if err := proto.Unmarshal(encoded, m); err != nil {
			return none, rdd.Permanent(fmt.Errorf("decoding Protobuf into %s: %w", strings.Join(want, "."), err))
		}
		return m, nil
	}, nil
}

// other is the error of a record that is another message.
func other(file *message, path []int, want []string, id int) error {
	is, ok := file.at(path)
	if !ok {
		return fmt.Errorf("the schema with id %d has no message at %v, the record isn't what was written", id, path)
	}
	return fmt.Errorf("the record is a message %s of the schema with id %d and not the %s that is read", strings.Join(is, "."), id, strings.Join(want, "."))
}

// leads reports whether a path leads to the message with these names.
func (m *message) leads(path []int, names []string) bool {
	if len(path) != len(names) {
		return false
	}
	for i, at := range path {
		if at >= len(m.inside) || m.inside[at].name != names[i] {
			return false
		}
		m = m.inside[at]
	}
	return true
}

// messages returns the messages of the schema with an id.
func (r *Registry) messages(id int) (*message, error) {
	src, err := r.typed(id, sr.TypeProtobuf)
	if err != nil {
		return nil, err
	}
	return messagesOf(src.text), nil
}

// namesOf returns the names of a message, from the outermost that it is declared in, without
// their package.
func namesOf[M proto.Message]() ([]string, error) {
	var none M
	if any(none) == nil {
		return nil, errors.New("the type must be that of one message, as *shop.Order, and no interface")
	}
	var names []string
	for d := protoreflect.Descriptor(none.ProtoReflect().Descriptor()); ; d = d.Parent() {
		if _, is := d.(protoreflect.MessageDescriptor); !is {
			break
		}
		names = append(names, string(d.Name()))
	}
	slices.Reverse(names)
	return names, nil
}

// readPath reads where in its schema a message is: a count and as many places. The first
// message is a count of 0.
func readPath(b []byte) (path []int, rest []byte, err error) {
	count, n := binary.Varint(b)
	if n <= 0 || count < 0 || count > maxNesting {
		return nil, nil, errPath
	}
	b = b[n:]
	if count == 0 {
		return []int{0}, b, nil
	}
	path = make([]int, count)
	for i := range path {
		at, n := binary.Varint(b)
		if n <= 0 || at < 0 || at > 1<<20 {
			return nil, nil, errPath
		}
		path[i], b = int(at), b[n:]
	}
	return path, b, nil
}

// appendPath writes what readPath reads.
func appendPath(b []byte, path []int) []byte {
	if len(path) == 1 && path[0] == 0 {
		return append(b, 0)
	}
	b = binary.AppendVarint(b, int64(len(path)))
	for _, at := range path {
		b = binary.AppendVarint(b, int64(at))
	}
	return b
}

// ProtobufEncoder returns an encoder that writes messages of the type M that protoc
// generated. schema is the text of the .proto file that declares it, which may import only
// files that the registry has by itself (google/protobuf/...). Its id comes of the registry
// as that of [AvroEncoder] does.
func ProtobufEncoder[M proto.Message](r *Registry, subject, schema string) (kafka.Encoder[M], error) {
	names, err := namesOf[M]()
	if err == nil {
		err = r.writes(subject)
	}
	path, declared := messagesOf(schema).find(names)
	if err == nil && !declared {
		err = fmt.Errorf("the schema declares no message %s: give the text of the .proto file that it was generated from", strings.Join(names, "."))
	}
	if err != nil {
		return nil, fmt.Errorf("registry.ProtobufEncoder: %w", err)
	}
	key := registered{subject, schema, sr.TypeProtobuf}
	return func(m M) ([]byte, error) {
		id, err := r.id(key)
		if err != nil {
			return nil, err
		}
		b, err := proto.MarshalOptions{}.MarshalAppend(appendPath(frame(id), path), m)
		if err != nil {
			return nil, rdd.Permanent(fmt.Errorf("encoding a %s as Protobuf for subject %s: %w", strings.Join(names, "."), subject, err))
		}
		return b, nil
	}, nil
}
