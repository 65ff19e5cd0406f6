package rdd

import (
	"cmp"
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// StorageLevel says where the computed partitions of an RDD are kept: [MemoryOnly],
// [MemoryAndDisk] or [DiskOnly].
type StorageLevel = task.Level

// The storage levels.
const (
	// MemoryOnly keeps partitions in memory. Those that don't fit, or were used least
	// recently when memory is needed, are computed again.
	MemoryOnly = task.MemoryOnly
	// MemoryAndDisk writes to disk what doesn't fit in memory.
	MemoryAndDisk = task.MemoryAndDisk
	// DiskOnly keeps partitions on disk.
	DiskOnly = task.DiskOnly
)

// storage says how the partitions of an RDD are kept.
type storage[T any] struct {
	level StorageLevel
	codec encoding.Codec[T] // nil if T can't be encoded
}

// Cache is Persist(MemoryOnly).
func (r *RDD[T]) Cache() *RDD[T] { return r.keep("cache", MemoryOnly) }

// Persist marks the RDD's partitions to be kept by the executors that computed them, until
// the batch is forgotten or, in a batch program, nothing refers to the RDD any more. Tasks on
// other executors fetch them, if their elements can be encoded. If that breaks off when part
// of a partition, too large for memory, was used already, the rest is computed: functions that
// don't return the same every time, in the same order, are to be marked [RDD.Indeterminate].
// Without it partitions are computed anew for every use. At a level that uses the disk the elements must be
// of a type that can be encoded.
func (r *RDD[T]) Persist(level StorageLevel) *RDD[T] { return r.keep("persist", level) }

func (r *RDD[T]) keep(op string, level StorageLevel) *RDD[T] {
	l := r.node.Lineage()
	if l.TooLate(op, l.Site) {
		return r
	}
	if err := CheckLevel[T](level); err != nil {
		opAt(r.sc, op, l.Site()).fail(err)
	}
	codec, _ := encoding.For[T]() // without one it is checked already
	r.storage.Store(&storage[T]{level, codec})
	l.Cache(r.node, level == task.Pinned)
	return r
}

// CheckLevel says why elements of type T can't be kept at a level.
func CheckLevel[T any](level StorageLevel) error {
	_, err := encoding.For[T]()
	return checkLevel(level, err)
}

// checkLevel says why elements that are encoded with the given error can't be kept.
func checkLevel(level StorageLevel, err error) error {
	if level > task.Pinned {
		return fmt.Errorf("%w: %d", ErrStorageLevel, level)
	}
	if err != nil && level != MemoryOnly && level != task.Pinned {
		return fmt.Errorf("%w; %s needs that, rdd.MemoryOnly doesn't", err, level)
	}
	return nil
}

// Unpersist takes Cache or Persist back: from now on partitions aren't kept, and executors
// drop those that are kept already, before the program's next action.
func (r *RDD[T]) Unpersist() *RDD[T] {
	if l := r.node.Lineage(); !l.TooLate("unpersist", l.Site) {
		l.Uncache(r.node)
	}
	return r
}

// stored returns how partitions are kept.
func (r *RDD[T]) stored() *storage[T] {
	return cmp.Or(r.storage.Load(), &storage[T]{}) // MemoryOnly if only its node was told
}

// block returns the name of a partition that is kept.
func (r *RDD[T]) block(partition int) task.Block {
	id := r.node.ID
	return task.Block{Batch: id.Batch, DStream: id.DStream, Ordinal: id.Ordinal, Partition: int32(partition), Indeterminate: r.node.Indeterminate}
}

// kept yields the elements of a partition that is kept, obtained first if need be.
func (r *RDD[T]) kept(tc *task.Context, partition int) iter.Seq2[T, error] {
	return r.keepFrom(tc, partition, func(restart func() bool) iter.Seq2[T, error] { return r.obtained(tc, partition, restart) })
}

// keepFrom yields the elements of a partition that is kept, which is made of what from
// returns if it isn't there. What from returns may begin anew if restart says so: then
// nothing of what it yielded has gone anywhere.
func (r *RDD[T]) keepFrom(tc *task.Context, partition int, from func(restart func() bool) iter.Seq2[T, error]) iter.Seq2[T, error] {
	block, at := r.block(partition), r.stored()
	return func(yield func(T, error) bool) {
		for first := true; ; first = false {
			k := keeping[T]{of: r.node, tc: tc, size: newSizer(at.codec), own: owning[T](), level: at.level, yield: yield}
			k.size.owner = r.node
			v, kept, err := tc.Cache.Compute(tc, block, at.level, func(b task.Building) (task.Value, error) {
				return k.compute(b, from(k.restart))
			})
			switch {
			case k.unwritten: // nothing of it was yielded
				again(tc, from, k.mark)(yield)
				return
			case k.passing || ends(yield, err):
				return
			case !kept && tc.Err() == nil && at.level != MemoryOnly:
				tc.Metrics.NotKept++
			}
			held := ledger{memory: tc.Memory}
			if !kept && !held.charge(v.Bytes()) && k.usesDisk() { // its own memory was given back
				v.Discard()
				again(tc, from, k.mark)(yield)
				return
			}
			yielded, err := v.(rows[T]).each(tc, yield)
			if !kept {
				v.Discard()
				held.set(0)
			}
			if err == nil {
				return
			}
			tc.Cache.Drop(block)
			if yielded || !first {
				ends(yield, unreadable(r.node, partition, err))
				return
			}
		}
	}
}

// again yields a partition that was made but couldn't be kept.
func again[T any](tc *task.Context, from func(restart func() bool) iter.Seq2[T, error], before task.Mark) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if ends(yield, tc.Rewind(before)) {
			return
		}
		tc.Metrics.NotKept++
		from(func() bool { return false })(yield)
	}
}

