package files

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd/files"
)

// planner plans a file stream's batches on the driver.
//
// THREADING: the generator plans; as soon as possible one goroutine, which Close ends and waits
// for, looks into the directory beside it. Who has the turn may use what both use.
type planner struct {
	*directory
	bucket   *files.Bucket
	untilEnd bool

	stop     context.CancelFunc // of watching; nil unless Notify was called
	watching sync.WaitGroup

	turn   chan struct{} // held over a look
	ledger *ledger       // nil before the first plan
	last   []byte        // ranges of the newest plan
	idle   []byte        // those of a plan without files, nil if the ledger has changed since the last one
	looked time.Time     // when the last look ended that went well, zero before the first
	tried  time.Time     // when the last look ended
	held   string        // why the last look found nothing
	since  time.Time     // when that began

	nowhere map[string]bool // links that led nowhere at the last look
}

// lookTimeout bounds a look into the directory.
const lookTimeout = 2 * time.Minute

// openPlanner opens a directory. That it isn't there is no error: it may come.
func openPlanner(ctx context.Context, d *directory) (engine.Planner, error) {
	bucket, err := d.at.Open(ctx)
	if err != nil {
		return nil, err
	}
	p := &planner{directory: d, bucket: bucket, turn: make(chan struct{}, 1)}
	if _, err := p.list(ctx); err != nil && !errors.Is(err, files.ErrMissing) {
		return nil, errors.Join(err, bucket.Close())
	}
	return p, nil
}

// Close ends the looks and closes the bucket.
func (p *planner) Close() error {
	if p.stop != nil {
		p.stop()
		p.watching.Wait()
	}
	return p.bucket.Close()
}

// Completed has nothing to note: the batch log knows.
func (p *planner) Completed(context.Context, []byte) error { return nil }

// UntilEnd makes the files that the first look finds the last ones.
func (p *planner) UntilEnd(context.Context) error {
	p.untilEnd = true
	return nil
}

// Notify makes the planner look into the directory also when nothing is planned, and tell when
// there are files to read.
func (p *planner) Notify(ready func()) {
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	p.watching.Go(func() {
		for p.await(ctx) {
			if p.sees(ctx) {
				ready()
			}
		}
	})
}

// begin waits for the turn, which end gives back.
func (p *planner) begin(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *planner) end() { <-p.turn }

// await waits until the next look is due. It reports false if ctx ends before.
func (p *planner) await(ctx context.Context) bool {
	if p.begin(ctx) != nil {
		return false
	}
	pause := max(p.options.every-time.Since(p.tried), p.options.every/10)
	p.end()
	return slept(ctx, pause)
}

