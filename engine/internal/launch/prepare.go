package launch

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/engine/internal/driver"
	"github.com/hibana-engine/hibana/engine/internal/models"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// prepared is a job's driver up to the point from which on others can see that it
// is there: what a process can do ahead of its activation.
type prepared struct {
	job    *Job
	master Master

	recovered plan.LogState
	header    plan.JobHeader
	values    *plan.ValueLog
	program   *plan.Program  // nil if it needs values that aren't recorded yet
	upgrade   *plan.Upgrade  // nil unless the program has changed since the log was begun
	lost      []string       // what the types of states lack of what the log's keys hold
	planners  []plan.Planner // of the program's inputs, nil for those that aren't open
}

// prepare reads the job's log and builds the driver's copy of the program. A
// standby replays the values that are recorded and leaves the build to activate
// if there are others; it opens the inputs of a job that is under way. Nothing
// that prepare does can be seen by another process, but that a job that isn't a
// standby records values.
func (j *Job) prepare(ctx context.Context, m Master) (*prepared, error) {
	p := &prepared{job: j, master: m}
	if err := p.recover(ctx); err != nil {
		return nil, err
	}
	record := j.Batches.RecordValue
	if j.standby {
		record = nil
	}
	err := p.build(ctx, record)
	switch {
	case j.standby && errors.Is(err, plan.ErrNotRecorded):
		return p, nil
	case err != nil:
		return nil, err
	}
	if err := p.fits(); err != nil {
		return nil, errors.Join(err, p.close(ctx))
	}
	if j.standby && p.recovered.Header != nil {
		p.open(ctx)
	}
	return p, nil
}

// activate makes the process the job's driver: it takes the log over, brings the
// executors in, and runs the job to its end.
func (p *prepared) activate(ctx, planning context.Context) (err error) {
	j := p.job
	if j.standby {
		if err := p.catchUp(ctx); err != nil {
			return errors.Join(err, p.close(ctx))
		}
	}
	defer func() { err = errors.Join(err, j.runOnStop(ctx, p.program)) }()
	store, release, err := j.openModelStore(ctx, &p.program.Graph, &p.header, p.recovered.Header)
	if err != nil {
		return errors.Join(err, p.closePlanners())
	}
	defer func() { err = errors.Join(err, release()) }()
	checkpoints, letGo, err := j.openStateStore(ctx, &p.program.Graph, &p.header, p.recovered.Header)
	if err != nil {
		return errors.Join(err, p.closePlanners())
	}
	defer func() {
		j.prints.close() // it reads the store
		err = errors.Join(err, letGo())
	}()
	c, epoch, err := p.takeOver(ctx)
	if err != nil {
		return errors.Join(err, p.closePlanners())
	}
	j.metrics.watch(c)
	if j.Batch {
		j.prints.serve(nil)
		return p.runProgram(planning, c)
	}
	catalog, err := j.openCatalog(ctx, &p.program.Graph, p.recovered.Header)
	if err != nil {
		return errors.Join(err, p.closePlanners())
	}
	if catalog != nil {
		defer func() { err = errors.Join(err, catalog.Close()) }()
	}
	registry := models.NewRegistry(models.Config{
		Models: p.program.Graph.Models, Store: store, Catalog: catalog, Executors: c, Retained: j.Settings.ModelsRetained,
		Durable: p.header.Durable, Requests: j.requests, Log: j.Log,
	})
	keeper := p.keeper(checkpoints)
	j.prints.serve(&printed{keeper: keeper, store: checkpoints, graph: &p.program.Graph, numbers: p.header.Numbers, offsets: j.lookup})
	var states driver.StateKeeper
	if len(p.program.Graph.States) > 0 && (p.header.Durable || j.Settings.CheckpointStore != "") { // else they go with the job
		states = keeper
	}
	return driver.New(driver.Config{
		Program: p.program, Header: p.header, Epoch: epoch, Recovered: p.recovered, Batches: p.header.Numbers.Numbered(j.Batches, &p.program.Graph), Cluster: c,
		Participants: []driver.Participant{registry, keeper}, States: states, Models: registry, Planners: p.planners,
		Listeners: j.listeners, Troubles: j.troubles, Failing: j.failing, Log: j.Log,
	}).Run(planning)
}

// recover reads the log and what it says of the job.
func (p *prepared) recover(ctx context.Context) (err error) {
	if p.recovered, err = p.job.Batches.Recover(ctx); err != nil {
		return err
	}
	p.header, err = p.job.header(ctx, p.master, p.recovered.Header)
	return err
}

