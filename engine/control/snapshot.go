package control

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"

	"github.com/hibana-engine/hibana/engine/wire"
)

// snapshotMagic begins a snapshot and names its format. What follows are parts:
// an image, then each job. A part is its length, its bytes and their CRC-32C;
// numbers are big-endian.
const snapshotMagic = "hibana control snapshot 2\n"

// maxPart bounds a part of a snapshot, in bytes. A job at all its limits is well
// below it.
const maxPart = 256 << 20

// errSnapshot says that a snapshot can't be read.
var errSnapshot = errors.New("the snapshot is damaged")

// image is a state as it is written, but for the jobs.
type image struct {
	Index     uint64      `msgpack:"index"`
	ClusterID string      `msgpack:"cid"`
	Jobs      int         `msgpack:"jobs"` // how many follow, ascending
	Executors []*executor `msgpack:"exec"` // ascending
	Drivers   []driver    `msgpack:"drv"`  // ascending
}

// driver is a driver's admission.
type driver struct {
	Node string    `msgpack:"node"`
	Data admission `msgpack:"data"`
}

// jobImage is a job as it is written: a map has no order of its own.
type jobImage struct {
	Job       job            `msgpack:"job"`
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
func (j *job) image() *jobImage {
	img := &jobImage{Job: *j}
	for _, id := range slices.Sorted(maps.Keys(j.Processes)) {
		img.Processes = append(img.Processes, processImage{id, j.Processes[id]})
	}
	for _, id := range slices.Sorted(maps.Keys(j.Refused)) {
		img.Refused = append(img.Refused, refusalImage{id, j.Refused[id]})
	}
	return img
}

// writeSnapshot writes the state after the command at index. The same state makes
// the same bytes.
func writeSnapshot(w io.Writer, s *state, index uint64) error {
	if _, err := io.WriteString(w, snapshotMagic); err != nil {
		return err
	}
	img := image{Index: index, ClusterID: s.clusterID, Jobs: len(s.jobs)}
	for _, id := range slices.Sorted(maps.Keys(s.executors)) {
		img.Executors = append(img.Executors, s.executors[id])
	}
	for _, node := range slices.Sorted(maps.Keys(s.drivers)) {
		img.Drivers = append(img.Drivers, driver{node, s.drivers[node]})
	}
	if err := writePart(w, &img); err != nil {
		return err
	}
	for _, inc := range slices.Sorted(maps.Keys(s.jobs)) {
		if err := writePart(w, s.jobs[inc].image()); err != nil {
			return fmt.Errorf("job %d: %w", inc, err)
		}
	}
	return nil
}

// writePart writes one part.
func writePart(w io.Writer, v any) error {
	b, err := wire.Encode(v)
	if err != nil {
		return err
	}
	if len(b) > maxPart {
		return fmt.Errorf("%w: %d bytes in a part of a snapshot, the limit is %d", wire.ErrTooLarge, len(b), maxPart)
	}
	for _, piece := range [][]byte{binary.BigEndian.AppendUint64(nil, uint64(len(b))), b, binary.BigEndian.AppendUint32(nil, checksum(b))} {
		if _, err := w.Write(piece); err != nil {
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
	var img image
	if err := readPart(r, &img); err != nil {
		return nil, 0, err
	}
	s := newState()
	if err := img.restore(s); err != nil {
		return nil, 0, err
	}
	for range img.Jobs {
		var j jobImage
		if err := readPart(r, &j); err != nil {
			return nil, 0, err
		}
		if err := s.restore(&j); err != nil {
			return nil, 0, err
		}
	}
	if n, err := io.Copy(io.Discard, r); n > 0 || err != nil {
		return nil, 0, errors.Join(fmt.Errorf("%w: %d bytes follow it", errSnapshot, n), err)
	}
	return s, img.Index, nil
}

// readPart reads one part.
func readPart(r io.Reader, v any) error {
	head := make([]byte, 8)
	if _, err := io.ReadFull(r, head); err != nil {
		return fmt.Errorf("%w: the length of a part: %w", errSnapshot, err)
	}
	n := binary.BigEndian.Uint64(head)
	if n > maxPart {
		return fmt.Errorf("%w: it announces a part of %d bytes", errSnapshot, n)
	}
	var body bytes.Buffer // grows with what is there, whatever is announced
	if got, err := io.CopyN(&body, r, int64(n)+4); err != nil {
		return fmt.Errorf("%w: %d of a part's %d bytes are there: %w", errSnapshot, got, n+4, err)
	}
	b, sum := body.Bytes()[:n], binary.BigEndian.Uint32(body.Bytes()[n:])
	if checksum(b) != sum {
		return fmt.Errorf("%w: the checksum of a part is wrong", errSnapshot)
	}
	if err := wire.Decode(b, v); err != nil {
		return fmt.Errorf("%w: %w", errSnapshot, err)
	}
	return nil
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// restore puts into a new state what the image holds of it.
func (img *image) restore(s *state) error {
	s.clusterID = img.ClusterID
	for _, e := range img.Executors {
		if e == nil || s.executors[e.ID] != nil {
			return fmt.Errorf("%w: an executor is missing or there twice", errSnapshot)
		}
		s.executors[e.ID] = e
	}
	for _, d := range img.Drivers {
		if _, there := s.drivers[d.Node]; there || d.Node == "" {
			return fmt.Errorf("%w: a driver is missing or there twice", errSnapshot)
		}
		s.drivers[d.Node] = d.Data
	}
	return nil
}

// restore adds a job of a snapshot.
func (s *state) restore(img *jobImage) error {
	j := &img.Job
	inc := j.Spec.Incarnation
	if s.jobs[inc] != nil {
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
	s.jobs[inc] = j
	s.submissions[j.Spec.Submission] = inc
	s.bytes += j.Bytes
	return nil
}

// check makes sure of what commands keep true of a job.
func (j *job) check() error {
	size := len(j.Header)
	for _, v := range j.Values {
		size += valueSize(v)
	}
	last := uint64(0)
	for _, p := range j.Pending {
		if p.Seq <= last || p.Seq > j.Last.Seq {
			return fmt.Errorf("batch %d after %d, the last is %d", p.Seq, last, j.Last.Seq)
		}
		if !slices.IsSorted(p.Done) {
			return fmt.Errorf("batch %d: outputs %v are done", p.Seq, p.Done)
		}
		size += len(p.Data)
		last = p.Seq
	}
	switch {
	case j.State < wire.JobSubmitted || j.State > wire.JobKilled:
		return fmt.Errorf("state %d", j.State)
	case size != j.Bytes:
		return fmt.Errorf("%d bytes of log, it says %d", size, j.Bytes)
	}
	return nil
}
