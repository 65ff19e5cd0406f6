package worker

import (
	"encoding/json"
	"testing"
)

// What is read as an identity is one, and stays the same when it is saved.
func FuzzIdentity(f *testing.F) {
	f.Add([]byte(`{"format":1,"executor":"e1","cluster":""}`))
	f.Add([]byte(`{"format":1,"executor":"e1","cluster":"c","more":[1,2]}`))
	f.Add([]byte(`{"format":2,"executor":"e1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := parseIdentity(b)
		if err != nil {
			return
		}
		saved, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseIdentity(saved); err != nil || again != id || id.Executor == "" {
			t.Fatalf("%+v became %+v, %v", id, again, err)
		}
	})
}