// unreadable is the error of a partition that was kept and can't be read.
func unreadable(n *lineage.Node, partition int, err error) error {
	return fmt.Errorf("reading partition %d of what %s at %s has kept, which is dropped now: %w", partition, n.Op, n.Site, err)
}

// keeping computes a partition that is to be kept.
type keeping[T any] struct {
	of      *lineage.Node
	tc      *task.Context
	b       task.Building
	size    *sizer[T]
	own     owner[T]
	level   StorageLevel
	rows    []T
	memory  ledger
	disk    *diskWriter[T] // nil as long as the rows are in memory
	passing bool           // the partition can't be kept: it goes to yield
	yield   func(T, error) bool
	failed  error

	mark      task.Mark // when it began, if it may go to disk
	unwritten bool      // the disk didn't take it
}

// compute reads a partition to its end.
func (k *keeping[T]) compute(b task.Building, in iter.Seq2[T, error]) (task.Value, error) {
	k.b, k.memory.memory = b, b
	if k.usesDisk() {
		k.mark, k.failed = k.tc.Mark()
	}
	if k.failed == nil {
		in(k.take)
	}
	switch {
	case k.failed != nil:
		return nil, k.failed
	case k.passing:
		return nil, errPassed
	case k.disk != nil:
		v, err := k.disk.finish()
		return v, k.writing(err)
	}
	inMemory := &memoryRows[T]{k.rows, k.memory.used, k.size.codec, k.of.Owner()}
	if k.level == task.Pinned {
		return pinned(inMemory), nil
	}
	return inMemory, nil
}

// usesDisk reports whether the partition may go to disk, which may not take it.
func (k *keeping[T]) usesDisk() bool { return k.level == MemoryAndDisk || k.level == DiskOnly }

// Sized is what an element of an RDD implements that says itself how much memory it takes
// at [task.Pinned]: see [task.Versioned].
type Sized interface {
	Bytes() int64
	Copied() int64
}

// versionRows are rows that say how much memory they take.
type versionRows[T any] struct {
	*memoryRows[T]
	copied int64
}

// Copied implements task.Versioned.
func (v versionRows[T]) Copied() int64 { return v.copied }

// pinned returns rows that stay in memory, with what they say of themselves.
func pinned[T any](m *memoryRows[T]) task.Value {
	v := versionRows[T]{memoryRows: m}
	for i := range m.rows {
		if s, is := any(m.rows[i]).(Sized); is {
			m.bytes += s.Bytes()
			v.copied += s.Copied()
		}
	}
	return v
}

// take takes an element of the partition.
func (k *keeping[T]) take(v T, err error) bool {
	switch {
	case k.passing:
		return k.yield(v, err)
	case err != nil:
		k.failed = err
		return false
	case k.disk != nil:
		k.failed = k.writing(k.disk.add(v))
		return k.failed == nil
	}
	k.rows = append(k.rows, v)
	k.own.of(&k.rows[len(k.rows)-1])
	return k.level == task.Pinned || k.memory.charge(k.size.of(v)) || k.spill()
}

// restart forgets what was taken, since other elements take its place. It can't, and
// returns false, if that has gone on to who reads the partition.
func (k *keeping[T]) restart() bool {
	if k.passing {
		return false
	}
	k.rows = nil
	k.memory.set(0)
	if k.disk != nil {
		k.disk.run.Remove()
		k.disk = nil
	}
	return true
}

// spill frees the memory of the rows: they go to disk or, at MemoryOnly, on to who reads
// the partition. It reports whether more are wanted.
func (k *keeping[T]) spill() (more bool) {
	rows := k.rows
	k.rows = nil
	if k.level == MemoryOnly {
		k.passing = true
		k.b.GiveUp()
		more = each(k.tc, rows, k.yield)
	} else {
		k.failed = k.writing(k.toDisk(rows))
		more = k.failed == nil
	}
	k.memory.set(0)
	return more
}

// toDisk begins a run with rows.
func (k *keeping[T]) toDisk(rows []T) (err error) {
	if k.disk, err = newDiskWriter(k.b.NewRun, k.of, k.size.codec); err != nil {
		return err
	}
	for _, v := range rows {
		if err := k.disk.add(v); err != nil {
			return err
		}
	}
	return nil
}

// writing says of an error what was to be written.
func (k *keeping[T]) writing(err error) error {
	if err == nil {
		return nil
	}
	k.unwritten = task.IsUnwritten(err)
	return unwritable(k.of, err)
}

// unwritable is the error of a partition that can't be written.
func unwritable(n *lineage.Node, err error) error {
	return fmt.Errorf("writing a partition of what %s at %s keeps: %w", n.Op, n.Site, err)
}
