package state

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"

	"github.com/vmihailenco/msgpack/v5"
)

// toJSON returns msgpack as JSON. What JSON has no form for is text: bytes in base64,
// floats that are no numbers, keys of maps; and what can't be read is its bytes, as
// {"msgpack": "…"}.
func toJSON(b []byte) json.RawMessage {
	d := msgpack.NewDecoder(bytes.NewReader(b))
	d.SetMapDecoder(func(d *msgpack.Decoder) (any, error) { return d.DecodeUntypedMap() })
	v, err := d.DecodeInterface()
	if err == nil {
		if text, err := json.Marshal(plain(v)); err == nil {
			return text
		}
	}
	return json.RawMessage(fmt.Sprintf(`{"msgpack":%q}`, hex.EncodeToString(b)))
}

// plain makes of a decoded value one that can be JSON.
func plain(v any) any {
	switch v := v.(type) {
	case map[any]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[fmt.Sprint(plain(k))] = plain(e)
		}
		return m
	case []any:
		all := make([]any, len(v))
		for i, e := range v {
			all[i] = plain(e)
		}
		return all
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
