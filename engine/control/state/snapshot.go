package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"maps"
	"slices"

	"github.com/hibana-engine/hibana/engine/wire"
)

// snapshotMagic begins a snapshot and names its format.
const snapshotMagic = "hibana control snapshot 2\n"

// Bounds of a snapshot, in bytes. The limits of what the cluster remembers keep it
// within them.
const (
	maxSnapshot = 1 << 30
	maxRecord   = 128 << 20 // of a job, for one
)

// errSnapshot says that a snapshot can't be read.
var errSnapshot = errors.New("the snapshot is damaged")

// image begins a state as it is written. Jobs and executors follow it, each in a
// record of its own: what is decoded at once stays within the bounds of a message.
type image struct {
	Index     uint64   `msgpack:"index"`
	ClusterID string   `msgpack:"cid"`
	Jobs      int      `msgpack:"jobs"` // how many follow, ascending
	Executors int      `msgpack:"exec"` // and then of these
	Newest    uint64   `msgpack:"new"`  // highest number of a job; earlier versions don't say it
	Drivers   []driver `msgpack:"drv"`  // ascending
}

// driver is a driver's admission.
type driver struct {
	Node string    `msgpack:"node"`
	Data Admission `msgpack:"data"`
}

// jobImage is a job as it is written: a map has no order of its own.
type jobImage struct {
	Job       Job            `msgpack:"job"`
	Processes []processImage `msgpack:"proc"` // ascending
	Refused   []refusalImage `msgpack:"ref"`  // ascending
}

type processImage struct {
	Executor string     `msgpack:"exec"`
	Process  jobProcess `msgpack:"proc"`
}

type refusalImage struct {
	Executor string `msgpack:"exec"`
	Reason   string `msgpack:"why"`
}

// image returns the job as it is written.
func (j *Job) image() *jobImage {
	img := &jobImage{Job: *j}
	for _, id := range slices.Sorted(maps.Keys(j.Processes)) {
		img.Processes = append(img.Processes, processImage{id, j.Processes[id]})
	}
	for _, id := range slices.Sorted(maps.Keys(j.Refused)) {
		img.Refused = append(img.Refused, refusalImage{id, j.Refused[id]})
	}
	return img
}

// writeSnapshot writes the state after the command at index: the magic, then
// records, of the image, of each job and of each executor, and the CRC-32C of the
// records. A record is its length in 4 bytes and a message; numbers are big-endian.
// The same state makes the same bytes.
func writeSnapshot(w io.Writer, s *State, index uint64) error {
	if _, err := io.WriteString(w, snapshotMagic); err != nil {
		return err
	}
	img := image{Index: index, ClusterID: s.ClusterID, Jobs: len(s.Jobs), Newest: s.Newest, Executors: len(s.Executors)}
	for _, node := range slices.Sorted(maps.Keys(s.Drivers)) {
		img.Drivers = append(img.Drivers, driver{node, s.Drivers[node]})
	}
	records := recordWriter{w: w, sum: newSum()}
	if err := records.write(&img); err != nil {
		return err
	}
	for _, inc := range slices.Sorted(maps.Keys(s.Jobs)) {
		if err := records.write(s.Jobs[inc].image()); err != nil {
			return fmt.Errorf("job %d: %w", inc, err)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.Executors)) {
		if err := records.write(s.Executors[id]); err != nil {
			return fmt.Errorf("executor %s: %w", id, err)
		}
	}
	_, err := w.Write(binary.BigEndian.AppendUint32(nil, records.sum.Sum32()))
	return err
}

// newSum returns the checksum of a snapshot.
func newSum() hash.Hash32 { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }

// recordWriter writes the records of a snapshot.
type recordWriter struct {
	w       io.Writer
	sum     hash.Hash32
	written int
}

