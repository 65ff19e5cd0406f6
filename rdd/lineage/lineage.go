package lineage

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hibana-engine/hibana/rdd/task"
)

// ID names an RDD for all processes of a job: the batch it belongs to, the
// DStream that made it, and its number among those that this DStream made.
type ID struct {
	Batch   uint64 // sequence number of the batch; 0 outside streams
	DStream int32  // id of the DStream in its graph; 0 outside streams
	Ordinal int32  // counts from 0 within (Batch, DStream)
}

// String returns the id as batch/dstream.ordinal.
func (id ID) String() string { return fmt.Sprintf("%d/%d.%d", id.Batch, id.DStream, id.Ordinal) }

// Lineage is the list of the RDDs that one batch is computed from, in the order they
// were made. They belong to that batch, or to earlier ones to which it reaches back: an
// RDD has the same ID in the lineage of each batch in which it is made.
// It isn't safe for concurrent use while it grows; once frozen it is read-only,
// and what comes too late may come from any goroutine.
type Lineage struct {
	batch       uint64
	parallelism int
	nodes       []*Node
	shuffles    []*ShuffleDependency // those with ids from drained on
	drained     int                  // shuffles that Drain has taken off
	cached      []*Node              // marked since Drain was called
	uncached    []ID                 // unmarked since Drain was called
	scope       scope
	frozen      atomic.Pointer[string] // why, nil while it may grow
	onLate      func(error)

	errsLock sync.Mutex // when it is frozen, tasks may report what came too late
	errs     []error
}

// scope says for which DStream, and which batch of it, nodes are being made.
type scope struct {
	batch   uint64
	dstream int32
	next    int32
	site    Site
	fns     []string
}

// NewLineage returns an empty lineage for a batch. Shuffles that aren't given a
// partition count use parallelism, which must be the same in every process of
// the job and be at least 1.
func NewLineage(batch uint64, parallelism int) *Lineage {
	return &Lineage{batch: batch, parallelism: max(1, parallelism), scope: scope{batch: batch}}
}

// Parallelism returns the partition count of shuffles that name none.
func (l *Lineage) Parallelism() int { return l.parallelism }

// In runs make with the given DStream as the owner of the nodes it creates, and a batch
// that they belong to: the lineage's, or an earlier one to which it reaches back. Calls
// may nest; each DStream's nodes are numbered from 0 on its own, and a DStream is entered
// once per batch. The nodes get the given site, or, if it is the zero value, the place
// that called their operator. functions are the names (see [FuncName]) of the user's
// functions that the DStream was declared with.
func (l *Lineage) In(batch uint64, dstream int32, site Site, make func(), functions ...string) {
	outer := l.scope
	l.scope = scope{batch: batch, dstream: dstream, site: site, fns: functions}
	make()
	l.scope = outer
}

// At runs make with the given site for the nodes it creates, which belong to whoever they
// would belong to without it, numbered on.
func (l *Lineage) At(site Site, make func()) {
	outer := l.scope.site
	l.scope.site = site
	make()
	l.scope.site = outer
}

// Site returns the place in the user's program for a node being made.
func (l *Lineage) Site() Site {
	if l.scope.site != (Site{}) {
		return l.scope.site
	}
	return Caller()
}

// Freeze forbids further nodes. A transformation after it is recorded as an
// error that gives the reason, and Err returns it.
func (l *Lineage) Freeze(reason string) { l.frozen.Store(&reason) }

// Thaw lets a frozen lineage grow again.
func (l *Lineage) Thaw() { l.frozen.Store(nil) }

// Drain takes the nodes off that were made since the last call, and which were marked, and
// returns them in a lineage of their own: a program that goes on for long must not keep all that it ever
// made. Numbers go on where they were.
func (l *Lineage) Drain() *Lineage {
	made := NewLineage(l.batch, l.parallelism)
	made.nodes, made.shuffles, made.drained = l.nodes, l.shuffles, l.drained
	made.cached, made.uncached = l.cached, l.uncached
	l.drained += len(l.shuffles)
	l.nodes, l.shuffles, l.cached, l.uncached = nil, nil, nil, nil
	return made
}

// OnLate has f told of each error that comes when the lineage is frozen, beside
// Err: by then nobody may ask for that. It is called before Freeze; f may be
// called by several goroutines at once.
func (l *Lineage) OnLate(f func(error)) { l.onLate = f }

// Nodes returns the nodes in the order they were made. Callers don't change it.
func (l *Lineage) Nodes() []*Node { return l.nodes }

// Shuffles returns the shuffle dependencies in the order they were made. Callers don't
// change it.
func (l *Lineage) Shuffles() []*ShuffleDependency { return l.shuffles }