// slept waits for so long. It reports false if ctx ends before.
func slept(ctx context.Context, pause time.Duration) bool {
	again := time.NewTimer(pause)
	defer again.Stop()
	select {
	case <-again.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// sees looks into the directory, unless a plan did just now or there was none yet, and reports
// whether there are files to read.
func (p *planner) sees(ctx context.Context) bool {
	if p.begin(ctx) != nil {
		return false
	}
	defer p.end()
	if p.ledger == nil {
		return false // what comes first begins the job
	}
	if p.wait() <= 0 && p.look(ctx, false) != nil {
		return false // ctx has ended
	}
	return !p.ledger.full() && len(p.ledger.settled()) > 0
}

// Plan takes files that the stream doesn't know, as many as the batch may hold.
func (p *planner) Plan(ctx context.Context, req engine.PlanRequest) (engine.Plan, error) {
	if err := p.begin(ctx); err != nil {
		return engine.Plan{}, err
	}
	defer p.end()
	if p.ledger == nil || !bytes.Equal(req.Previous, p.last) {
		before, err := decodeRanges(req.Previous)
		if err != nil {
			return engine.Plan{}, fmt.Errorf("the files of the batch before: %w", err)
		}
		p.ledger, p.looked, p.tried, p.idle = newLedger(p.options.remember, p.at.IsLocal(), before), time.Time{}, time.Time{}, nil
	}
	if err := p.lookInto(ctx, req); err != nil {
		return engine.Plan{}, err
	}
	plan := engine.Plan{Held: p.held, HeldSince: p.since}
	list := p.choose(&plan, req.Budget)
	if p.untilEnd && plan.Blocked > 0 { // it would never end
		return engine.Plan{}, errors.New(plan.Held)
	}
	plan.Ended = p.untilEnd && len(p.ledger.waiting) == 0
	err := p.encode(&plan, list)
	return plan, err
}

// encode writes the plan's ranges. In most plans there is nothing new.
func (p *planner) encode(plan *engine.Plan, list []file) (err error) {
	if len(list) > 0 {
		p.idle = nil
		plan.Ranges, err = encodeRanges(p.ledger.ranges(list))
	} else {
		if p.idle == nil {
			p.idle, err = encodeRanges(p.ledger.ranges(nil))
		}
		plan.Ranges = p.idle
	}
	p.last = plan.Ranges
	return err
}

// maxNames bounds the bytes of the names of a batch's files.
const maxNames = 256 << 10

// choose takes files that are whole into the plan, those modified first before others: as many
// as its budget allows, and one at least.
func (p *planner) choose(plan *engine.Plan, budget float64) (list []file) {
	room, names := p.options.maxFiles, 0
	if p.ledger.full() {
		room = 0
	}
	for _, name := range p.ledger.settled() {
		n := p.records(p.ledger.waiting[name].size)
		names += len(name)
		full := len(list) > 0 && (budget > 0 && float64(plan.Records+n) > budget || names > maxNames)
		if full || len(list) >= room {
			room = 0
			plan.Backlog += max(1, n)
			continue
		}
		plan.Records += n
		list = append(list, p.ledger.take(name))
	}
	if len(list) > 0 || len(p.ledger.waiting) > 0 { // else the last look may have seen nothing of what waits
		p.ledger.forget()
	}
	if plan.Backlog > 0 && p.ledger.full() && plan.Held == "" {
		plan.Blocked = plan.Backlog
		plan.Held = fmt.Sprintf("%s: %d files were read that must be told from new ones by name, since they were modified at one time, or an older file is still written: move files that were read elsewhere, or give a larger number than files.Remember(%d)",
			p.at, len(p.ledger.read), p.options.remember)
	}
	return list
}

// lookInto looks into the directory if it is time to. Until the end it waits until a file is
// whole, or none is left.
func (p *planner) lookInto(ctx context.Context, req engine.PlanRequest) error {
	for {
		if p.wait() <= 0 {
			if err := p.look(ctx, req.Previous == nil); err != nil {
				return err
			}
		}
		if !p.untilEnd || len(p.ledger.waiting) == 0 || len(p.ledger.settled()) > 0 {
			return nil
		}
		if req.Waiting != nil {
			req.Waiting(fmt.Sprintf("%d files in %s are new, and are read when they stay as they are", len(p.ledger.waiting), p.at))
		}
		if !slept(ctx, p.wait()) {
			return context.Cause(ctx)
		}
	}
}

// wait returns how long it is until the next look. Ticks aren't exact: a tenth before its time
// is in time.
func (p *planner) wait() time.Duration {
	if p.tried.IsZero() {
		return 0
	}
	return p.options.every*9/10 - time.Since(p.tried)
}

// look looks into the directory. If that fails it is tried again the next time, except where it
// would be as if there were nothing: until the end, and when the job begins.
func (p *planner) look(ctx context.Context, isFirst bool) error {
	found, err := p.list(ctx)
	p.tried = time.Now()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && (p.untilEnd || isFirst && !errors.Is(err, files.ErrMissing)):
		return err
	case err != nil:
		p.missing(err)
		return nil
	}
	p.held, p.since, p.idle = "", time.Time{}, nil
	p.tell(p.ledger.look(found))
	if isFirst && p.looked.IsZero() && p.options.newOnly {
		p.ledger.skip()
	}
	p.looked, p.ledger.closed = p.tried, p.untilEnd
	if isFirst && p.ledger.full() {
		return fmt.Errorf("files.NewOnly: %s holds %d files that were modified at one time, more than are remembered: give files.Remember(%d)", p.at, len(p.ledger.read), len(p.ledger.read))
	}
	return nil
}

// missing notes why the directory can't be looked into.
func (p *planner) missing(why error) {
	if p.held == "" {
		p.since = p.tried
	}
	if p.held = why.Error(); errors.Is(why, files.ErrMissing) {
		p.held = fmt.Sprintf("there is no directory %s; it is awaited", p.at)
	}
}

// list returns the directory's files that count.
func (p *planner) list(ctx context.Context) ([]files.Found, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	found, err := p.bucket.Look(ctx, p.at.Key, p.options.recursive)
	found = slices.DeleteFunc(found, func(f files.Found) bool { return !p.counts(path.Base(f.Name)) })
	if err != nil {
		return nil, err
	}
	return p.passOver(found), nil
}

// passOver leaves out links that lead nowhere, and says so in the log when they come.
func (p *planner) passOver(found []files.Found) []files.Found {
	nowhere, first := make(map[string]bool), ""
	found = slices.DeleteFunc(found, func(f files.Found) bool {
		if f.Nowhere {
			if nowhere[f.Name] = true; first == "" && !p.nowhere[f.Name] {
				first = f.Name
			}
		}
		return f.Nowhere
	})
	if p.nowhere = nowhere; first != "" {
		p.log.Warn("links in the directory lead nowhere, and are passed over until they lead to a file: mend or remove them",
			"directory", p.at.String(), "links", len(nowhere), "first", first)
	}
	return found
}

// counts reports whether a file of that name is data.
func (p *planner) counts(name string) bool {
	for _, end := range []string{".tmp", "._COPYING_", ".inprogress", ".filepart"} {
		if strings.HasSuffix(name, end) {
			return false
		}
	}
	matches, _ := path.Match(cmp.Or(p.options.matching, "*"), name) // the pattern was tried at the start
	return matches
}

// tell logs what won't be read.
func (p *planner) tell(r remarks) {
	if len(r.changed) > 0 {
		first := r.changed[0]
		p.log.Warn("files were changed or replaced after they were planned: they aren't read again, and where that came before they were read, what was read is no longer what was planned; write what is new under other names",
			"directory", p.at.String(), "files", len(r.changed), "first", first.name, "had_bytes", first.had, "has_bytes", first.size)
	}
	if len(r.late) > 0 {
		p.log.Warn("files came with an earlier modification time than that of files which are no longer known by name, and aren't read: touch those that are to be",
			"directory", p.at.String(), "files", len(r.late), "first", r.late[0])
	}
	if r.unknown > 0 {
		p.log.Warn("while no driver looked files came with an earlier modification time than that of files which are no longer known by name; they can't be told from those, and aren't read: touch those that are to be",
			"directory", p.at.String(), "files", r.unknown, "modified_before", time.Unix(0, p.ledger.before))
	}
}
