package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// offset is a line of what is printed of a job's inputs.
type offset struct {
	Input string `json:"input"`
	plan.Position
}

// printOffsets writes how far a job has read its inputs, a line of JSON for each
// partition, and returns a line that says of when that is. The log's state has the ids of
// the graph.
func printOffsets(w io.Writer, g *plan.Graph, n *plan.Numbers, s *plan.LogState) (note string, err error) {
	if s.Last == nil {
		return "no batch is planned yet", nil
	}
	note = fmt.Sprintf("where batch %d ends", s.Last.Seq)
	if len(s.Incomplete) > 0 {
		note += fmt.Sprintf("; batches from %d on aren't complete", s.Incomplete[0].Allocation.Seq)
	}
	lines := json.NewEncoder(w)
	for i, in := range g.Inputs {
		share := s.Last.Input(in.ID)
		if share == nil {
			continue
		}
		name := strings.TrimPrefix(n.Inputs[i].String(), "input ")
		if in.Positions == nil {
			note += fmt.Sprintf("; %s at %s can't say how far it has read", name, in.Site)
			continue
		}
		all, err := in.Positions(share.Ranges)
		if err != nil {
			return "", fmt.Errorf("input %s at %s: %w", name, in.Site, err)
		}
		for _, p := range all {
			if err := lines.Encode(offset{name, p}); err != nil {
				return "", err
			}
		}
	}
	return note, nil
}

// PrintOffsets prints how far the job has read its inputs, and runs nothing. It closes the
// job's log.
func (j *Job) PrintOffsets(ctx, _ context.Context, m Master) error {
	return j.look(ctx, m, func(p *prepared) error {
		note, err := printOffsets(j.Stdout, &p.program.Graph, p.header.Numbers, &p.recovered)
		if err == nil {
			j.Log.Info("how far the job has read", "as_of", note)
		}
		return err
	})
}

// look prepares the job as if it ran, and shows that to f. It closes the job's log.
func (j *Job) look(ctx context.Context, m Master, f func(p *prepared) error) (err error) {
	defer func() { err = errors.Join(err, m.close(), j.Batches.Close()) }()
	j.looking = true
	p := &prepared{job: j, master: m}
	if err := p.recover(ctx); err != nil {
		return err
	}
	nowhere := func(context.Context, plan.NamedValue) error { return nil }
	if err := p.build(ctx, nowhere); err != nil {
		return err
	}
	return errors.Join(f(p), p.close(ctx))
}
