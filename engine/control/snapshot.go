package control

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

// image is a state as it is written. Jobs and executors follow it, each in a
// record of its own: what is decoded at once stays within the bounds of a message.
type image struct {
	Index         uint64      `msgpack:"index"`
	ClusterID     string      `msgpack:"cid"`
	JobCount      int         `msgpack:"jobs"`
	ExecutorCount int         `msgpack:"exec"`
	Jobs          []*job      `msgpack:"-"` // ascending
	Executors     []*executor `msgpack:"-"` // ascending
}

// writeSnapshot writes the state after the command at index: the magic, then
// records, of the image, of each job and of each executor, and the CRC-32C of the
// records. A record is its length in 4 bytes and a message; numbers are big-endian.
func writeSnapshot(w io.Writer, s *state, index uint64) error {
	img := image{Index: index, ClusterID: s.clusterID, JobCount: len(s.jobs), ExecutorCount: len(s.executors)}
	for _, inc := range slices.Sorted(maps.Keys(s.jobs)) {
		img.Jobs = append(img.Jobs, s.jobs[inc])
	}
	for _, id := range slices.Sorted(maps.Keys(s.executors)) {
		img.Executors = append(img.Executors, s.executors[id])
	}
	if _, err := io.WriteString(w, snapshotMagic); err != nil {
		return err
	}
	records := recordWriter{w: w, sum: newSum()}
	err := records.write(&img)
	for i := 0; i < len(img.Jobs) && err == nil; i++ {
		if err = records.write(img.Jobs[i]); err != nil {
			err = fmt.Errorf("job %d: %w", img.Jobs[i].Spec.Incarnation, err)
		}
	}
	for i := 0; i < len(img.Executors) && err == nil; i++ {
		err = records.write(img.Executors[i])
	}
	if err != nil {
		return err
	}
	_, err = w.Write(binary.BigEndian.AppendUint32(nil, records.sum.Sum32()))
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
		return fmt.Errorf("%w: a snapshot of more than %d bytes, or a record of more than %d", wire.ErrTooLarge, maxSnapshot, maxRecord)
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
func readSnapshot(r io.Reader) (*state, uint64, error) {
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(r, magic); err != nil {
		return nil, 0, fmt.Errorf("%w: its beginning: %w", errSnapshot, err)
	}
	if string(magic) != snapshotMagic {
		return nil, 0, fmt.Errorf("%w: it doesn't begin with %q", wire.ErrFormat, snapshotMagic)
	}
	records := recordReader{r: r, sum: newSum()}
	var img image
	err := records.read(&img)
	for i := 0; i < img.JobCount && err == nil; i++ {
		j := new(job)
		err = records.read(j)
		img.Jobs = append(img.Jobs, j)
	}
	for i := 0; i < img.ExecutorCount && err == nil; i++ {
		e := new(executor)
		err = records.read(e)
		img.Executors = append(img.Executors, e)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errSnapshot, err)
	}
	sum := make([]byte, 4)
	if _, err := io.ReadFull(r, sum); err != nil || binary.BigEndian.Uint32(sum) != records.sum.Sum32() {
		return nil, 0, errors.Join(fmt.Errorf("%w: its checksum is wrong", errSnapshot), err)
	}
	s, err := img.state()
	return s, img.Index, err
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
		return fmt.Errorf("the length of %T: %w", v, err)
	}
	n := binary.BigEndian.Uint32(head)
	if n > maxRecord {
		return fmt.Errorf("%T announces %d bytes", v, n)
	}
	var body bytes.Buffer // grows with what is there, whatever the head announces
	if got, err := io.CopyN(&body, r.r, int64(n)); err != nil {
		return fmt.Errorf("%d of %d bytes of %T are there: %w", got, n, v, err)
	}
	r.sum.Write(head)
	r.sum.Write(body.Bytes())
	return wire.Decode(body.Bytes(), v)
}

// state returns the state that the image is of.
func (img *image) state() (*state, error) {
	s := newState()
	s.clusterID = img.ClusterID
	for _, j := range img.Jobs {
		if j == nil || s.jobs[j.Spec.Incarnation] != nil {
			return nil, fmt.Errorf("%w: a job is missing or there twice", errSnapshot)
		}
		if j.Processes == nil && !j.State.Final() {
			j.Processes = make(map[string]jobProcess)
		}
		s.jobs[j.Spec.Incarnation] = j
		s.bytes += j.size()
		s.submissions[j.Spec.Submission] = j.Spec.Incarnation
	}
	for _, e := range img.Executors {
		if e == nil || s.executors[e.ID] != nil {
			return nil, fmt.Errorf("%w: an executor is missing or there twice", errSnapshot)
		}
		s.executors[e.ID] = e
	}
	return s, nil
}
