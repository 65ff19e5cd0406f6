package raftgroup_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/control/raftgroup/grouptest"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/disk"
	"github.com/hibana-engine/hibana/engine/disk/disktest"
	"github.com/hibana-engine/hibana/engine/security/securitytest"
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
func fill(m *grouptest.Group, failing int, job, epoch uint64) (acknowledged int) {
	m.T.Helper()
	for i := 0; i < 40; {
		l := m.Leader()
		began := time.Now()
		_, err := m.Nodes[l].Propose(value(job, epoch, i))
		if took := time.Since(began); took > 10*time.Second {
			m.T.Errorf("value %d took %s", i, took)
		}
		if i++; err == nil {
			acknowledged = i
		}
		select {
		case <-m.Nodes[failing].Failed():
			return acknowledged
		default:
		}
		if err != nil {
			i = recorded(m, m.Leader(), job)
		}
	}
	m.T.Fatal("the node goes on")
	return 0
}

// recorded counts the values that a leader has of a job.
func recorded(m *grouptest.Group, leader int, job uint64) (n int) {
	m.Nodes[leader].View(func(s *state.State) { n = len(s.Jobs[job].Values) })
	return n
}

// failure waits until a node can't go on and returns why.
func failure(m *grouptest.Group, i int) error {
	m.T.Helper()
	select {
	case <-m.Nodes[i].Failed():
		return m.Nodes[i].Failure()
	case <-time.After(20 * time.Second):
		m.T.Fatal("the node goes on")
		return nil
	}
}

// saysFull checks that an error names a directory whose disk is full.
func saysFull(t *testing.T, err error, dir string) {
	t.Helper()
	if !errors.Is(err, raftgroup.ErrDisk) || !strings.Contains(err.Error(), "the disk of "+dir) || !strings.Contains(err.Error(), "make room") {
		t.Errorf("it says: %v", err)
	}
}

// Raft's log can't grow on one of three nodes: the node ends, the others go on
// with all that was acknowledged, and so does the node when there is room again.
func TestFullDisk(t *testing.T) {
	for name, first := range map[string]int{"of the leader": 1, "of a follower": 0} {
		t.Run(name, func(t *testing.T) {
			dir, grow := disktest.Small(t, "3m") // one file of Raft's log
			m := grouptest.Prepare(t, securitytest.Token(), "a", "b", "c")
			m.Conf[1].DataDir, m.Conf[1].Segment = filepath.Join(dir, "b"), segment
			m.OpenAll()
			m.Lead(first)
			n := m.Nodes[first].Replica
			job := grouptest.MustPropose(t, n, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s"}}).Index
			epoch := grouptest.MustPropose(t, n, &state.AssignDriver{Incarnation: job, Node: "a"}).Index
			acknowledged := fill(m, 1, job, epoch)
			saysFull(t, failure(m, 1), filepath.Join(dir, "b", "raft"))
			m.Stop(1)

			l := m.Leader()
			there := recorded(m, l, job)
			if there < acknowledged {
				t.Errorf("%d values are there, %d were acknowledged", there, acknowledged)
			}
			grouptest.MustPropose(t, m.Nodes[l].Replica, value(job, epoch, there))
			acknowledged = there + 1
			grow("16m")
			m.Open(1)
			m.Lead(1)
			grouptest.MustPropose(t, m.Nodes[1].Replica, value(job, epoch, acknowledged))
			m.Nodes[1].View(func(s *state.State) {
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
			m := grouptest.Prepare(t, securitytest.Token(), "a")
			m.Conf[0].DataDir, m.Conf[0].Segment = filepath.Join(dir, "a"), segment
			n, err := raftgroup.Open(t.Context(), m.Conf[0])
			if err == nil {
				m.Nodes[0] = n
				t.Fatal("it starts")
			}
			if !errors.Is(err, raftgroup.ErrDisk) && !errors.Is(err, raftgroup.ErrDataDir) || !strings.Contains(err.Error(), dir) ||
				!strings.Contains(err.Error(), "no space left") && !strings.Contains(err.Error(), "make room") {
				t.Errorf("it says: %v", err)
			}
			if strings.Contains(err.Error(), "--replace") {
				t.Errorf("it advises to drop the directory: %v", err)
			}
			grow("16m")
			m.Conf[0].Listener = nil // it was closed
			m.Open(0)
			m.Leader()
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
	m := grouptest.Prepare(t, securitytest.Token(), "a")
	m.Conf[0].DataDir, m.Conf[0].Segment = filepath.Join(dir, "a"), segment
	m.OpenAll()
	n := m.Nodes[m.Leader()].Replica
	job := grouptest.MustPropose(t, n, &state.SubmitJob{Spec: wire.JobSpec{Submission: "s"}}).Index
	epoch := grouptest.MustPropose(t, n, &state.AssignDriver{Incarnation: job, Node: "a"}).Index
	const values = 10
	for i := range values {
		grouptest.MustPropose(t, n, value(job, epoch, i))
	}
	err := n.Raft().Snapshot().Error()
	if !disk.Full(err) && (err == nil || !strings.Contains(err.Error(), "no space left")) || !strings.Contains(err.Error(), dir) {
		t.Errorf("it says: %v", err)
	}
	left, err := os.ReadDir(filepath.Join(dir, "a", "snapshots"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	grouptest.MustPropose(t, n, value(job, epoch, values))
	grow("16m")
	if err := n.Raft().Snapshot().Error(); err != nil {
		t.Error(err)
	}
	m.Stop(0)
	m.Open(0)
	if n := recorded(m, m.Leader(), job); n != values+1 {
		t.Errorf("%d values are there, want %d", n, values+1)
	}
}