// Cache marks a node of the lineage, or of one that was drained from it, as cached, or as
// pinned.
func (l *Lineage) Cache(n *Node, pin bool) {
	if pin {
		n.caching.Store(pinned)
	} else {
		n.caching.Store(cached)
	}
	l.cached = append(l.cached, n)
}

// Uncache takes that back.
func (l *Lineage) Uncache(n *Node) {
	n.caching.Store(notCached)
	l.uncached = append(l.uncached, n.ID)
}

// Cached returns the nodes that were marked as cached, also if they aren't any more.
// Callers don't change it.
func (l *Lineage) Cached() []*Node { return l.cached }

// Uncached returns the nodes of which that was taken back. Callers don't change it.
func (l *Lineage) Uncached() []ID { return l.uncached }

// Shuffle returns the shuffle dependency with the given id, or nil.
func (l *Lineage) Shuffle(id int) *ShuffleDependency {
	i := id - l.drained
	if i < 0 || i >= len(l.shuffles) {
		return nil
	}
	return l.shuffles[i]
}

// Err returns what went wrong while the lineage was built, all of it joined.
func (l *Lineage) Err() error { return errors.Join(l.Errs()...) }

// Errs returns what went wrong while the lineage was built, one by one.
func (l *Lineage) Errs() []error {
	l.errsLock.Lock()
	defer l.errsLock.Unlock()
	return slices.Clone(l.errs)
}

// Fail records an error of an operator that can't be built.
func (l *Lineage) Fail(err error) {
	l.errsLock.Lock()
	if len(l.errs) < maxErrors {
		l.errs = append(l.errs, err)
	}
	l.errsLock.Unlock()
	if l.frozen.Load() != nil && l.onLate != nil {
		l.onLate(err)
	}
}

// maxErrors bounds the errors that a lineage keeps.
const maxErrors = 100

// TooLate records that something was asked for when the lineage is frozen, and
// reports whether it is.
func (l *Lineage) TooLate(op string, site func() Site) bool {
	reason := l.frozen.Load()
	if reason == nil {
		return false
	}
	l.Fail(&FrozenError{Op: op, Site: site(), Reason: *reason})
	return true
}

// Describe returns one line for each node: id, operator, call site, partitions
// and parents. Two processes agree on a batch if and only if these lines agree.
func (l *Lineage) Describe() []string {
	lines := make([]string, len(l.nodes))
	for i, n := range l.nodes {
		lines[i] = n.describe()
	}
	return lines
}

// Hash returns a digest of what Describe shows, without making the lines.
func (l *Lineage) Hash() uint64 {
	h := fnv.New64a()
	var b []byte
	for _, n := range l.nodes {
		b = n.appendIdentity(b[:0])
		_, _ = h.Write(b) // hash.Hash never fails
	}
	return h.Sum64()
}

// Diff returns the first lines in which two descriptions differ, for people.
// It is empty when they agree.
func Diff(oursName string, ours []string, theirsName string, theirs []string) string {
	const shown = 5
	line := func(s []string, i int) string {
		if i < len(s) {
			return s[i]
		}
		return "(nothing)"
	}
	var b strings.Builder
	found := 0
	for i := range max(len(ours), len(theirs)) {
		o, t := line(ours, i), line(theirs, i)
		if o == t {
			continue
		}
		if found++; found > shown {
			b.WriteString("  …\n")
			break
		}
		fmt.Fprintf(&b, "  %d: %s: %s\n     %s: %s\n", i, oursName, o, theirsName, t)
	}
	return b.String()
}

// Add makes a node unless the lineage is frozen. It returns a node in any case,
// so that a program that is already in error can be read to its end.
func (l *Lineage) Add(n *Node) *Node {
	n.lineage = l
	n.inherits()
	n.ID = ID{Batch: l.scope.batch, DStream: l.scope.dstream, Ordinal: l.scope.next}
	for _, d := range n.Deps {
		if s, ok := d.(*ShuffleDependency); ok && s.reader == nil {
			s.reader = n
		}
	}
	if l.TooLate(n.Op, func() Site { return n.Site }) {
		return n
	}
	for _, fn := range l.scope.fns {
		if !slices.Contains(n.Functions, fn) {
			n.Functions = append(n.Functions, fn)
		}
	}
	l.scope.next++
	l.nodes = append(l.nodes, n)
	return n
}

// AddShuffle gives a shuffle its id and the function that writes a partition of its
// parent. The node that reads it is added afterwards.
func (l *Lineage) AddShuffle(d *ShuffleDependency, write func(tc *task.Context, partition int, w task.BlockWriter) error) *ShuffleDependency {
	d.ID, d.write = l.drained+len(l.shuffles), write
	if l.frozen.Load() == nil {
		l.shuffles = append(l.shuffles, d)
	}
	return d
}
