package clienttest

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Cluster is some engine-drivers that share their state, as if by Raft.
type Cluster struct {
	Token string // that clients must know

	t  testing.TB
	mu sync.Mutex // guards what follows
	// changed is closed, and replaced, whenever anything changes.
	changed   chan struct{}
	drivers   []*driver
	leader    int // index in drivers, -1 while there is none
	jobs      []*job
	binaries  map[string][]byte // by digest
	executors []wire.ExecutorStatus
	index     uint64                        // as of Raft's log
	cutAfter  int64                         // the leader dies when so many bytes are uploaded; 0 never
	reject    func(*wire.SubmitBegin) error // of a submission, at its beginning
	asked     func()                        // at each call of Status; nil for nothing
}

// driver is one engine-driver.
type driver struct {
	cluster *Cluster
	number  int
	id      string
	address string
	server  *grpc.Server // nil while it is dead
	serving sync.WaitGroup
}

// job is a job and what its processes wrote.
type job struct {
	status wire.JobStatus
	digest string
	logs   map[string][]byte // by daemon
}

// New starts n drivers with the ids d1, d2, … on loopback, of which the first
// leads. They are ended with the test.
func New(t testing.TB, n int) *Cluster {
	t.Helper()
	c := &Cluster{
		Token: security.NewToken(), t: t, changed: make(chan struct{}),
		binaries: make(map[string][]byte), index: 10,
	}
	for i := range n {
		c.drivers = append(c.drivers, &driver{cluster: c, number: i, id: fmt.Sprintf("d%d", i+1), address: "127.0.0.1:0"})
	}
	for _, d := range c.drivers {
		d.start(t)
	}
	t.Cleanup(func() {
		for _, d := range c.drivers {
			d.stop()
		}
	})
	return c
}

// start opens the driver's listener.
func (d *driver) start(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", d.address)
	if err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer(d.cluster.Security())
	wire.RegisterControl(server, d)
	wire.RegisterLogs(server, d)
	d.cluster.update(func() { d.address, d.server = l.Addr().String(), server })
	d.serving.Go(func() { _ = server.Serve(l) }) // ends with Stop
}

// stop breaks the driver's connections.
func (d *driver) stop() {
	var server *grpc.Server
	d.cluster.update(func() { server, d.server = d.server, nil })
	if server != nil {
		server.Stop()
		d.serving.Wait()
	}
}

// Security is what a client of the drivers needs.
func (c *Cluster) Security() security.Security { return security.Security{}.WithToken(c.Token) }

// Master lists the drivers' addresses as engine-submit takes them.
func (c *Cluster) Master() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var addresses []string
	for _, d := range c.drivers {
		addresses = append(addresses, d.address)
	}
	return strings.Join(addresses, ",")
}

// Lead makes a driver the leader; "" leaves the cluster without one.
func (c *Cluster) Lead(id string) {
	c.update(func() { c.leader = c.find(id) })
}

// Kill ends a driver and makes another one the leader, if there is a majority.
func (c *Cluster) Kill(id string) {
	i := c.find(id)
	c.drivers[i].stop()
	c.update(c.elect)
}

// Restart starts a driver that was killed.
func (c *Cluster) Restart(id string) {
	c.drivers[c.find(id)].start(c.t)
	c.update(c.elect)
}

// elect finds a leader. It is called with mu held.
func (c *Cluster) elect() {
	alive := slices.DeleteFunc(slices.Clone(c.drivers), func(d *driver) bool { return d.server == nil })
	switch {
	case 2*len(alive) <= len(c.drivers):
		c.leader = -1
	case c.leader < 0 || c.drivers[c.leader].server == nil:
		c.leader = alive[0].number
	}
}

// find returns a driver's index, -1 for "".
func (c *Cluster) find(id string) int {
	return slices.IndexFunc(c.drivers, func(d *driver) bool { return d.id == id })
}

// CutUpload makes the leader die when it has taken so many bytes of a program.
func (c *Cluster) CutUpload(after int64) { c.update(func() { c.cutAfter = after }) }

// Reject makes drivers refuse submissions for which f returns an error.
func (c *Cluster) Reject(f func(*wire.SubmitBegin) error) { c.update(func() { c.reject = f }) }

// Asked makes the leader call f whenever it is asked for the status of a job.
func (c *Cluster) Asked(f func()) { c.update(func() { c.asked = f }) }

// Executors says which executor daemons there are.
func (c *Cluster) Executors(e ...wire.ExecutorStatus) { c.update(func() { c.executors = e }) }

// AddJob adds a job as it would be after a submission, and returns its number.
func (c *Cluster) AddJob(st wire.JobStatus) uint64 {
	c.update(func() {
		c.index++
		st.Spec.Incarnation = c.index
		c.jobs = append(c.jobs, &job{status: st, logs: make(map[string][]byte)})
	})
	return st.Spec.Incarnation
}

// Update changes a job; those who watch it are told.
func (c *Cluster) Update(incarnation uint64, change func(*wire.JobStatus)) {
	c.update(func() { change(&c.job(wire.JobRef{Incarnation: incarnation}).status) })
}

// Job returns a job's status and, if it was submitted here, its program.
func (c *Cluster) Job(incarnation uint64) (wire.JobStatus, []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	j := c.job(wire.JobRef{Incarnation: incarnation})
	if j == nil {
		return wire.JobStatus{}, nil
	}
	return j.status, c.binaries[j.digest]
}

// Jobs returns how many jobs there are.
func (c *Cluster) Jobs() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.jobs)
}

// Log adds to what a job's process wrote on a daemon.
func (c *Cluster) Log(incarnation uint64, daemon, text string) {
	c.update(func() {
		j := c.job(wire.JobRef{Incarnation: incarnation})
		j.logs[daemon] = append(j.logs[daemon], text...)
	})
}

// job finds a job, nil if there is none. It is called with mu held.
func (c *Cluster) job(ref wire.JobRef) *job {
	for _, j := range c.jobs {
		if s := j.status.Spec; s.Incarnation == ref.Incarnation || ref.Incarnation == 0 && s.Submission == ref.Submission {
			return j
		}
	}
	return nil
}

// update changes the state and wakes who waits for changes.
func (c *Cluster) update(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.changed)
	c.changed = make(chan struct{})
}