// build builds the driver's copy and compares it with the one that the log is of.
func (p *prepared) build(ctx context.Context, record func(context.Context, plan.NamedValue) error) error {
	p.values = &plan.ValueLog{Recorded: p.recovered.Values, Record: record}
	program := p.job.newProgram(p.header, p.values)
	built := p.job.watchBuild()
	err := p.job.Build(ctx, program)
	built()
	switch {
	case err != nil:
	case p.job.Batch: // it declares its connectors' while it runs
		err = program.MisspelledSettings()
	default:
		err = program.UnknownSettings()
	}
	if err == nil {
		p.header.Fingerprint, p.header.Graph = program.Graph.Fingerprint(), program.Graph.Describe()
		err = p.adopt(&program.Graph)
	}
	if err != nil {
		return errors.Join(err, p.job.runOnStop(ctx, program))
	}
	p.program = program
	return nil
}

// adopt makes what was recovered the program's: of a program that has changed since, what
// is found of it.
func (p *prepared) adopt(g *plan.Graph) error {
	h := p.recovered.Header
	switch {
	case h == nil:
		p.header.Numbers = g.SameShape(nil)
	case slices.Equal(plan.Shape(h.Graph), plan.Shape(p.header.Graph)) && g.Readable(h.Numbers):
		p.header.Numbers = g.SameShape(h.Numbers)
		p.lost = g.GoOn(p.header.Numbers, &p.recovered).Lost
	case h.Numbers == nil || p.job.Incarnation == h.Incarnation:
		return fmt.Errorf("%w: the graph has changed since; %s\n%s", plan.ErrOtherProgram, plan.BeginAnew,
			lineage.Diff("checkpoint", plan.Shape(h.Graph), "program", plan.Shape(p.header.Graph)))
	default:
		p.upgrade = g.Upgrade(h.Numbers, &p.recovered)
		p.lost = p.upgrade.Lost
		p.header.Numbers = p.upgrade.Numbers
	}
	p.header.Numbers.Translate(&p.recovered, g)
	return nil
}

// fits says why a program that has changed can't go on with the log.
func (p *prepared) fits() error {
	if p.upgrade != nil {
		if err := p.upgrade.Check(p.job.AllowNonRestored); err != nil {
			return err
		}
	}
	for _, lost := range p.lost {
		p.job.Log.Warn("the program's states lack what the checkpoint holds", "lost", lost)
	}
	if p.upgrade == nil {
		return nil
	}
	p.job.Log.Info("the program has changed since the checkpoint: " + p.upgrade.Summary())
	return nil
}

// open opens the inputs of a job that is under way. What can't be opened now is
// opened, and said, when the process is activated.
func (p *prepared) open(ctx context.Context) {
	p.planners = make([]plan.Planner, len(p.program.Graph.Inputs))
	for i, in := range p.program.Graph.Inputs {
		planner, err := driver.OpenInput(ctx, in, p.program.Calls)
		if err != nil {
			p.job.Log.Debug("an input can't be opened ahead", "err", err)
			continue
		}
		p.planners[i] = planner
	}
}

// catchUp takes in what the drivers before have logged since the job was prepared.
func (p *prepared) catchUp(ctx context.Context) error {
	built := p.header
	if err := p.recover(ctx); err != nil {
		return err
	}
	if p.program != nil && built.Incarnation == p.header.Incarnation && built.Parallelism == p.header.Parallelism {
		p.header.Fingerprint, p.header.Graph = built.Fingerprint, built.Graph
		return errors.Join(p.adopt(&p.program.Graph), p.fits())
	}
	if err := p.closePlanners(); err != nil {
		return err
	}
	return p.build(ctx, p.job.Batches.RecordValue)
}

// takeOver records that this process drives the job and brings the executors in.
func (p *prepared) takeOver(ctx context.Context) (c cluster, epoch uint64, err error) {
	if err := p.master.prepare(ctx, p.job, p.program, p.header, p.values.Recorded); err != nil {
		return nil, 0, err
	}
	if epoch, err = p.job.Batches.Start(ctx, p.header); err != nil {
		return nil, 0, err
	}
	c, err = p.master.connect(ctx, epoch)
	return c, epoch, err
}

// close ends what a job that won't be activated holds.
func (p *prepared) close(ctx context.Context) error {
	err := p.closePlanners()
	if p.program != nil {
		err = errors.Join(err, p.job.runOnStop(ctx, p.program))
	}
	return err
}

// closePlanners closes the inputs that were opened ahead.
func (p *prepared) closePlanners() error {
	var errs []error
	for _, planner := range p.planners {
		if planner != nil {
			errs = append(errs, planner.Close())
		}
	}
	p.planners = nil
	return errors.Join(errs...)
}
