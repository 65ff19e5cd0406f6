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

// snapshotMagic begins a snapshot and names its format.
const snapshotMagic = "hibana control snapshot 1\n"

// maxSnapshot bounds a snapshot, in bytes.
const maxSnapshot = 1 << 30

// errSnapshot says that a snapshot can't be read.
var errSnapshot = errors.New("the snapshot is damaged")

// image is a state as it is written.
type image struct {
	Index     uint64      `msgpack:"index"`
	ClusterID string      `msgpack:"cid"`
	Jobs      []*job      `msgpack:"jobs"` // ascending
	Executors []*executor `msgpack:"exec"` // ascending
	Drivers   []driver    `msgpack:"drv"`  // ascending
}

// driver is a driver's admission.
type driver struct {
	Node string    `msgpack:"node"`
	Data admission `msgpack:"data"`
}

// writeSnapshot writes the state after the command at index: the magic, the
// length of what follows, the image and its CRC-32C; numbers are big-endian.
func writeSnapshot(w io.Writer, s *state, index uint64) error {
	img := image{Index: index, ClusterID: s.clusterID}
	for _, inc := range slices.Sorted(maps.Keys(s.jobs)) {
		img.Jobs = append(img.Jobs, s.jobs[inc])
	}
	for _, id := range slices.Sorted(maps.Keys(s.executors)) {
		img.Executors = append(img.Executors, s.executors[id])
	}
	for _, node := range slices.Sorted(maps.Keys(s.drivers)) {
		img.Drivers = append(img.Drivers, driver{node, s.drivers[node]})
	}
	b, err := wire.Encode(&img)
	if err != nil {
		return err
	}
	if len(b) > maxSnapshot {
		return fmt.Errorf("%w: a snapshot of %d bytes, the limit is %d", wire.ErrTooLarge, len(b), maxSnapshot)
	}
	head := binary.BigEndian.AppendUint64([]byte(snapshotMagic), uint64(len(b)))
	tail := binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	for _, part := range [][]byte{head, b, tail} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// readSnapshot reads what writeSnapshot wrote.
func readSnapshot(r io.Reader) (*state, uint64, error) {
	head := make([]byte, len(snapshotMagic)+8)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, 0, fmt.Errorf("%w: its head: %w", errSnapshot, err)
	}
	if !bytes.Equal(head[:len(snapshotMagic)], []byte(snapshotMagic)) {
		return nil, 0, fmt.Errorf("%w: it doesn't begin with %q", wire.ErrFormat, snapshotMagic)
	}
	n := binary.BigEndian.Uint64(head[len(snapshotMagic):])
	if n > maxSnapshot {
		return nil, 0, fmt.Errorf("%w: it announces %d bytes", errSnapshot, n)
	}
	var body bytes.Buffer // grows with what is there, whatever the head announces
	if got, err := io.Copy(&body, io.LimitReader(r, int64(n)+4)); err != nil || got != int64(n)+4 {
		return nil, 0, errors.Join(fmt.Errorf("%w: %d of %d bytes are there", errSnapshot, got, n+4), err)
	}
	b, sum := body.Bytes()[:n], binary.BigEndian.Uint32(body.Bytes()[n:])
	if crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) != sum {
		return nil, 0, fmt.Errorf("%w: its checksum is wrong", errSnapshot)
	}
	var img image
	if err := wire.Decode(b, &img); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errSnapshot, err)
	}
	s, err := img.state()
	return s, img.Index, err
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
		s.submissions[j.Spec.Submission] = j.Spec.Incarnation
	}
	for _, e := range img.Executors {
		if e == nil || s.executors[e.ID] != nil {
			return nil, fmt.Errorf("%w: an executor is missing or there twice", errSnapshot)
		}
		s.executors[e.ID] = e
	}
	for _, d := range img.Drivers {
		if _, there := s.drivers[d.Node]; there || d.Node == "" {
			return nil, fmt.Errorf("%w: a driver is missing or there twice", errSnapshot)
		}
		s.drivers[d.Node] = d.Data
	}
	return s, nil
}