// write writes one record. What readSnapshot wouldn't read is an error: Raft goes
// on with its log then.
func (r *recordWriter) write(v any) error {
	b, err := wire.Encode(v)
	if err != nil {
		return err
	}
	if err := wire.Check(b); err != nil {
		return err
	}
	if r.written += len(b) + 4; len(b) > maxRecord || r.written > maxSnapshot {
		return fmt.Errorf("%w: a snapshot of more than %d bytes, or a record of more than %d",
			wire.ErrTooLarge, maxSnapshot, maxRecord)
	}
	for _, part := range [][]byte{binary.BigEndian.AppendUint32(nil, uint32(len(b))), b} {
		r.sum.Write(part)
		if _, err := r.w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// readSnapshot reads what writeSnapshot wrote.
func readSnapshot(r io.Reader) (*State, uint64, error) {
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(r, magic); err != nil {
		return nil, 0, fmt.Errorf("%w: its beginning: %w", errSnapshot, err)
	}
	if string(magic) != snapshotMagic {
		return nil, 0, fmt.Errorf("%w: it doesn't begin with %q", wire.ErrFormat, snapshotMagic)
	}
	records := recordReader{r: r, sum: newSum()}
	var img image
	if err := records.read(&img); err != nil {
		return nil, 0, err
	}
	s := newState()
	s.ClusterID, s.Newest = img.ClusterID, img.Newest
	err := s.restoreDrivers(img.Drivers)
	for i := 0; i < img.Jobs && err == nil; i++ {
		var j jobImage
		if err = records.read(&j); err == nil {
			err = s.restoreJob(&j)
		}
	}
	for i := 0; i < img.Executors && err == nil; i++ {
		e := new(executor)
		if err = records.read(e); err == nil {
			err = s.restoreExecutor(e)
		}
	}
	if err != nil {
		return nil, 0, err
	}
	return s, img.Index, records.end()
}

// recordReader reads the records of a snapshot.
type recordReader struct {
	r   io.Reader
	sum hash.Hash32
}

// read reads one record.
func (r *recordReader) read(v any) error {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r.r, head); err != nil {
		return fmt.Errorf("%w: the length of %T: %w", errSnapshot, v, err)
	}
	n := binary.BigEndian.Uint32(head)
	if n > maxRecord {
		return fmt.Errorf("%w: %T announces %d bytes", errSnapshot, v, n)
	}
	var body bytes.Buffer // grows with what is there, whatever the head announces
	if got, err := io.CopyN(&body, r.r, int64(n)); err != nil {
		return fmt.Errorf("%w: %d of %d bytes of %T are there: %w", errSnapshot, got, n, v, err)
	}
	r.sum.Write(head)
	r.sum.Write(body.Bytes())
	if err := wire.Decode(body.Bytes(), v); err != nil {
		return fmt.Errorf("%w: %w", errSnapshot, err)
	}
	return nil
}

// end reads what follows the records: their checksum, and nothing more.
func (r *recordReader) end() error {
	sum := make([]byte, 4)
	if _, err := io.ReadFull(r.r, sum); err != nil || binary.BigEndian.Uint32(sum) != r.sum.Sum32() {
		return errors.Join(fmt.Errorf("%w: its checksum is wrong", errSnapshot), err)
	}
	if n, err := io.Copy(io.Discard, r.r); n > 0 || err != nil {
		return errors.Join(fmt.Errorf("%w: %d bytes follow it", errSnapshot, n), err)
	}
	return nil
}

// restoreDrivers adds the drivers of a snapshot.
func (s *State) restoreDrivers(all []driver) error {
	for _, d := range all {
		if _, there := s.Drivers[d.Node]; there || d.Node == "" {
			return fmt.Errorf("%w: a driver is missing or there twice", errSnapshot)
		}
		s.Drivers[d.Node] = d.Data
	}
	return nil
}

// restoreExecutor adds an executor of a snapshot.
func (s *State) restoreExecutor(e *executor) error {
	if s.Executors[e.ID] != nil {
		return fmt.Errorf("%w: executor %q is there twice", errSnapshot, e.ID)
	}
	s.Executors[e.ID] = e
	return nil
}

// restoreJob adds a job of a snapshot.
func (s *State) restoreJob(img *jobImage) error {
	j := &img.Job
	inc := j.Spec.Incarnation
	if s.Jobs[inc] != nil {
		return fmt.Errorf("%w: job %d is there twice", errSnapshot, inc)
	}
	if old, there := s.submissions[j.Spec.Submission]; there {
		return fmt.Errorf("%w: jobs %d and %d are of one submission", errSnapshot, old, inc)
	}
	if err := j.check(); err != nil {
		return fmt.Errorf("%w: job %d: %w", errSnapshot, inc, err)
	}
	j.Processes, j.Refused = make(map[string]jobProcess), make(map[string]string)
	for _, p := range img.Processes {
		j.Processes[p.Executor] = p.Process
	}
	for _, r := range img.Refused {
		j.Refused[r.Executor] = r.Reason
	}
	s.Jobs[inc] = j
	s.Newest = max(s.Newest, inc)
	s.submissions[j.Spec.Submission] = inc
	s.bytes += j.size()
	return nil
}

// check makes sure of what commands keep true of a job.
func (j *Job) check() error {
	if err := j.BatchLog.Check(); err != nil {
		return err
	}
	switch n := j.Size(); {
	case j.State < wire.JobSubmitted || j.State > wire.JobKilled:
		return fmt.Errorf("state %d", j.State)
	case j.Kind > wire.KindBatch:
		return fmt.Errorf("kind %d", j.Kind)
	case n != j.Bytes:
		return fmt.Errorf("%d bytes of log, it says %d", n, j.Bytes)
	}
	return nil
}
