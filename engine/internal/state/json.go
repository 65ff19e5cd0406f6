package state

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/hibana-engine/hibana/rdd/encoding"
)

// toJSON returns msgpack as JSON. What JSON has no form for is text: bytes in base64,
// floats that are no numbers, times, keys of maps; and what can't be read is its bytes, as
// {"msgpack": "…"}.
func toJSON(b []byte) json.RawMessage {
	v, err := decode(msgpack.NewDecoder(bytes.NewReader(b)), len(b))
	if err == nil {
		if text, err := json.Marshal(v); err == nil {
			return text
		}
	}
	return json.RawMessage(fmt.Sprintf(`{"msgpack":%q}`, hex.EncodeToString(b)))
}

// decode reads a value that can be JSON. It has at most so many bytes.
func decode(d *msgpack.Decoder, most int) (any, error) {
	code, err := d.PeekCode()
	switch {
	case err != nil:
		return nil, err
	case msgpcode.IsFixedMap(code), code == msgpcode.Map16, code == msgpcode.Map32:
		return decodeMap(d, most)
	case msgpcode.IsFixedArray(code), code == msgpcode.Array16, code == msgpcode.Array32:
		return decodeArray(d, most)
	case msgpcode.IsExt(code):
		return decodeExtension(d, most)
	}
	v, err := d.DecodeInterface()
	return plain(v), err
}

func decodeMap(d *msgpack.Decoder, most int) (any, error) {
	n, err := d.DecodeMapLen()
	if err != nil {
		return nil, err
	}
	m := make(map[string]any)
	for range n {
		k, err := decode(d, most)
		if err != nil {
			return nil, err
		}
		if m[fmt.Sprint(k)], err = decode(d, most); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func decodeArray(d *msgpack.Decoder, most int) (any, error) {
	n, err := d.DecodeArrayLen()
	if err != nil {
		return nil, err
	}
	all := []any{}
	for range n {
		v, err := decode(d, most)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// decodeExtension reads a time, as package rdd/encoding writes it or as msgpack has it.
func decodeExtension(d *msgpack.Decoder, most int) (any, error) {
	kind, n, err := d.DecodeExtHeader()
	if err != nil {
		return nil, err
	}
	if n < 0 || n > most {
		return nil, fmt.Errorf("an extension of %d bytes", n)
	}
	payload := make([]byte, n)
	if err := d.ReadFull(payload); err != nil {
		return nil, err
	}
	t, ok := encoding.Instant(kind, payload)
	if !ok {
		return nil, fmt.Errorf("an extension of kind %d", kind)
	}
	return t.Format(time.RFC3339Nano), nil
}

// plain makes of a decoded number one that can be JSON.
func plain(v any) any {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
	case float32:
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Sprint(v)
		}
	}
	return v
}
