package extensions

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/hibana-engine/hibana/ml/serializers"
	"github.com/hibana-engine/hibana/ml/training"
)

// Record is one line of a log: the means over an interval, and "epoch",
// "iteration" and "elapsed_time" (in seconds) at its end.
type Record map[string]float64

// journal collects a Record per interval.
type journal struct {
	every   training.Trigger
	summary training.Summaries
	records []Record
}

// add takes in the observation of an iteration and tells whether that closed a
// record.
func (j *journal) add(t *training.Trainer) bool {
	j.summary.Add(t.Observation())
	if !j.every.Fire(t) {
		return false
	}
	r := Record(j.summary.Means())
	r["epoch"] = float64(t.Updater().Epoch())
	r["iteration"] = float64(t.Updater().Iteration())
	r["elapsed_time"] = t.Elapsed().Seconds()
	j.records = append(j.records, r)
	j.summary.Reset()
	return true
}

// Serialize visits the journal in the layout of Chainer's LogReport.
func (j *journal) Serialize(s *serializers.Serializer) {
	if v, ok := j.every.(serializers.Stateful); ok && (s.Saving() || s.Has("_trigger")) {
		v.Serialize(s.Child("_trigger"))
	}
	j.summary.Serialize(s.Child("_summary"))
	if s.Saving() {
		text, err := encode(j.records, "")
		if err != nil {
			s.Fail(fmt.Errorf("%s: %w", s.Path("_log"), err))
			return
		}
		log := string(text)
		s.Text("_log", &log)
		return
	}
	a, ok := s.Array("_log")
	if !ok {
		return
	}
	var records []Record
	text, err := a.Text()
	if err == nil {
		err = json.Unmarshal([]byte(text), &records)
	}
	if err != nil {
		s.Fail(fmt.Errorf("%s: %w", s.Path("_log"), err))
		return
	}
	s.Then(func() error { j.records = records; return nil })
}

// encode writes records as JSON, which has no NaN and no infinity: such values
// are left out.
func encode(records []Record, indent string) ([]byte, error) {
	finite := make([]Record, len(records))
	for i, r := range records {
		finite[i] = Record{}
		for name, v := range r {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				finite[i][name] = v
			}
		}
	}
	if indent == "" {
		return json.Marshal(finite)
	}
	return json.MarshalIndent(finite, "", indent)
}

// writeFile writes a file of the trainer's output directory, which appears
// whole or not at all.
func writeFile(t *training.Trainer, name string, content []byte) error {
	dir, err := t.Out()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, name)
	if filepath.IsAbs(name) {
		path = name
	}
	if err := os.WriteFile(path+".part", content, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}
