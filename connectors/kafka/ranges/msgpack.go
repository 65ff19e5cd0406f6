package ranges

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
)

// recordFields is the number of fields of an encoded record.
const recordFields = 7

// EncodeMsgpack writes the record with its headers: how it goes through a
// shuffle and to the driver.
func (r Record) EncodeMsgpack(enc *msgpack.Encoder) error {
	var headers []byte // as in Kafka, their count first
	if r.nheader > 0 {
		headers = append(binary.AppendVarint(nil, int64(r.nheader)), r.headers...)
	}
	return errors.Join(enc.EncodeArrayLen(recordFields), enc.EncodeString(r.Topic), enc.EncodeInt(int64(r.Partition)),
		enc.EncodeInt(r.Offset), enc.EncodeInt(r.Timestamp), enc.EncodeBytes(r.Key), enc.EncodeBytes(r.Value), enc.EncodeBytes(headers))
}

// DecodeMsgpack reads what EncodeMsgpack wrote.
func (r *Record) DecodeMsgpack(dec *msgpack.Decoder) (err error) {
	n, err := dec.DecodeArrayLen()
	if err == nil && n != recordFields {
		err = fmt.Errorf("a record has %d fields, not %d", n, recordFields)
	}
	var headerBytes []byte
	for _, read := range []func() error{
		func() (err error) { r.Topic, err = dec.DecodeString(); return err },
		func() (err error) { r.Partition, err = dec.DecodeInt32(); return err },
		func() (err error) { r.Offset, err = dec.DecodeInt64(); return err },
		func() (err error) { r.Timestamp, err = dec.DecodeInt64(); return err },
		func() (err error) { r.Key, err = dec.DecodeBytes(); return err },
		func() (err error) { r.Value, err = dec.DecodeBytes(); return err },
		func() (err error) { headerBytes, err = dec.DecodeBytes(); return err },
	} {
		if err == nil {
			err = read()
		}
	}
	if r.headers, r.nheader = nil, 0; err == nil && headerBytes != nil {
		var ok bool
		if r.headers, r.nheader, ok = headers(headerBytes, 0); !ok || r.nheader == 0 {
			err = errors.New("a record's headers don't fit it")
		}
	}
	return err
}
