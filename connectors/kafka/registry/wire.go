package registry

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hibana-engine/hibana/rdd"
)

const (
	magic  = 0
	prefix = 5 // bytes: magic and the schema's id
)

// unframe splits a record's value into the id of its schema and what was encoded with it.
func unframe(value []byte) (id int, encoded []byte, err error) {
	switch {
	case value == nil:
		err = errors.New("the record has no value (it says that its key is deleted): where such records are meant to be read, look at the value in a decoder of your own before it is handed to this one")
	case len(value) < prefix:
		err = fmt.Errorf("the value has %d bytes and not the %d of a schema's id: it wasn't written with a schema registry", len(value), prefix)
	case value[0] != magic:
		err = fmt.Errorf("the value begins with byte %#02x and not with 0 and a schema's id: it wasn't written with a schema registry", value[0])
	default:
		return int(binary.BigEndian.Uint32(value[1:prefix])), value[prefix:], nil
	}
	return 0, nil, rdd.Permanent(err)
}

// frame begins a record's value.
func frame(id int) []byte {
	return binary.BigEndian.AppendUint32([]byte{magic}, uint32(id))
}
