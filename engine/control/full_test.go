package control

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/disk"
	"github.com/hibana-engine/hibana/engine/disk/disktest"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Sizes of the tests' disks. A file of Raft's log takes segment bytes at once.
const (
	segment   = 2 << 20
	valueSize = 128 << 10
)

// value returns the i-th recorded value of a job.
func value(job, epoch uint64, i int) *state.RecordValue {
	return &state.RecordValue{Incarnation: job, Epoch: epoch, Index: i, Value: wire.Value{Data: bytes.Repeat([]byte{byte(i)}, valueSize)}}
}

// fill records values until a node fails, whoever leads, and returns how many were
// acknowledged.
func (m *members) fill(failing int, job, epoch uint64) (acknowledged int) {
	m.t.Helper()
	for i := 0; i < 40; {
		l := m.leader()
		began := time.Now()
		_, err := m.nodes[l].propose(value(job, epoch, i))
		if took := time.Since(began); took > 10*time.Second {
			m.t.Errorf("value %d took %s", i, took)
		}
		if i++; err == nil {
			acknowledged = i
		}
		select {
		case <-m.nodes[failing].failed:
			return acknowledged
		default:
		}
		if err != nil {
			i = m.values(m.leader(), job)
		}
	}
	m.t.Fatal("the node goes on")
	return 0
}

// values counts the values that a leader has of a job.
func (m *members) values(leader int, job uint64) (n int) {
	m.nodes[leader].fsm.View(func(s *state.State) { n = len(s.Jobs[job].Values) })
	return n
}

// failure waits until a node can't go on and returns why.
func (m *members) failure(i int) error {
	m.t.Helper()
	select {
	case <-m.nodes[i].failed:
		return m.nodes[i].failure
	case <-time.After(20 * time.Second):
		m.t.Fatal("the node goes on")
		return nil
	}
}

// saysFull checks that an error names a directory whose disk is full.
func saysFull(t *testing.T, err error, dir string) {
	t.Helper()
	if !errors.Is(err, ErrDisk) || !strings.Contains(err.Error(), "the disk of "+dir) || !strings.Contains(err.Error(), "make room") {
		t.Errorf("it says: %v", err)
	}
}

// Raft's log can't grow on one of three nodes: the node ends, the others go on
// with all that was acknowledged, and so does the node when there is room again.
func TestFullDisk(t *testing.T) {
	for name, first := range map[string]int{"of the leader": 1, "of a follower": 0} {
		t.Run(name, func(t *testing.T) {
			dir, grow := disktest.Small(t, "3m") // one file of Raft's log
			m := prepareMembers(t, token(), "a", "b", "c")
			m.conf[1].dataDir, m.conf[1].segment = filepath.Join(dir, "b"), segment
			m.openAll()
			m.lead(first)
			n := m.nodes[first].node
			job := mustPropose(t, n, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s"}}).Index
			epoch := mustPropose(t, n, &state.AssignDriver{Incarnation: job, Node: "a"}).Index
			acknowledged := m.fill(1, job, epoch)
			saysFull(t, m.failure(1), filepath.Join(dir, "b", "raft"))
			m.stop(1)

			l := m.leader()
			there := m.values(l, job)
			if there < acknowledged {
				t.Errorf("%d values are there, %d were acknowledged", there, acknowledged)
			}
			mustPropose(t, m.nodes[l].node, value(job, epoch, there))
			acknowledged = there + 1
			grow("16m")
			m.open(1)
			m.lead(1)
			mustPropose(t, m.nodes[1].node, value(job, epoch, acknowledged))
			m.nodes[1].fsm.View(func(s *state.State) {
				for i, v := range s.Jobs[job].Values {
					if len(v.Data) != valueSize || v.Data[0] != byte(i) {
						t.Errorf("value %d has %d bytes", i, len(v.Data))
					}
				}
				if n := len(s.Jobs[job].Values); n != acknowledged+1 {
					t.Errorf("%d values are there, want %d", n, acknowledged+1)
				}
			})
		})
	}
}

// A node doesn't start on a full disk, says so, and starts when there is room.
func TestStartOnFullDisk(t *testing.T) {
	for name, fill := range map[string]func(t *testing.T, dir string){
		"not even an identity": func(t *testing.T, dir string) { fillDisk(t, dir, 0) },
		"no Raft log":          func(t *testing.T, dir string) { fillDisk(t, dir, 8<<10) },
		"a part of it":         func(t *testing.T, dir string) { fillDisk(t, dir, segment/2) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, grow := disktest.Small(t, "4m")
			fill(t, dir)
			m := prepareMembers(t, token(), "a")
			m.conf[0].dataDir, m.conf[0].segment = filepath.Join(dir, "a"), segment
			n, err := openMember(t.Context(), m.conf[0])
			if err == nil {
				m.nodes[0] = n
				t.Fatal("it starts")
			}
			if !errors.Is(err, ErrDisk) && !errors.Is(err, ErrDataDir) || !strings.Contains(err.Error(), dir) ||
				!strings.Contains(err.Error(), "no space left") && !strings.Contains(err.Error(), "make room") {
				t.Errorf("it says: %v", err)
			}
			if strings.Contains(err.Error(), "--replace") {
				t.Errorf("it advises to drop the directory: %v", err)
			}
			grow("16m")
			m.conf[0].listener = nil // it was closed
			m.open(0)
			m.leader()
		})
	}
}

// fillDisk leaves so many bytes free.
func fillDisk(t *testing.T, dir string, leave int64) {
	t.Helper()
	free, err := disk.Free(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, free-leave), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A snapshot that can't be written costs nothing but the disk's room: the node
// goes on, and the next one works.
func TestSnapshotOnFullDisk(t *testing.T) {
	dir, grow := disktest.Small(t, "3m")
	m := prepareMembers(t, token(), "a")
	m.conf[0].dataDir, m.conf[0].segment = filepath.Join(dir, "a"), segment
	m.openAll()
	n := m.nodes[m.leader()].node
	job := mustPropose(t, n, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s"}}).Index
	epoch := mustPropose(t, n, &state.AssignDriver{Incarnation: job, Node: "a"}).Index
	const values = 10
	for i := range values {
		mustPropose(t, n, value(job, epoch, i))
	}
	err := n.raft.Snapshot().Error()
	if !disk.Full(err) && (err == nil || !strings.Contains(err.Error(), "no space left")) || !strings.Contains(err.Error(), dir) {
		t.Errorf("it says: %v", err)
	}
	left, err := os.ReadDir(filepath.Join(dir, "a", "snapshots"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	mustPropose(t, n, value(job, epoch, values))
	grow("16m")
	if err := n.raft.Snapshot().Error(); err != nil {
		t.Error(err)
	}
	m.stop(0)
	m.open(0)
	if n := m.values(m.leader(), job); n != values+1 {
		t.Errorf("%d values are there, want %d", n, values+1)
	}
}

// Binaries leave room for Raft's log.
func TestBinariesLeaveRoom(t *testing.T) {
	dir, grow := disktest.Small(t, "64m")
	d, err := openDataDir(filepath.Join(dir, "a"), "a", false)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	files, err := openJobFiles(d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.room.claim(1 << 20); !errors.Is(err, wire.ErrTooLarge) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "make room") {
		t.Errorf("it says: %v", err)
	}
	grow("300m")
	if _, err := files.room.claim(1 << 20); err != nil {
		t.Error(err)
	}
}
